//! How files reach a container, and that no job can change what is stored.

use std::collections::BTreeMap;

use deskgrid_tests::{Deskgrid, Page, Web, log_text, sha256, shell, unique};
use serde_json::{Value, json};

/// More than is copied into a container.
const BIG: usize = 3 << 20;

/// Bytes that no other test stores.
fn bytes(length: usize) -> Vec<u8> {
    let seed = unique().into_bytes();
    seed.iter().copied().cycle().take(length.max(seed.len())).collect()
}

async fn stored(server: &Deskgrid, bytes: &[u8]) -> String {
    let key = sha256(bytes);
    assert_eq!(server.put(&key, bytes.to_vec()).await, 200);
    key
}

/// The SHA-256 of each file below `/inputs` and of `/etc/app.conf`, as the container sees them.
fn summing(inputs: Value, config_files: Value) -> Value {
    let mut definition =
        shell("for f in $(find /inputs -type f) /etc/app.conf; do if [ -e $f ]; then sha256sum $f; fi; done");
    definition["inputs"] = inputs;
    definition["configFiles"] = config_files;
    definition["env"] = json!({"ONLY": unique()});
    definition
}

/// What a job of [`summing`] saw.
fn sums(finished: &Value) -> BTreeMap<String, String> {
    assert_eq!(finished["finished"]["result"]["StatusCode"], 0, "{finished}");
    let log = log_text(finished);
    log.lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(sum, path)| (path.into(), sum.into()))
        .collect()
}

#[tokio::test]
async fn every_kind_of_reference_becomes_the_file_that_it_names() {
    let server = Deskgrid::start().await;
    let (small, big, named) = (bytes(1000), bytes(BIG), bytes(10));
    let (small_key, big_key) = (stored(&server, &small).await, stored(&server, &big).await);
    let name = format!("table-{}.json", unique());
    assert_eq!(server.put(&name, named.clone()).await, 200);
    let web = Web::serve("200 OK", "from the web").await;
    let inputs = json!({
        "default": {"value": "plain ü\n"},
        "deep/er/text": {"type": "utf8", "value": "text"},
        "deep/json": {"type": "json", "value": {"b": [1.0, null], "a": "ü"}},
        "bytes": {"type": "base64", "value": "AP8AYQ=="},
        "elsewhere": {"type": "url", "value": format!("https://other.example:9/f/{small_key}")},
        "by-hash": {"type": "url", "value": "http://gone.example/x", "hash": big_key},
        "web": {"type": "url", "value": web.url("/file?signature=secret")},
        "key": {"type": "key", "value": small_key},
        "named": {"type": "key", "value": name},
        "replaced": {"value": "an input"},
    });
    let config_files = json!({
        "replaced": {"value": "a config file"},
        "more/conf": {"type": "key", "value": big_key},
        "/etc/app.conf": {"value": "absolute"},
    });
    let finished = server.run(&summing(inputs, config_files)).await;
    let wanted: [(&str, &[u8]); 12] = [
        ("/inputs/default", "plain ü\n".as_bytes()),
        ("/inputs/deep/er/text", b"text"),
        ("/inputs/deep/json", r#"{"b":[1,null],"a":"ü"}"#.as_bytes()),
        ("/inputs/bytes", b"\0\xff\0a"),
        ("/inputs/elsewhere", &small),
        ("/inputs/by-hash", &big),
        ("/inputs/web", b"from the web"),
        ("/inputs/key", &small),
        ("/inputs/named", &named),
        ("/inputs/replaced", b"a config file"),
        ("/inputs/more/conf", &big),
        ("/etc/app.conf", b"absolute"),
    ];
    let wanted: BTreeMap<_, _> =
        wanted.iter().map(|(path, bytes)| ((*path).to_owned(), sha256(bytes))).collect();
    assert_eq!(sums(&finished), wanted);
    assert_eq!(web.requests(), 1);
}

#[tokio::test]
async fn our_own_files_are_read_from_disk_whatever_host_their_address_names() {
    let server = Deskgrid::start().await;
    let content = bytes(100);
    let key = stored(&server, &content).await;
    let web = Web::serve("200 OK", "not this").await;
    let inputs: Value = ["http://localhost:8000", "http://worker:8123", "https://x.example", &web.url("")]
        .iter()
        .enumerate()
        .map(|(number, base)| {
            (number.to_string(), json!({"type": "url", "value": format!("{base}/f/{key}")}))
        })
        .collect::<serde_json::Map<_, _>>()
        .into();
    let finished = server.run(&summing(inputs, json!({}))).await;
    let sums = sums(&finished);
    assert_eq!(sums.len(), 4, "{sums:?}");
    assert!(sums.values().all(|sum| *sum == key), "{sums:?}");
    assert_eq!(web.requests(), 0);
}

#[tokio::test]
async fn an_input_can_be_read_back_under_the_address_of_its_job() {
    let server = Deskgrid::start().await;
    let big = bytes(BIG);
    let key = stored(&server, &big).await;
    let web = Web::serve("200 OK", "from the web").await;
    let definition = summing(
        json!({"inline": {"value": "text"}, "a b/ü#?%.bin": {"type": "key", "value": key},
            "web": {"type": "url", "value": web.url("/w")}}),
        json!({"conf": {"value": "conf"}}),
    );
    let id = server.submit(&definition).await;
    server.finished(&id).await;
    for (path, wanted) in [
        ("inline", &b"text"[..]),
        ("a%20b/%C3%BC%23%3F%25.bin", &big),
        ("web", b"from the web"),
        ("conf", b"conf"),
    ] {
        let (status, body) = server.get(&format!("/j/{id}/inputs/{path}")).await;
        assert!(status == 200 && body == wanted, "{path}: {status}");
    }
    assert_eq!(server.get(&format!("/j/{id}/inputs/none")).await.0, 404);
}

#[tokio::test]
async fn a_download_that_fails_is_told_without_secrets_and_tried_again_on_resubmission() {
    let server = Deskgrid::start().await;
    let web = Web::serve("404 Not Found", "").await;
    let inputs = json!({"in": {"type": "url", "value": web.url("/data.csv?signature=secret")}});
    let definition = summing(inputs, json!({}));
    let id = server.submit(&definition).await;
    for times in 1..=2 {
        assert_eq!(server.submit(&definition).await, id);
        let finished = server.finished(&id).await;
        assert_eq!(finished["finishedReason"], "Error");
        let words = finished["finished"]["result"]["error"].as_str().expect("words");
        println!("{words}");
        assert!(words.contains(&web.url("/data.csv")) && words.contains("404 Not Found"), "{words}");
        assert!(!words.contains("secret"), "{words}");
        assert!(web.requests() >= times, "{}", web.requests());
    }
    let nobody = json!({"in": {"type": "url", "value": "http://127.0.0.1:1/x"}});
    let finished = server.run(&summing(nobody, json!({}))).await;
    let words = finished["finished"]["result"]["error"].as_str().expect("words");
    println!("{words}");
    assert!(words.contains("http://127.0.0.1:1/x") && words.contains("refused"), "{words}");
}

#[tokio::test]
async fn a_job_that_writes_to_its_inputs_as_root_changes_no_stored_file() {
    let server = Deskgrid::start().await;
    let (small, big) = (bytes(1000), bytes(BIG));
    let (small_key, big_key) = (stored(&server, &small).await, stored(&server, &big).await);
    let files = json!({
        "small": {"type": "key", "value": small_key},
        "big": {"type": "key", "value": big_key},
        "deep/big": {"type": "key", "value": big_key},
    });
    let mut definition = shell(
        "cd /inputs; for f in small big deep/big /etc/small /etc/big; do \
         chmod 777 $f; echo changed > $f; echo changed >> $f; dd if=/dev/zero of=$f bs=1 count=1 conv=notrunc; \
         ln $f /outputs/link; mv $f /outputs/moved; rm -f $f; done; echo x > deep/new; exit 0",
    );
    definition["inputs"] = files;
    definition["configFiles"] = json!({
        "/etc/small": {"type": "key", "value": small_key},
        "/etc/big": {"type": "key", "value": big_key},
    });
    definition["env"] = json!({"ONLY": unique()});
    let finished = server.run(&definition).await;
    assert_eq!(finished["finishedReason"], "Success", "{finished}");
    for (key, content) in [(small_key, small), (big_key, big)] {
        let (status, body) = server.get(&format!("/f/{key}")).await;
        assert!(status == 200 && body == content, "{status}");
    }
}

#[tokio::test]
async fn a_long_inline_value_works_over_http_and_over_the_socket() {
    let server = Deskgrid::start().await;
    let text = String::from_utf8(bytes(100_000)).expect("text");
    let definition = summing(json!({"long": {"value": text}}), json!({}));
    let finished = server.run(&definition).await;
    assert_eq!(sums(&finished)["/inputs/long"], sha256(&text));
    let mut page = Page::open(&server, "local").await;
    let definition = summing(json!({"long": {"value": text}}), json!({}));
    let id = unique();
    page.submit(&id, &definition, &json!({})).await;
    page.until(&id, "Finished").await;
    assert_eq!(sums(&server.finished(&id).await)["/inputs/long"], sha256(&text));
}

#[tokio::test]
async fn inputs_of_a_queued_job_that_are_not_stored_yet_may_come_until_it_runs() {
    let server = Deskgrid::start_with_args(&["--cpus", "1"]).await;
    let blocker = server.submit(&shell(&format!("echo ready {}; sleep 1000", unique()))).await;
    let content = bytes(50);
    let key = sha256(&content);
    let id = server.submit(&summing(json!({"late": {"type": "key", "value": key}}), json!({}))).await;
    assert_eq!(stored(&server, &content).await, key);
    server.post(&format!("/q/local/j/{blocker}/cancel"), &json!({})).await;
    assert_eq!(sums(&server.finished(&id).await)["/inputs/late"], key);
}
