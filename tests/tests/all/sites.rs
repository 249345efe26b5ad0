//! Who may use the server from a web page or with the token: asked, allowed, blocked and forgotten while it runs.

use deskgrid_tests::{Deskgrid, Options, Outcome, Page, Raw, deskgrid, eventually};
use serde_json::{Value, json};

const PAGE: &str = "https://lab.example";

/// Runs `deskgrid sites` for this server, as its owner does.
async fn sites(server: &Deskgrid, args: &[&str]) -> Outcome {
    let (settings, data) = (server.settings(), server.data());
    let mut words = vec!["sites"];
    words.extend(args);
    words.extend(["--server", &server.address, "--config", settings.to_str().unwrap()]);
    words.extend(["--data-directory", data.to_str().unwrap()]);
    deskgrid(&words).await
}

fn token(server: &Deskgrid) -> String {
    std::fs::read_to_string(server.data().join("token")).unwrap().trim().to_owned()
}

async fn asked(server: &Deskgrid, origin: &str) -> (u16, Value) {
    let answer = Raw::new("GET", "/q/local").header("Origin", origin).send(server).await;
    (answer.status, answer.json())
}

async fn listed(server: &Deskgrid) -> Value {
    let answer = Raw::new("GET", "/api/sites").header("Authorization", format!("Bearer {}", token(server)));
    let answer = answer.send(server).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn origins(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|site| site["origin"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn look_alikes_of_allowed_pages_are_refused_over_http_and_sockets() {
    let server = Deskgrid::start_without_engine().await;
    for origin in [
        "null",
        "http://metapage.io",
        "https://metapage.io:444",
        "https://metapage.io:443",
        "https://metapage.io.",
        "https://metapage.io/",
        "https://Metapage.io",
        "HTTPS://metapage.io",
        "https://evil.metapage.io",
        "https://metapage.io.evil.example",
        "https://evilmetapage.io",
        "https://metapage.io@evil.example",
        "https://metapage.io, https://evil.example",
        "http://localhost",
        "http://localhost:1",
        "file://",
    ] {
        assert_eq!(asked(&server, origin).await.0, 403, "{origin}");
        let socket = Page::open_from(&server.url("/q/local/client"), Some(origin)).await;
        assert_eq!(socket.err(), Some(403), "{origin}");
    }
    for origin in ["https://metapage.io", "https://app.metapage.io", "https://container.mtfm.io"] {
        assert_eq!(asked(&server, origin).await.0, 200, "{origin}");
        assert!(Page::open_from(&server.url("/q/local/client"), Some(origin)).await.is_ok(), "{origin}");
    }
}

#[tokio::test]
async fn an_unknown_page_is_told_what_to_do_waits_once_and_works_when_it_is_allowed() {
    let server = Deskgrid::start_without_engine().await;
    for _ in 0..3 {
        let (status, body) = asked(&server, PAGE).await;
        assert_eq!((status, &body["code"]), (403, &json!("origin-not-allowed")), "{body}");
        assert_eq!(body["command"], "deskgrid sites allow https://lab.example");
        assert_eq!(body["doctor"], server.url("/doctor"));
    }
    let list = listed(&server).await;
    assert_eq!(origins(&list["pending"]), [PAGE]);
    assert_eq!(list["pending"][0]["count"], 3);
    assert!(sites(&server, &[]).await.stdout.contains("asks     https://lab.example"));

    let allowed = sites(&server, &["allow", PAGE]).await;
    assert_eq!(
        (allowed.code, allowed.stdout.as_str()),
        (0, "https://lab.example is allowed.\n"),
        "{allowed:?}"
    );
    assert_eq!(asked(&server, PAGE).await.0, 200);
    let mut page = Page::open_from(&server.url("/q/local/client"), Some(PAGE)).await.ok().unwrap();
    page.ping().await;
    let list = listed(&server).await;
    assert_eq!((origins(&list["pending"]).len(), origins(&list["allowed"]).contains(&PAGE)), (0, true));
}

#[tokio::test]
async fn a_block_closes_open_sockets_and_never_asks_again_until_it_is_forgotten() {
    let server = Deskgrid::start_without_engine().await;
    sites(&server, &["allow", PAGE]).await;
    let mut page = Page::open_from(&server.url("/q/local/client"), Some(PAGE)).await.ok().unwrap();
    page.ping().await;
    assert_eq!(sites(&server, &["block", PAGE]).await.code, 0);
    assert_eq!(page.closed().await.0, 1008);
    let (status, body) = asked(&server, PAGE).await;
    assert_eq!((status, &body["code"]), (403, &json!("origin-blocked")), "{body}");
    let list = listed(&server).await;
    assert_eq!((origins(&list["blocked"]), origins(&list["pending"]).len()), (vec![PAGE], 0));

    assert_eq!(sites(&server, &["forget", PAGE]).await.code, 0);
    assert_eq!(asked(&server, PAGE).await.1["code"], "origin-not-allowed");
    assert_eq!(origins(&listed(&server).await["pending"]), [PAGE]);
}

#[tokio::test]
async fn a_shipped_page_can_be_blocked_too() {
    let server = Deskgrid::start_without_engine().await;
    assert_eq!(sites(&server, &["block", "https://metapage.io"]).await.code, 0);
    assert_eq!(asked(&server, "https://metapage.io").await.1["code"], "origin-blocked");
    assert_eq!(asked(&server, "https://app.metapage.io").await.0, 200);
}

#[tokio::test]
async fn once_lasts_until_the_server_stops_and_is_not_written_down() {
    let mut server = Deskgrid::start_without_engine().await;
    let once = sites(&server, &["allow", "--once", PAGE]).await;
    assert_eq!(once.code, 0, "{once:?}");
    assert_eq!(asked(&server, PAGE).await.0, 200);
    server.terminate().await;
    server.start_again().await;
    assert_eq!(asked(&server, PAGE).await.0, 403);
    assert_eq!(std::fs::read_to_string(server.settings()).unwrap(), "");
}

#[tokio::test]
async fn decisions_and_last_use_are_written_between_the_persons_own_lines() {
    let mut server = Deskgrid::start_without_engine().await;
    server.terminate().await;
    let own = "# my lab\nmemory   = \"1g\"   # enough\n";
    std::fs::write(server.settings(), own).unwrap();
    server.start_again().await;
    sites(&server, &["allow", PAGE]).await;
    asked(&server, PAGE).await;
    let text = || std::fs::read_to_string(server.settings()).unwrap();
    eventually("the last use is written", async || text().contains("last_used = ")).await;
    let text = text();
    assert!(text.starts_with(own), "{text}");
    assert!(
        text.contains("[[sites]]\norigin = \"https://lab.example\"\ndecision = \"allow\"\nsince = "),
        "{text}"
    );
}

#[tokio::test]
async fn a_decision_without_a_server_holds_at_its_next_start() {
    let mut server = Deskgrid::start_without_engine().await;
    server.terminate().await;
    let noted = sites(&server, &["allow", PAGE]).await;
    assert!(noted.code == 0 && noted.stdout.contains("No server runs"), "{noted:?}");
    let list = sites(&server, &["list"]).await;
    assert!(list.stdout.contains("allowed  https://lab.example"), "{list:?}");
    assert_eq!(sites(&server, &["allow", "--once", PAGE]).await.code, 2);
    server.start_again().await;
    assert_eq!(asked(&server, PAGE).await.0, 200);
}

#[tokio::test]
async fn a_decision_written_by_hand_is_taken_on_while_the_server_runs() {
    let server = Deskgrid::start_without_engine().await;
    let site = format!("[[sites]]\norigin = '{PAGE}'\ndecision = 'allow'\n");
    std::fs::write(server.settings(), site).unwrap();
    eventually("the page is let in", async || asked(&server, PAGE).await.0 == 200).await;
}

#[tokio::test]
async fn the_administration_needs_the_right_token_and_takes_no_page() {
    let server = Deskgrid::start_without_engine().await;
    let right = format!("Bearer {}", token(&server));
    let get = |path: &str| Raw::new("GET", path);
    for path in ["/api/sites", "/api/settings"] {
        let none = get(path).send(&server).await;
        assert_eq!((none.status, &none.json()["code"]), (401, &json!("token-needed")), "{path}");
        let wrong = get(path).header("Authorization", "Bearer 123").send(&server).await;
        assert_eq!((wrong.status, &wrong.json()["code"]), (401, &json!("token-wrong")), "{path}");
        let query = get(&format!("{path}?token={}", token(&server))).send(&server).await;
        assert_eq!(query.status, 401, "{path}");
        let good = get(path).header("Authorization", &right).send(&server).await;
        assert_eq!(good.status, 200, "{path}: {}", good.text());
        for page in ["https://metapage.io", PAGE, "null"] {
            let page = get(path).header("Authorization", &right).header("Origin", page).send(&server).await;
            assert_eq!(page.status, 403, "{path}");
        }
        let own = get(path).header("Origin", &server.address).send(&server).await;
        assert_eq!(own.status, 401, "{path}");
    }
    assert!(origins(&listed(&server).await["pending"]).is_empty());
    for _ in 0..30 {
        get("/api/sites").header("Authorization", "Bearer 123").send(&server).await;
    }
    let tired = get("/api/sites").header("Authorization", "Bearer 123").send(&server).await;
    assert_eq!((tired.status, &tired.json()["code"]), (429, &json!("too-many-tries")));
    assert_eq!(get("/api/sites").header("Authorization", &right).send(&server).await.status, 200);
    assert!(!server.log().contains(&token(&server)));
}

#[cfg(unix)]
#[tokio::test]
async fn the_token_is_for_its_owners_eyes_and_stays_the_same() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut server = Deskgrid::start_without_engine().await;
    let path = server.data().join("token");
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    let first = token(&server);
    assert!(first.len() == 64 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    server.terminate().await;
    server.start_again().await;
    assert_eq!(token(&server), first);
}

#[tokio::test]
async fn another_address_to_listen_on_makes_every_request_need_the_token() {
    let args = vec!["--listen".to_owned(), "0.0.0.0".to_owned()];
    let server = Deskgrid::start_with(Options { args, ..Options::default() }).await;
    let right = format!("Bearer {}", token(&server));
    for path in ["/", "/health", "/q/local", &format!("/f/{}", "0".repeat(64))] {
        let none = Raw::new("GET", path).send(&server).await;
        assert_eq!(none.status, 401, "{path}");
        let page = Raw::new("GET", path).header("Origin", "https://metapage.io").send(&server).await;
        assert_eq!(page.status, 401, "{path}");
        let good = Raw::new("GET", path).header("Authorization", &right).send(&server).await;
        assert!(matches!(good.status, 200 | 404), "{path}: {}", good.status);
    }
    let socket = Page::open_from(&server.url("/q/local/client"), None).await;
    assert_eq!(socket.err(), Some(401));
    assert_eq!(sites(&server, &["list"]).await.code, 0);
}

#[tokio::test]
async fn the_administration_deletes_a_job_for_everyone() {
    let server = Deskgrid::start_without_engine().await;
    let id = server.submit(&json!({"image": "a"})).await;
    let delete = |authorization: String| {
        Raw::new("POST", &format!("/api/jobs/{id}/discard")).header("Authorization", authorization)
    };
    assert_eq!(delete("Bearer x".into()).send(&server).await.status, 401);
    assert_eq!(server.get(&format!("/j/{id}")).await.0, 200);
    let deleted = delete(format!("Bearer {}", token(&server))).send(&server).await;
    assert_eq!(deleted.status, 200, "{}", deleted.text());
    let path = format!("/j/{id}");
    deskgrid_tests::eventually("it is gone", async || server.get(&path).await.0 == 404).await;
}
