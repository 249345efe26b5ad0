//! An image goes with the last result that it was built for.

use deskgrid_tests::{
    BUSYBOX, Deskgrid, Line, Options, Page, PrivateEngine, Web, eventually, log_text, unique,
};
use serde_json::{Value, json};

use super::{build_log, has_image, image_of, job};
use crate::administration::Desk;

#[tokio::test]
async fn deleting_a_result_removes_its_image_unless_another_kept_job_has_it() {
    let server = Deskgrid::start().await;
    let build = json!({"dockerfile": format!("FROM {BUSYBOX}\nRUN echo {} > /id\n", unique())});
    let (image, engine) = (image_of(&build), server.engine());
    let first = job(&build, "cat /id");
    let ids = [server.submit(&first).await, server.submit(&job(&build, "/bin/sh -c 'cat /id'")).await];
    for id in &ids {
        server.finished(id).await;
    }
    let mut page = Page::open(&server, "local").await;
    page.end(&ids[0], "Deleted", None).await;
    page.until_true(|page| !page.jobs.contains_key(&ids[0])).await;
    assert!(has_image(&engine, &image).await);
    page.end(&ids[1], "Deleted", None).await;
    eventually("the image goes", async || !has_image(&engine, &image).await).await;
    // Submitted again, it is built again.
    let id = server.submit(&first).await;
    server.finished(&id).await;
    assert!(build_log(&server, &id).await.contains("RUN echo"));
}

#[tokio::test]
async fn an_image_that_somebody_removed_is_built_again() {
    let server = Deskgrid::start().await;
    let build = json!({"dockerfile": format!("FROM {BUSYBOX}\nRUN echo {} > /id\n", unique())});
    let first = server.run(&job(&build, "cat /id")).await;
    server.engine().remove_image(&image_of(&build)).await;
    let second = server.run(&job(&build, "/bin/sh -c 'cat /id'")).await;
    assert_eq!(log_text(&first), log_text(&second));
}

#[tokio::test]
async fn deleting_a_job_that_runs_removes_its_image_when_its_container_is_gone() {
    let server = Deskgrid::start().await;
    let build = json!({"dockerfile": format!("FROM {BUSYBOX}\nRUN echo {} > /id\n", unique())});
    let id = server.submit(&job(&build, "/bin/sh -c 'echo running; sleep 1000'")).await;
    server.until_said(&id, "running").await;
    let mut page = Page::open(&server, "local").await;
    page.end(&id, "Deleted", None).await;
    let (image, engine) = (image_of(&build), server.engine());
    eventually("the image goes", async || !has_image(&engine, &image).await).await;
}

#[tokio::test]
async fn an_image_that_somebody_removes_before_the_container_is_made_is_built_again_for_this_very_run() {
    let server = Deskgrid::start().await;
    let desk = Desk::of(&server);
    let build = json!({"dockerfile": format!("FROM {BUSYBOX}\nRUN echo {} > /id\n", unique())});
    let first = server.run(&job(&build, "cat /id")).await;
    // An input that takes its time keeps the run between the two.
    let web = Web::serve("200 OK", "late").await;
    let line = Line::holding_after(web.url("").trim_start_matches("http://"), 0).await;
    let mut definition = job(&build, "cat /id /inputs/in");
    definition["inputs"] =
        json!({"in": {"type": "url", "value": format!("http://{}/{}", line.address, unique())}});
    let id = server.submit(&definition).await;
    line.until_held().await;
    eventually("the image is found", async || {
        let timeline = desk.get(&format!("/api/jobs/{id}")).await["timeline"].clone();
        let mut stages = timeline.as_array().into_iter().flatten();
        stages.any(|stage| stage["name"] == "image" && stage["end"].is_u64())
    })
    .await;
    server.engine().remove_image(&image_of(&build)).await;
    line.release();
    assert_eq!(log_text(&server.finished(&id).await), format!("{}late", log_text(&first)));
    assert!(build_log(&server, &id).await.contains("RUN echo"));
}

/// Deletes a finished job, and waits until it is not on record any more.
async fn delete(server: &Deskgrid, id: &str) {
    let mut page = Page::open(server, "local").await;
    page.end(id, "Deleted", None).await;
    eventually("the job is gone", async || Desk::of(server).row(id).await == Value::Null).await;
}

/// A built image that stays although its result is deleted, as a container of the person's has it; image and container.
async fn held(server: &Deskgrid) -> (String, String) {
    let (engine, mark) = (server.engine(), unique());
    let build = json!({"dockerfile": format!("FROM {BUSYBOX}\nRUN echo {mark} > /id\n")});
    let id = server.submit(&job(&build, "cat /id")).await;
    server.finished(&id).await;
    let container = json!({"Image": image_of(&build), "Cmd": ["/bin/sh"]});
    let (status, container) = engine.post(&format!("/containers/create?name=mine-{mark}"), &container).await;
    assert_eq!(status, 201, "{container}");
    delete(server, &id).await;
    eventually("its removal was tried", async || server.log().contains("the image stays for now")).await;
    assert!(has_image(&engine, &image_of(&build)).await, "nothing is removed by force");
    (image_of(&build), container["Id"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_image_that_a_container_of_the_person_holds_goes_soon_after_that() {
    let server = Deskgrid::start().await;
    let (engine, (image, container)) = (server.engine(), held(&server).await);
    engine.remove(&container).await;
    eventually("the image goes", async || !has_image(&engine, &image).await).await;
}

#[tokio::test]
async fn an_image_that_a_container_of_the_person_holds_goes_at_a_later_start() {
    let mut server = Deskgrid::start().await;
    let (engine, (image, container)) = (server.engine(), held(&server).await);
    server.kill().await;
    engine.remove(&container).await;
    assert!(has_image(&engine, &image).await);
    server.start_again().await;
    eventually("the image goes", async || !has_image(&engine, &image).await).await;
}

#[tokio::test]
async fn an_image_whose_engine_is_away_goes_when_that_is_back() {
    let engine = PrivateEngine::with_busybox().await;
    let options = Options { docker_host: Some(engine.host()), ..Options::default() };
    let server = Deskgrid::start_with(options).await;
    let build = json!({"dockerfile": format!("FROM {BUSYBOX}\nRUN echo {} > /id\n", unique())});
    let id = server.submit(&job(&build, "cat /id")).await;
    server.finished(&id).await;
    engine.stop().await;
    delete(&server, &id).await;
    engine.start().await;
    let client = engine.client();
    eventually("the image goes", async || !has_image(&client, &image_of(&build)).await).await;
}
