//! Who may call: host names, origins, preflights.

use deskgrid_tests::{Deskgrid, Options, Raw, sha256};

const PAGE: &str = "https://container.mtfm.io";
const STRANGER: &str = "https://evil.example";

#[tokio::test]
async fn an_allowed_page_is_told_that_it_may_read_every_answer_even_a_refusal() {
    let server = Deskgrid::start_without_engine().await;
    let own = server.address.clone();
    for origin in [PAGE, "https://metapage.io", own.as_str()] {
        for (path, status) in [("/q/local", 200), ("/q/local/j/unknown", 404), ("/f/unknown", 404)] {
            let answer = Raw::new("GET", path).header("Origin", origin).send(&server).await;
            assert_eq!(answer.status, status, "{origin} {path}");
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin), "{path}");
            assert_eq!(answer.header("access-control-allow-credentials"), Some("true"), "{path}");
            assert!(answer.head.to_lowercase().contains("vary: origin"), "{}", answer.head);
        }
    }
}

#[tokio::test]
async fn a_page_that_is_not_allowed_is_refused_in_words_that_name_it() {
    let server = Deskgrid::start_without_engine().await;
    let submission = r#"{"definition":{"image":"a"}}"#;
    for (method, path) in [("GET", "/q/local"), ("POST", "/q/local"), ("PUT", "/f/data"), ("GET", "/f/data")]
    {
        let request = Raw::new(method, path).header("Origin", STRANGER).body(submission);
        let answer = request.send(&server).await;
        assert_eq!(answer.status, 403, "{method} {path}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{method} {path}");
        let json = answer.json();
        assert_eq!(json["code"], "origin-not-allowed", "{method} {path}");
        assert!(json["error"].as_str().unwrap().contains(STRANGER), "{json}");
    }
    assert_eq!(server.get_json("/q/local").await["data"], serde_json::json!({}));
    assert_eq!(server.get("/f/data").await.0, 404);
}

#[tokio::test]
async fn further_pages_can_be_allowed_at_the_start() {
    let args = vec!["--allow-origin".to_owned(), STRANGER.to_owned()];
    let server = Deskgrid::start_with(Options { args, ..Options::default() }).await;
    let answer = Raw::new("GET", "/q/local").header("Origin", STRANGER).send(&server).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(STRANGER)));
}

#[tokio::test]
async fn a_preflight_on_any_path_is_answered_with_methods_and_the_asked_headers() {
    let server = Deskgrid::start_without_engine().await;
    for path in ["/q/local", "/f/data", "/q/local/j/x/cancel", "/j/x/copy", "/nothing/here"] {
        let answer = Raw::new("OPTIONS", path)
            .header("Origin", PAGE)
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "content-type,x-own")
            .header("Access-Control-Request-Private-Network", "true")
            .send(&server)
            .await;
        assert_eq!((answer.status, answer.text().as_str()), (204, ""), "{path}");
        for (name, value) in [
            ("access-control-allow-origin", PAGE),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "GET, HEAD, POST, PUT, DELETE, OPTIONS"),
            ("access-control-allow-headers", "content-type,x-own"),
            ("access-control-max-age", "86400"),
            ("access-control-allow-private-network", "true"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path} {name}");
        }
    }
}

#[tokio::test]
async fn a_file_read_by_its_hash_is_open_to_pages_of_every_origin() {
    let server = Deskgrid::start_without_engine().await;
    let hash = sha256("open");
    server.put(&hash, b"open".to_vec()).await;
    let path = format!("/f/{hash}");
    for origin in [STRANGER, "null"] {
        for method in ["GET", "HEAD"] {
            let answer = Raw::new(method, &path).header("Origin", origin).send(&server).await;
            assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("*")));
        }
        let preflight = Raw::new("OPTIONS", &path)
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "GET")
            .header("Access-Control-Request-Headers", "content-type");
        let answer = preflight.send(&server).await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("access-control-allow-headers"), Some("content-type"));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    }
}

#[tokio::test]
async fn a_stranger_may_not_even_ask_to_write() {
    let server = Deskgrid::start_without_engine().await;
    for (path, method) in [("/q/local", "POST"), (format!("/f/{}", sha256("x")).as_str(), "PUT")] {
        let preflight = Raw::new("OPTIONS", path)
            .header("Origin", STRANGER)
            .header("Access-Control-Request-Method", method);
        let answer = preflight.send(&server).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None), "{path}");
    }
}

#[tokio::test]
async fn a_stranger_without_an_origin_is_known_by_what_its_browser_says() {
    let server = Deskgrid::start_without_engine().await;
    let image = Raw::new("GET", "/q/local/status").header("Sec-Fetch-Site", "cross-site").send(&server).await;
    assert_eq!((image.status, &image.json()["code"]), (403, &"cross-site".into()));
    let own = Raw::new("GET", "/q/local/status").header("Sec-Fetch-Site", "same-origin").send(&server).await;
    assert_eq!(own.status, 200);
}

#[tokio::test]
async fn only_names_of_this_computer_are_answered_to() {
    let server = Deskgrid::start_without_engine().await;
    let port = server.port();
    for host in ["localhost", "127.0.0.1", "[::1]", "LocalHost"] {
        let answer = Raw::new("GET", "/health").header("Host", format!("{host}:{port}")).send(&server).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "OK"), "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "localhost:1", "localhost", "", "a b"] {
        let answer = Raw::new("GET", "/health").header("Host", host).send(&server).await;
        assert!(matches!(answer.status, 400 | 403), "{host}: {}", answer.status);
    }
    let rebound = format!("evil.example:{port}");
    let answer = Raw::new("GET", "/q/local").header("Host", &rebound).send(&server).await;
    assert_eq!((answer.status, &answer.json()["code"]), (403, &"host-not-allowed".into()));
    let words = answer.text();
    assert!(words.contains(&rebound) && words.contains(&format!("http://localhost:{port}")), "{words}");
}

#[tokio::test]
async fn a_request_without_a_host_or_with_two_is_refused() {
    let server = Deskgrid::start_without_engine().await;
    let host = format!("localhost:{}", server.port());
    let two = Raw::new("GET", "/health").header("Host", &host).header("Host", "evil.example");
    for request in [Raw::new("GET", "/health").without_host(), two] {
        let answer = request.send(&server).await;
        assert_eq!(answer.status, 400, "{}", answer.head);
        assert_eq!(answer.json()["code"], "host-missing");
    }
}
