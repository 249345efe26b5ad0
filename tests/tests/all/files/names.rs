//! Names from outside that could lead out of a folder: each is refused in words, and nothing is read or written
//! elsewhere.

use std::collections::BTreeSet;
use std::path::PathBuf;

use deskgrid_tests::{BUSYBOX, Deskgrid, Raw, shell, unique};
use serde_json::{Value, json};

use super::transfer::files_below;

/// Names as a path of a URL carries them, none of which is one.
fn bad_in_a_path() -> Vec<String> {
    let mut names: Vec<_> = [
        "..",
        ".",
        "%2e%2e",
        "%2E%2e",
        ".hidden",
        "%2ehidden",
        "..%2fx",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "%2fetc%2fpasswd",
        "..%5cx",
        "a%2fb",
        "a%5cb",
        "a%00",
        "%00",
        "a%20b",
        "a%0ab",
        "%c3%bc",
        "%ff",
        "C%3a%5cx",
        "a:b",
    ]
    .map(str::to_owned)
    .into();
    names.push("x".repeat(300));
    names
}

/// The files beside the server's data folder, where nothing may appear but what was there.
fn neighbours(server: &Deskgrid) -> BTreeSet<PathBuf> {
    let parent = server.data().parent().expect("a folder").to_owned();
    let mut found = files_below(&parent);
    found.retain(|path| !path.starts_with(server.data()) && !path.ends_with("server.log"));
    found
}

async fn refused(server: &Deskgrid, request: Raw, what: &str) {
    let answer = request.send(server).await;
    assert!((400..500).contains(&answer.status) && answer.status != 404, "{what}: {}", answer.head);
    let json = answer.json();
    let words = json["error"].as_str().unwrap_or_else(|| panic!("{what}: {}", answer.text()));
    assert!(words.len() > 20 && words.len() < 700, "{what}: {words}");
}

#[tokio::test]
async fn a_file_key_that_is_none_is_refused() {
    let server = Deskgrid::start_without_engine().await;
    let (before, inside) = (neighbours(&server), files_below(&server.data()));
    for key in bad_in_a_path() {
        for method in ["GET", "PUT"] {
            let request = Raw::new(method, &format!("/f/{key}")).body("evil");
            refused(&server, request, &format!("{method} {key}")).await;
        }
        refused(&server, Raw::new("GET", &format!("/f/{key}/exists")), &format!("{key}/exists")).await;
    }
    assert_eq!((neighbours(&server), files_below(&server.data())), (before, inside));
}

#[tokio::test]
async fn a_path_that_climbs_leads_nowhere() {
    let server = Deskgrid::start_without_engine().await;
    let (before, inside) = (neighbours(&server), files_below(&server.data()));
    for path in [
        "/f/../../etc/passwd",
        "/f/",
        "/f",
        "/f//etc/passwd",
        "/../etc/passwd",
        "/f/x/../../y",
        "//etc/passwd",
        "/ui/../../etc/passwd",
        "/ui/%2e%2e/%2e%2e/etc/passwd",
        "/f/a/b",
    ] {
        for method in ["GET", "PUT"] {
            let answer = Raw::new(method, path).body("evil").send(&server).await;
            assert!((400..500).contains(&answer.status), "{method} {path}: {}", answer.head);
            assert!(!answer.text().contains("root:"), "{method} {path}");
        }
    }
    assert_eq!((neighbours(&server), files_below(&server.data())), (before, inside));
}

#[tokio::test]
async fn a_job_id_that_is_none_is_refused_on_every_route() {
    let server = Deskgrid::start_without_engine().await;
    let before = neighbours(&server);
    for id in bad_in_a_path() {
        for prefix in ["", "/q/local"] {
            for path in [
                "",
                "/definition.json",
                "/result.json",
                "/inputs/a",
                "/outputs/a",
                "/build-logs.json",
                "/run-logs.json",
            ] {
                let path = format!("{prefix}/j/{id}{path}");
                refused(&server, Raw::new("GET", &path), &path).await;
            }
        }
        for path in
            [format!("/q/local/j/{id}/cancel"), format!("/q/local/j/{id}/n/cancel"), format!("/j/{id}/copy")]
        {
            refused(&server, Raw::new("POST", &path).body(r#"{"queue":"other"}"#), &path).await;
        }
        for path in ["stream", "namespaces.json"] {
            let path = format!("/q/local/j/{id}/{path}");
            refused(&server, Raw::new("GET", &path), &path).await;
        }
    }
    assert_eq!(neighbours(&server), before);
}

#[tokio::test]
async fn a_submission_with_a_job_id_that_is_none_is_refused() {
    let server = Deskgrid::start_without_engine().await;
    let before = neighbours(&server);
    let long = "x".repeat(300);
    for id in ["..", ".", "../x", "/etc/x", "a/b", "a\\b", "a\0b", ".hidden", "a b", "ü", "a\n", &long] {
        let body = json!({"id": id, "definition": {"image": "a"}}).to_string();
        let answer = Raw::new("POST", "/q/local").body(body).send(&server).await;
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("bad-name")), "{id:?}");
        assert!(answer.json()["error"].as_str().unwrap().contains("the job id"), "{}", answer.text());
    }
    assert_eq!(server.get_json("/q/local").await, json!({"data": {}}));
    assert_eq!(neighbours(&server), before);
}

#[tokio::test]
async fn an_input_or_config_file_whose_name_leads_elsewhere_is_refused_by_name() {
    let server = Deskgrid::start_without_engine().await;
    let before = neighbours(&server);
    let long = "x".repeat(300);
    let nul = "a\0b";
    let bad = ["", ".", "..", "../x", "a/../../x", "a/..", "a//b", "a/", nul, long.as_str()];
    let cases = bad.iter().flat_map(|name| [("inputs", *name), ("configFiles", *name)]);
    let absolute = ["/etc/passwd", "//x", "/"].map(|name| ("inputs", name));
    let config = ["/", "/..", "/../x", "/etc/../../x", "/inputs", "/outputs", "/job-cache", "/inputs/../x"];
    let config = config.map(|name| ("configFiles", name));
    for (field, name) in cases.chain(absolute).chain(config) {
        let definition = json!({"image": BUSYBOX, field: {name: {"value": "evil"}}});
        let (status, answer) = server.post("/q/local", &json!({"definition": definition})).await;
        assert_eq!((status, &answer["code"]), (400, &json!("bad-definition")), "{field} {name:?}: {answer}");
        let words = answer["error"].as_str().expect("words");
        assert!(words.starts_with(&format!("{field}[\"")) && words.len() < 500, "{words}");
    }
    for (kind, value) in
        [("key", "../../etc/passwd"), ("key", ""), ("key", ".x"), ("url", "file:///etc/passwd")]
    {
        let definition = json!({"image": BUSYBOX, "inputs": {"a": {"value": value, "type": kind}}});
        let (status, answer) = server.post("/q/local", &json!({"definition": definition})).await;
        assert_eq!(status, 400, "{kind} {value}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains("inputs[\"a\"]"), "{answer}");
    }
    assert_eq!(server.get_json("/q/local").await, json!({"data": {}}));
    assert_eq!(neighbours(&server), before);
}

#[tokio::test]
async fn the_path_of_an_input_or_output_cannot_lead_out_of_the_job() {
    let server = Deskgrid::start().await;
    let mut definition = shell(&format!("echo out > /outputs/a; : {}", unique()));
    definition["inputs"] = json!({"a": {"value": "in"}});
    let id = server.submit(&definition).await;
    server.finished(&id).await;
    let before = neighbours(&server);
    let long = "x".repeat(300);
    for path in [
        "..",
        "%2e%2e",
        "..%2fa",
        "a%2f..%2fb",
        "%2fetc%2fpasswd",
        "a%00",
        "%ff",
        "a//b",
        "a/",
        "x/%2e%2e/a",
        &long,
    ] {
        for folder in ["inputs", "outputs"] {
            for prefix in ["", "/q/local"] {
                let path = format!("{prefix}/j/{id}/{folder}/{path}");
                refused(&server, Raw::new("GET", &path), &path).await;
            }
        }
    }
    for path in ["../../../../etc/passwd", "../outputs/a", ""] {
        let answer = Raw::new("GET", &format!("/j/{id}/outputs/{path}")).send(&server).await;
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.head);
    }
    assert_eq!(neighbours(&server), before);
}

#[tokio::test]
async fn odd_but_harmless_names_work_from_the_input_to_the_output_and_back() {
    let server = Deskgrid::start().await;
    let before = neighbours(&server);
    let names = [
        "with space.txt",
        "ü/é.txt",
        "what?#%.txt",
        "%2e%2e%2fx",
        "a/outputs/b.txt",
        "quote\"'.txt",
        "back\\slash",
        "...",
        "-n",
        "new\nline",
        "a..b",
        "~",
        "$HOME",
        "*",
        "日本語",
    ];
    let inputs: serde_json::Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), json!({"value": format!("of {name}")}))).collect();
    let mut definition = shell(&format!("cp -r /inputs/. /outputs; : {}", unique()));
    definition["inputs"] = Value::Object(inputs);
    let id = server.submit(&definition).await;
    let result = server.finished(&id).await;
    let outputs = result["finished"]["result"]["outputs"].as_object().expect("outputs");
    let found: BTreeSet<_> = outputs.keys().map(String::as_str).collect();
    assert_eq!(found, names.into_iter().collect());
    for name in names {
        let wanted = format!("of {name}").into_bytes();
        assert!(server.output(&result, name).await == wanted, "{name}");
        for folder in ["inputs", "outputs"] {
            let encoded = name.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
            let path = format!("/j/{id}/{folder}/{}", encoded.replace("%2F", "/"));
            let answer = Raw::new("GET", &path).send(&server).await;
            assert_eq!((answer.status, &answer.body), (200, &wanted), "{folder} {name}");
        }
    }
    assert_eq!(neighbours(&server), before);
}
