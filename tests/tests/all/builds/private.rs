//! Builds that begin with an image which not everybody may have.

use deskgrid_tests::registry::PASSWORD;
use deskgrid_tests::{Picture, Registry, log_text};
use serde_json::json;

use super::{BUILDERS, build_log, error_of, job, server_with};
use crate::images::auths;

#[tokio::test]
async fn a_private_base_image_comes_with_the_password_that_docker_login_stored_with_either_builder() {
    for (builder, choice) in BUILDERS {
        let (registry, server) = (Registry::locked(), server_with(choice).await);
        let base = format!("{}/{}:latest", registry.address, registry.push(Picture::new()).await);
        let build = json!({"dockerfile": format!("FROM {base}\nRUN echo built > /it\n")});
        let definition = job(&build, "cat /it");
        let finished = server.run(&definition).await;
        let error = error_of(&finished);
        assert!(error.contains(&base) && error.contains("docker login"), "{builder}: {error}");
        // Signing in and submitting again is all it takes.
        server.configure_docker(&auths(&registry.address, PASSWORD));
        let id = server.submit(&definition).await;
        let finished = server.finished(&id).await;
        assert_eq!(log_text(&finished), "built\n", "{builder}: {finished}");
        let written = [server.log(), build_log(&server, &id).await, finished.to_string()];
        assert!(written.iter().all(|text| !text.contains(PASSWORD)), "{builder}: {written:?}");
        server.engine().remove_image(&base).await;
    }
}
