//! Registries that ask who it is: credentials from the configuration of the docker command line and from its helpers.

use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use deskgrid_tests::registry::{NAME, PASSWORD};
use deskgrid_tests::{Deskgrid, Options, Picture, Registry, log_text};
use serde_json::{Value, json};

use super::{build_log, failure_code, forget, job, words};

/// A configuration of the docker command line with this password of a registry.
pub(crate) fn auths(address: &str, password: &str) -> Value {
    let mut auths = json!({});
    auths[address] = json!({"auth": BASE64_STANDARD.encode(format!("{NAME}:{password}"))});
    json!({"auths": auths})
}

/// A server with a credential helper named `lab` on its path, which notes what it was asked for.
async fn with_helper(script: &str) -> (Deskgrid, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let helper = folder.path().join("docker-credential-lab");
    let notes = folder.path().join("asked").display().to_string();
    std::fs::write(&helper, format!("#!/bin/sh\nread asked\necho \"$1 $asked\" >> '{notes}'\n{script}\n"))
        .unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap_or_default());
    let env = vec![("PATH".to_owned(), path)];
    (Deskgrid::start_with(Options { env, ..Options::default() }).await, folder)
}

fn says(name: &str, secret: &str) -> String {
    format!("echo '{}'", json!({"ServerURL": "x", "Username": name, "Secret": secret}))
}

/// Nothing that the server wrote holds the password.
async fn keeps_the_secret(server: &Deskgrid, id: &str) {
    let encoded = BASE64_STANDARD.encode(format!("{NAME}:{PASSWORD}"));
    let result = server.get_json(&format!("/j/{id}/result.json")).await.to_string();
    let written = [server.log(), build_log(server, id).await.join("\n"), result];
    assert!(written.iter().all(|text| !text.contains(PASSWORD) && !text.contains(&encoded)), "{written:?}");
}

#[tokio::test]
async fn a_private_image_comes_with_the_password_that_docker_login_stored_even_after_a_refusal() {
    let (registry, server) = (Registry::locked(), Deskgrid::start().await);
    let image = format!("{}/{}:latest", registry.address, registry.push(Picture::new()).await);
    let definition = job(&image, "echo in");
    let id = server.submit(&definition).await;
    let finished = server.finished(&id).await;
    let login = format!("docker login {}", registry.address);
    assert!(words(&finished).contains(&image) && words(&finished).contains(&login), "{finished}");
    assert_eq!(failure_code(&server, &id).await, "image-no-access");
    // Signing in and submitting again is all it takes.
    server.configure_docker(&auths(&registry.address, PASSWORD));
    assert_eq!(server.submit(&definition).await, id);
    assert_eq!(log_text(&server.finished(&id).await), "in\n");
    keeps_the_secret(&server, &id).await;
    forget(&server, &image).await;
}

#[tokio::test]
async fn a_wrong_password_is_told_as_no_access_and_not_shown() {
    let (registry, server) = (Registry::locked(), Deskgrid::start().await);
    let image = format!("{}/{}:latest", registry.address, registry.push(Picture::new()).await);
    server.configure_docker(&auths(&registry.address, "a wrong password"));
    let id = server.submit(&job(&image, "echo in")).await;
    let finished = server.finished(&id).await;
    assert!(words(&finished).contains("may not be read by you"), "{finished}");
    assert_eq!(failure_code(&server, &id).await, "image-no-access");
    assert!(!finished.to_string().contains("a wrong password") && !server.log().contains("a wrong password"));
}

#[tokio::test]
async fn the_credential_store_is_asked_for_every_registry() {
    let registry = Registry::locked();
    let (server, folder) = with_helper(&says(NAME, PASSWORD)).await;
    let image = format!("{}/{}:latest", registry.address, registry.push(Picture::new()).await);
    server.configure_docker(&json!({"credsStore": "lab"}));
    let id = server.submit(&job(&image, "echo in")).await;
    assert_eq!(log_text(&server.finished(&id).await), "in\n");
    let asked = std::fs::read_to_string(folder.path().join("asked")).unwrap();
    assert_eq!(asked, format!("get {}\n", registry.address));
    keeps_the_secret(&server, &id).await;
    forget(&server, &image).await;
}

#[tokio::test]
async fn a_helper_of_one_registry_goes_before_the_store_of_all() {
    let registry = Registry::locked();
    let (server, _folder) = with_helper(&says(NAME, PASSWORD)).await;
    let image = format!("{}/{}:latest", registry.address, registry.push(Picture::new()).await);
    let mut helpers = json!({});
    helpers[&registry.address] = json!("lab");
    server.configure_docker(&json!({"credsStore": "is-not-there", "credHelpers": helpers}));
    let id = server.submit(&job(&image, "echo in")).await;
    assert_eq!(log_text(&server.finished(&id).await), "in\n");
    forget(&server, &image).await;
}

#[tokio::test]
async fn a_helper_that_is_missing_or_fails_is_named_and_open_images_come_all_the_same() {
    let (open, locked) = (Registry::open(), Registry::locked());
    let (server, _folder) = with_helper("echo 'the keychain is locked'; exit 1").await;
    for (name, complaint) in [("gone", "was not found"), ("lab", "the keychain is locked")] {
        server.configure_docker(&json!({"credsStore": name}));
        let program = format!("docker-credential-{name}");
        let image = format!("{}/{}:latest", locked.address, locked.push(Picture::new()).await);
        let finished = server.run(&job(&image, "echo in")).await;
        assert!(words(&finished).contains(&program) && words(&finished).contains(complaint), "{finished}");
        let image = format!("{}/{}:latest", open.address, open.push(Picture::new()).await);
        let id = server.submit(&job(&image, "echo in")).await;
        assert_eq!(log_text(&server.finished(&id).await), "in\n");
        let log = build_log(&server, &id).await;
        assert!(log[0].contains(&program) && log[0].contains(complaint), "{log:?}");
        forget(&server, &image).await;
    }
}

#[tokio::test]
async fn a_helper_that_knows_nothing_of_a_registry_is_no_obstacle() {
    let registry = Registry::open();
    let (server, _folder) = with_helper("echo 'credentials not found in native keychain'; exit 1").await;
    server.configure_docker(&json!({"credsStore": "lab"}));
    let image = format!("{}/{}:latest", registry.address, registry.push(Picture::new()).await);
    let id = server.submit(&job(&image, "echo in")).await;
    assert_eq!(log_text(&server.finished(&id).await), "in\n");
    assert!(build_log(&server, &id).await.iter().all(|line| !line.contains("docker-credential")));
    forget(&server, &image).await;
}
