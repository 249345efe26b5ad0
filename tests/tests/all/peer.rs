//! Who is at the other end: another user of this computer is refused, whatever his requests say.

use std::process::Output;

use deskgrid_tests::{Deskgrid, Options, sha256};
use tokio::process::Command;

const SECOND_USER: u32 = 1001;

/// What curl, run by another user, tells: the body and, on a line of its own, the status.
async fn as_user(user: u32, server: &Deskgrid, path: &str, more: &[&str]) -> String {
    let user = user.to_string();
    let output: Output = Command::new("setpriv")
        .args(["--reuid", &user, "--regid", &user, "--clear-groups"])
        .args(["curl", "--silent", "--show-error", "--noproxy", "*", "--write-out", "\n%{http_code}\n"])
        .args(more)
        .arg(server.url(path))
        .output()
        .await
        .expect("setpriv and curl are there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

#[tokio::test]
async fn another_user_of_this_computer_is_refused_with_every_request() {
    let server = Deskgrid::start_without_engine().await;
    let own = format!("Origin: {}", server.address);
    for more in [
        &[][..],
        &["--header", "Origin: https://container.mtfm.io"],
        &["--header", &own],
        &["--header", "Sec-Fetch-Site: same-origin"],
        &["--request", "POST", "--data", r#"{"definition":{"image":"a"}}"#],
    ] {
        let told = as_user(SECOND_USER, &server, "/q/local", more).await;
        assert!(told.ends_with("\n403") && told.contains("other-user"), "{more:?}: {told}");
    }
    assert_eq!(server.get_json("/q/local").await["data"], serde_json::json!({}));
}

#[tokio::test]
async fn another_user_may_read_what_he_knows_the_hash_of() {
    let server = Deskgrid::start_without_engine().await;
    let hash = sha256("told");
    server.put(&hash, b"told".to_vec()).await;
    assert_eq!(as_user(SECOND_USER, &server, &format!("/f/{hash}"), &[]).await, "told\n200");
}

#[tokio::test]
async fn another_users_guesses_are_limited() {
    let server = Deskgrid::start_without_engine().await;
    let paths: Vec<_> =
        (0..61).map(|number| server.url(&format!("/f/{}", sha256(number.to_string())))).collect();
    let more: Vec<_> = paths.iter().map(String::as_str).collect();
    let told = as_user(SECOND_USER, &server, "/f/x", &more).await;
    let statuses: Vec<_> = told.lines().filter(|line| matches!(*line, "404" | "429" | "403")).collect();
    assert_eq!((statuses.len(), statuses[59], statuses[60]), (62, "404", "429"), "{told}");
}

#[tokio::test]
async fn a_server_of_an_ordinary_user_serves_that_user_and_the_administrator_only() {
    let launcher = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"];
    let options = Options {
        launcher: launcher.map(str::to_owned).to_vec(),
        owner: Some((1000, 1000)),
        docker_host: Some("unix:///nonexistent/engine.sock".to_owned()),
        ..Options::default()
    };
    let server = Deskgrid::start_with(options).await;
    for (user, status) in [(1000, "200"), (0, "200"), (SECOND_USER, "403")] {
        let told = as_user(user, &server, "/q/local", &[]).await;
        assert!(told.ends_with(status), "{user}: {told}");
    }
}
