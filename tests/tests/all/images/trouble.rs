//! Images that cannot be had: which of the reasons it is, and what to do.

use deskgrid_tests::registry::elsewhere;
use deskgrid_tests::{Deskgrid, Line, Picture, Registry, unique};

use super::{failure_code, job, words};

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
    assert!(words(&finished).contains("not made for this kind of computer"), "{finished}");
    assert_eq!(failure_code(&server, &id).await, "image-wrong-platform");
}
