//! The page of a job, and addresses that lead nowhere.

use deskgrid_tests::{Deskgrid, Raw};
use serde_json::json;

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[tokio::test]
async fn a_browser_gets_a_page_for_a_job_and_a_script_gets_json() {
    let server = Deskgrid::start_without_engine().await;
    let definition = json!({"image": "a"});
    let id = server.submit(&definition).await;
    for path in [format!("/j/{id}"), format!("/q/local/j/{id}")] {
        let page = Raw::new("GET", &path).header("Accept", BROWSER).send(&server).await;
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        assert!(page.text().to_lowercase().starts_with("<!doctype html>"), "{}", page.text());
        assert!(page.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
        for accept in ["*/*", "application/json"] {
            let answer = Raw::new("GET", &path).header("Accept", accept).send(&server).await;
            assert_eq!((answer.status, answer.json()), (200, json!({"data": {"definition": definition}})));
            assert!(answer.head.to_lowercase().contains("vary: accept"), "{}", answer.head);
        }
    }
    let json_path = format!("/j/{id}.json");
    let answer = Raw::new("GET", &json_path).header("Accept", BROWSER).send(&server).await;
    assert_eq!((answer.status, &answer.json()["data"]["definition"]), (200, &definition));
}

#[tokio::test]
async fn everything_a_page_asks_for_is_served_here() {
    let server = Deskgrid::start_without_engine().await;
    let job = Raw::new("GET", "/j/unknown").header("Accept", BROWSER).send(&server).await;
    assert_eq!((job.status, job.header("content-type")), (404, Some("text/html; charset=utf-8")));
    let first = Raw::new("GET", "/").header("Accept", BROWSER).send(&server).await;
    assert_eq!(first.status, 200);
    let text = job.text() + &first.text();
    let links = text.split(['"', '\'']).filter(|word| word.starts_with('/') && word.contains('.'));
    let links: Vec<_> = links.collect();
    assert!(!links.is_empty(), "{text}");
    for link in links {
        assert_eq!(server.get(link).await.0, 200, "{link}");
    }
}

#[tokio::test]
async fn an_address_that_leads_nowhere_and_a_wrong_method_are_told_in_words() {
    let server = Deskgrid::start_without_engine().await;
    let answer = Raw::new("GET", "/q/local/nothing").send(&server).await;
    assert_eq!((answer.status, &answer.json()["code"]), (404, &json!("no-such-path")));
    assert!(answer.text().contains("/q/local/nothing"), "{}", answer.text());
    let answer = Raw::new("DELETE", "/q/local").send(&server).await;
    assert_eq!((answer.status, &answer.json()["code"]), (405, &json!("no-such-method")));
    assert!(answer.text().contains("DELETE"), "{}", answer.text());
    let answer = Raw::new("GET", "/q/local/client").send(&server).await;
    assert_eq!((answer.status, &answer.json()["code"]), (426, &json!("websocket-only")));
}
