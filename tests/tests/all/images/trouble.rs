//! Images that cannot be had: which of the reasons it is, and what to do.

use deskgrid_tests::registry::elsewhere;
use deskgrid_tests::user::is_root;
use deskgrid_tests::{Deskgrid, Line, Options, Picture, PrivateEngine, Registry, log_text, unique};

use super::{failure_code, job, words};

const MEGABYTE: usize = 1 << 20;

#[tokio::test]
async fn an_image_that_is_not_in_its_registry_is_told_as_that() {
    let (registry, server) = (Registry::open(), Deskgrid::start().await);
    let name = registry.push(Picture::new()).await;
    for image in [format!("{name}:no-such-tag"), format!("test/{}:latest", unique())] {
        let image = format!("{}/{image}", registry.address);
        let id = server.submit(&job(&image, "true")).await;
        let finished = server.finished(&id).await;
        assert!(words(&finished).contains(&image), "{finished}");
        assert!(words(&finished).contains("does not exist in its registry"), "{finished}");
        assert_eq!(failure_code(&server, &id).await, "image-not-found");
    }
}

#[tokio::test]
async fn a_registry_that_stays_away_in_the_middle_of_a_pull_fails_the_job_and_submitted_again_it_runs() {
    let mut registry = Registry::own().await;
    let server = Deskgrid::start().await;
    let name = registry.push(Picture::new()).await;
    // The registry greets, and then its line breaks whenever it is used: nothing but the first answer comes.
    let line = Line::holding_after(&registry.address, 200).await;
    let image = format!("{}/{name}:latest", line.address);
    let definition = job(&image, "true");
    let id = server.submit(&definition).await;
    line.until_held().await;
    registry.stop().await;
    line.release();
    let finished = server.finished(&id).await;
    assert!(words(&finished).contains("registry cannot be reached"), "{finished}");
    assert_eq!(failure_code(&server, &id).await, "registry-unreachable");
    assert!(line.connections() > 4, "it was tried several times: {}", line.connections());
    registry.start_again().await;
    assert_eq!(server.submit(&definition).await, id);
    assert_eq!(server.finished(&id).await["finishedReason"], "Success");
    super::forget(&server, &image).await;
}

#[tokio::test]
async fn a_list_of_images_without_one_for_this_computer_is_told_as_that() {
    let (registry, server) = (Registry::open(), Deskgrid::start().await);
    let name = registry.push(Picture { processor: elsewhere(), in_list: true, ..Picture::new() }).await;
    let image = format!("{}/{name}:latest", registry.address);
    let id = server.submit(&job(&image, "true")).await;
    let finished = server.finished(&id).await;
    assert!(words(&finished).contains(&image), "{finished}");
    assert!(words(&finished).contains("not made for this kind of computer"), "{finished}");
    assert_eq!(failure_code(&server, &id).await, "image-wrong-platform");
}

#[tokio::test]
async fn an_image_that_does_not_fit_on_the_engine_s_disk_is_told_as_that_and_comes_when_there_is_room() {
    if !is_root() {
        return;
    }
    let mut registry = Registry::own().await;
    let name = registry.push(Picture { bytes: 20 * MEGABYTE, ..Picture::new() }).await;
    let image = format!("{}/{name}:latest", registry.address);
    registry.stop().await;
    let engine = PrivateEngine::on_disk_of("80m").await;
    engine.start().await;
    registry.start_again_for(&engine);
    let ballast = engine.disk().join("ballast");
    std::fs::write(&ballast, vec![0; 65 * MEGABYTE]).unwrap();
    let options = Options { docker_host: Some(engine.host()), ..Options::default() };
    let server = Deskgrid::start_with(options).await;
    let definition = job(&image, "wc -c < /bytes");
    let id = server.submit(&definition).await;
    let finished = server.finished(&id).await;
    let said = words(&finished);
    assert!(said.contains(&image) && said.contains("does not fit on the container engine's disk"), "{said}");
    assert_eq!(failure_code(&server, &id).await, "engine-no-space");
    std::fs::remove_file(ballast).unwrap();
    assert_eq!(server.submit(&definition).await, id);
    assert_eq!(log_text(&server.finished(&id).await).trim(), (20 * MEGABYTE).to_string());
}
