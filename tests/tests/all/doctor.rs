//! The page that tests the connection, in a real browser.

use deskgrid_tests::browser::Browser;
use deskgrid_tests::{Deskgrid, Raw};

fn shows(text: &str) -> String {
    format!("Boolean(document.body && document.body.innerText.includes({text:?}))")
}

#[tokio::test]
async fn the_doctor_shows_in_a_real_browser_what_works_and_what_does_not() {
    let server = Deskgrid::start_without_engine().await;
    let mut browser = Browser::open(&server.url("/doctor")).await;
    browser.until("document.querySelector('#here')?.dataset.done === 'yes'").await;
    let text = browser.text().await;
    for finding in [
        "This browser reaches Deskgrid",
        "A socket opens and carries messages both ways",
        "The container engine is not ready",
        "This browser lets web pages reach Deskgrid after you allowed them",
    ] {
        assert!(text.contains(finding), "{finding}: {text}");
    }
}

#[tokio::test]
async fn the_doctor_follows_a_page_from_its_first_request_to_its_invitation() {
    let server = Deskgrid::start_without_engine().await;
    let mut browser = Browser::open(&server.url("/doctor?origin=https://new.example/some/page")).await;
    browser.until(&shows("You have not allowed pages of https://new.example yet")).await;
    browser.until(&shows("Nothing of https://new.example has arrived")).await;
    Raw::new("GET", "/health").header("Origin", "https://new.example").send(&server).await;
    browser.until(&shows("Requests of https://new.example get through the browser to Deskgrid")).await;
    std::fs::write(server.settings(), "allowed_origins = [\"https://new.example\"]").unwrap();
    browser.until(&shows("Deskgrid lets pages of https://new.example run jobs")).await;
}

#[tokio::test]
async fn what_is_no_address_is_shown_as_text_and_asked_for_again() {
    let server = Deskgrid::start_without_engine().await;
    let mut browser = Browser::open(&server.url("/doctor?origin=<img src=x>")).await;
    browser.until(&shows("This is no address of a web page")).await;
    assert_eq!(browser.run("document.querySelectorAll('img').length").await, 0);
}
