//! How much one client may have: each bound at its limit and over it, and the headers that guard every answer.

use deskgrid_tests::{Deskgrid, OnSmallDisk, Options, Page, Raw, eventually, sha256};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

const PAGE: &str = "https://container.mtfm.io";
const STRANGER: &str = "https://evil.example";
const MOST_JOBS: usize = 1000;
const MOST_SOCKETS: usize = 64;
const MOST_GUESSES: usize = 60;
const QUOTA: u64 = 20_000_000_000;

fn definition(number: usize) -> Value {
    json!({"image": "a", "command": format!("echo {number}")})
}

/// Posts a job as a page does.
async fn post(server: &Deskgrid, origin: &str, queue: &str, definition: &Value) -> (u16, Value) {
    let request = server.http().post(server.url(&format!("/q/{queue}"))).header("origin", origin);
    let answer = request.json(&json!({"definition": definition})).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn cancel(server: &Deskgrid, origin: &str, id: &str) {
    let url = server.url(&format!("/q/local/j/{id}/cancel"));
    let answer = server.http().post(url).header("origin", origin).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn an_address_may_have_16_kibibytes_and_no_more() {
    let server = Deskgrid::start_without_engine().await;
    let path = |length: usize| format!("/health?{}", "x".repeat(length - "/health?".len()));
    assert_eq!(Raw::new("GET", &path(16 * 1024)).send(&server).await.status, 200);
    let answer = Raw::new("GET", &path(16 * 1024 + 1)).send(&server).await;
    assert_eq!((answer.status, &answer.json()["code"]), (414, &json!("address-too-long")));
    assert_eq!(Raw::new("GET", &path(100_000)).send(&server).await.status, 414);
}

#[tokio::test]
async fn headers_are_limited_in_number_and_in_size() {
    let server = Deskgrid::start_without_engine().await;
    // Two are there already: Connection and Host.
    let many = |count: usize| {
        (2..count).fold(Raw::new("GET", "/health"), |raw, number| raw.header(&format!("x-{number}"), 1))
    };
    assert_eq!(many(100).send(&server).await.status, 200);
    let answer = many(101).send(&server).await;
    assert_eq!((answer.status, &answer.json()["code"]), (431, &json!("head-too-large")));
    assert_eq!(many(1000).send(&server).await.status, 431);
    let large = |size: usize| Raw::new("GET", "/health").header("Cookie", "x".repeat(size));
    assert_eq!(large(65_000).send(&server).await.status, 200);
    let answer = large(65_600).send(&server).await;
    assert_eq!((answer.status, &answer.json()["code"]), (431, &json!("head-too-large")));
    assert_eq!(large(1_000_000).send(&server).await.status, 431);
}

#[tokio::test]
async fn a_page_may_have_64_sockets_and_a_closed_one_makes_room() {
    let server = Deskgrid::start_without_engine().await;
    let open = async |queue: &str, origin| {
        Page::open_from(&server.url(&format!("/q/{queue}/client")), Some(origin)).await
    };
    let mut pages = Vec::new();
    for number in 0..MOST_SOCKETS {
        pages.push(open(if number % 2 == 0 { "local" } else { "other" }, PAGE).await.expect("it opens"));
    }
    assert_eq!(open("third", PAGE).await.err(), Some(429));
    assert!(open("local", "https://metapage.io").await.is_ok());
    let answer = refusal_of_socket(&server).await;
    assert_eq!(answer["code"], "too-many-sockets", "{answer}");
    pages.pop().expect("one").close().await;
    eventually("a place is free again", async || open("local", PAGE).await.is_ok()).await;
}

/// What a page would read of the refusal, if its browser let it.
async fn refusal_of_socket(server: &Deskgrid) -> Value {
    let headers = [
        ("origin", PAGE),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
    ];
    let request = server.http().get(server.url("/q/local/client"));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_page_may_wait_for_1000_jobs_in_all_its_queues() {
    let server = Deskgrid::start_without_engine().await;
    let mut ids = Vec::new();
    for number in 0..MOST_JOBS {
        let queue = if number % 2 == 0 { "local" } else { "other" };
        let (status, answer) = post(&server, PAGE, queue, &definition(number)).await;
        assert_eq!(status, 200, "{number}: {answer}");
        ids.push(answer["jobId"].as_str().expect("an id").to_owned());
    }
    let (status, answer) = post(&server, PAGE, "third", &definition(MOST_JOBS)).await;
    assert_eq!((status, &answer["code"]), (429, &json!("too-many-jobs")), "{answer}");
    // What it waits for already may be submitted again, and others are not held up.
    assert_eq!(post(&server, PAGE, "local", &definition(0)).await.0, 200);
    assert_eq!(post(&server, "https://metapage.io", "local", &definition(MOST_JOBS)).await.0, 200);
    server.submit(&definition(MOST_JOBS + 1)).await;

    let url = server.url("/q/local/client");
    let mut page = Page::open_from(&url, Some(PAGE)).await.expect("it opens");
    let late = "a".repeat(64);
    page.submit(&late, &definition(MOST_JOBS + 2), &json!({})).await;
    page.ping().await;
    assert_eq!(server.get(&format!("/j/{late}.json")).await.0, 404);
    assert!(server.log().contains("may not submit more"), "{}", server.log());
    // A page repeats what it does not see, and is taken in as soon as there is room.
    cancel(&server, PAGE, &ids[0]).await;
    page.submit(&late, &definition(MOST_JOBS + 2), &json!({})).await;
    page.until(&late, "Queued").await;
}

/// The answer to the head of an upload of so many bytes of which none is sent, or nothing when it is waited for.
async fn announced(server: &Deskgrid, origin: Option<&str>, length: u64) -> Option<u16> {
    let mut request =
        Raw::new("PUT", "/f/large").header("Content-Length", length).header("Expect", "100-continue");
    if let Some(origin) = origin {
        request = request.header("Origin", origin);
    }
    let mut stream = request.send_and_stay(server).await;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.expect("an answer");
    let status = std::str::from_utf8(&head[9..]).expect("ASCII").parse().expect("a status");
    Some(status).filter(|status| *status != 100)
}

/// A server that has more room than any quota, wherever the tests run.
async fn with_much_room() -> OnSmallDisk {
    OnSmallDisk::start_with(64_000, Options::without_engine()).await
}

#[tokio::test]
async fn a_page_may_upload_20_gigabytes_and_a_program_as_much_as_fits() {
    let on = with_much_room().await;
    let server = &on.server;
    assert_eq!(announced(server, Some(PAGE), QUOTA).await, None);
    assert_eq!(announced(server, Some(PAGE), QUOTA + 1).await, Some(507));
    assert_eq!(announced(server, None, QUOTA + 1).await, None);
    let put = |name: &str| Raw::new("PUT", &format!("/f/{name}")).header("Origin", PAGE).body("x");
    assert_eq!(put("small").send(server).await.status, 200);
    // The byte that was stored counts.
    assert_eq!(announced(server, Some(PAGE), QUOTA).await, Some(507));
    let refused = Raw::new("PUT", "/f/large").header("Origin", PAGE).header("Content-Length", QUOTA);
    let answer = refused.send(server).await;
    assert_eq!((answer.status, &answer.json()["code"]), (507, &json!("upload-quota")), "{}", answer.text());
    assert_eq!(announced(server, Some("https://metapage.io"), QUOTA).await, None);
}

#[tokio::test]
async fn the_same_file_uploaded_again_counts_once() {
    let on = with_much_room().await;
    let server = &on.server;
    let hash = sha256("again");
    for _ in 0..3 {
        let put = Raw::new("PUT", &format!("/f/{hash}")).header("Origin", PAGE).body("again");
        assert_eq!(put.send(server).await.status, 200);
    }
    assert_eq!(announced(server, Some(PAGE), QUOTA - 5).await, None);
    assert_eq!(announced(server, Some(PAGE), QUOTA - 4).await, Some(507));
}

#[tokio::test]
async fn strangers_may_guess_60_files_a_minute_and_invited_pages_and_programs_as_many_as_they_like() {
    let server = Deskgrid::start_without_engine().await;
    let here = sha256("here");
    server.put(&here, b"here".to_vec()).await;
    let read = |headers: &[(&'static str, &'static str)], name: &str| {
        let request = server.http().get(server.url(&format!("/f/{name}")));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        async move { request.send().await.expect("an answer").status().as_u16() }
    };
    let page: &[(&str, &str)] = &[("origin", STRANGER), ("sec-fetch-site", "cross-site")];
    let image: &[(&str, &str)] = &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")];
    for stranger in [page, image] {
        for number in 0..MOST_GUESSES {
            assert_eq!(read(stranger, &here).await, 200);
            assert_eq!(read(stranger, &sha256(number.to_string())).await, 404);
        }
        assert_eq!(read(stranger, &sha256("60")).await, 429);
        assert_eq!(read(stranger, &here).await, 429);
    }
    assert_eq!(read(&[("origin", "https://other.example")], &here).await, 200);
    for honest in [&[][..], &[("origin", PAGE)]] {
        for number in 0..2 * MOST_GUESSES {
            assert_eq!(read(honest, &sha256(number.to_string())).await, 404);
        }
    }
    let refused = Raw::new("GET", &format!("/f/{here}")).header("Origin", STRANGER).send(&server).await;
    assert_eq!((refused.status, &refused.json()["code"]), (429, &json!("too-many-misses")));
    assert_eq!(refused.header("retry-after"), Some("60"));
}

#[tokio::test]
async fn every_page_of_ours_runs_nothing_but_our_files_and_lets_nobody_frame_it() {
    let server = Deskgrid::start_without_engine().await;
    let id = server.submit(&definition(0)).await;
    for path in ["/", "/doctor", "/doctor?origin=https://a.example", &format!("/j/{id}"), "/j/unknown"] {
        let answer = Raw::new("GET", path).header("Accept", "text/html").send(&server).await;
        let policy = answer.header("content-security-policy").expect("a policy");
        for rule in ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'", "base-uri 'none'"]
        {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path} {name}");
        }
    }
}

#[tokio::test]
async fn every_other_answer_is_lifeless_and_only_what_is_read_by_hash_may_be_embedded() {
    let server = Deskgrid::start_without_engine().await;
    let hash = sha256("x");
    server.put(&hash, b"x".to_vec()).await;
    server.put("x.html", b"<script></script>".to_vec()).await;
    let id =
        server.submit(&json!({"image": "a", "inputs": {"x.html": {"value": "<script></script>"}}})).await;
    for path in [
        "/health",
        "/metrics",
        "/q/local",
        "/q/local/status",
        "/nothing",
        "/f/x.html",
        "/ui/doctor/doctor.js",
        "/q/local/client",
        "/doctor/origin.json?origin=https://a.example",
        &format!("/f/{hash}/exists"),
        &format!("/j/{id}/definition.json"),
        &format!("/j/{id}/result.json"),
    ] {
        let answer = Raw::new("GET", path).send(&server).await;
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"), "{path}");
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("sandbox"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    let stranger = Raw::new("GET", "/health").header("Origin", STRANGER).send(&server).await;
    assert_eq!(stranger.header("cross-origin-resource-policy"), Some("same-origin"));
    for path in [format!("/f/{hash}"), format!("/j/{id}/inputs/x.html")] {
        let answer = Raw::new("GET", &path).send(&server).await;
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("cross-origin"), "{path}");
        assert!(answer.header("content-security-policy").expect("a policy").contains("sandbox"), "{path}");
    }
}

#[tokio::test]
async fn the_doctor_knows_whether_a_page_is_allowed_and_was_heard_of_and_tells_no_page() {
    let server = Deskgrid::start_without_engine().await;
    let ask = async |origin: &str| server.get_json(&format!("/doctor/origin.json?origin={origin}")).await;
    let known = ask(PAGE).await;
    assert_eq!((&known["standing"], &known["secondsSinceHeard"]), (&json!("allowed"), &Value::Null));
    assert_eq!(ask(STRANGER).await["standing"], "unknown");
    Raw::new("GET", "/health").header("Origin", STRANGER).send(&server).await;
    let heard = ask(STRANGER).await;
    assert!(heard["secondsSinceHeard"].is_u64(), "{heard}");
    assert_eq!(ask("nonsense").await["standing"], "none");
    let page = Raw::new("GET", &format!("/doctor/origin.json?origin={STRANGER}")).header("Origin", PAGE);
    let answer = page.send(&server).await;
    assert_eq!((answer.status, &answer.json()["code"]), (403, &json!("not-for-pages")));
    let answer = Raw::new("GET", "/doctor/origin.json").send(&server).await;
    assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("bad-query")));
}
