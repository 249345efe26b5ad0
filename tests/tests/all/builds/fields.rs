//! Every field of a `build` block.

use deskgrid_tests::registry::elsewhere;
use deskgrid_tests::{BUSYBOX, Deskgrid, Picture, Registry, Web, log_text, unique};
use serde_json::json;

use super::contexts::{gzip, write};
use super::{BUILDERS, build_log, image_of, job, server_with};

#[tokio::test]
async fn every_field_has_its_effect_with_either_builder() {
    for (builder, choice) in BUILDERS {
        let server = server_with(choice).await;
        let folder = tempfile::tempdir().unwrap();
        let dockerfile = format!(
            "FROM {BUSYBOX} AS wanted\nARG WORD=default\nCOPY data /data\nRUN echo $WORD >> /data\n\
             FROM wanted\nRUN echo unwanted {} >> /data\n",
            unique()
        );
        let files =
            [("top/app/data", "from the context\n"), ("top/app/docker/Special", &dockerfile), ("top/x", "")];
        write(folder.path(), "context.tar.gz", &gzip(&files));
        let web = Web::folder(folder.path()).await;
        let build = json!({
            "buildArgs": ["WORD=given here"], "buildContext": "app", "context": web.url("/context.tar.gz"),
            "filename": "docker/Special", "platform": "linux/amd64", "target": "wanted",
        });
        let id = server.submit(&job(&build, "cat /data")).await;
        let finished = server.finished(&id).await;
        assert_eq!(log_text(&finished), "from the context\ngiven here\n", "{builder}: {finished}");
        let log = build_log(&server, &id).await;
        assert!(!log.contains("unwanted"), "{builder}: {log}");
        let image = server.engine().get(&format!("/images/{}/json", image_of(&build))).await;
        let labels = &image["Config"]["Labels"];
        assert_eq!(
            labels["deskgrid.build"],
            image_of(&build).rsplit_once(':').unwrap().1,
            "{builder}: {image}"
        );
        assert_eq!(labels["deskgrid.worker"], server.worker_id(), "{builder}");
    }
}

#[tokio::test]
async fn a_dockerfile_alone_builds_and_one_beside_a_context_is_written_over_its_own() {
    let server = Deskgrid::start().await;
    let alone = json!({"dockerfile": format!("FROM {BUSYBOX}\nRUN echo alone {} > /it\nCMD [\"cat\", \"/it\"]", unique())});
    let finished = server.run(&json!({ "build": alone })).await;
    assert!(log_text(&finished).starts_with("alone"), "{finished}");
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "c.tgz", &gzip(&[("Dockerfile", "FROM nothing"), ("data", "the context's data")]));
    let web = Web::folder(folder.path()).await;
    let both = json!({"context": web.url("/c.tgz"), "dockerfile": format!("FROM {BUSYBOX}\nCOPY data /\n")});
    let finished = server.run(&job(&both, "cat /data")).await;
    assert_eq!(log_text(&finished), "the context's data", "{finished}");
}

#[tokio::test]
async fn lines_arrive_under_the_protocols_step_names_while_the_build_goes_on() {
    let server = Deskgrid::start().await;
    let folder = tempfile::tempdir().unwrap();
    let dockerfile = format!("FROM {BUSYBOX}\nRUN echo built {}\n", unique());
    write(folder.path(), "c.tgz", &gzip(&[("Dockerfile", &dockerfile)]));
    let web = Web::folder(folder.path()).await;
    let mut page = deskgrid_tests::Page::open(&server, "local").await;
    let id = unique();
    page.submit(&id, &job(&json!({"context": web.url("/c.tgz")}), "true"), &json!({})).await;
    page.until(&id, "Finished").await;
    let frames = page.frames.iter().filter(|frame| frame["payload"]["jobId"] == id);
    let steps: Vec<_> = frames.filter_map(|frame| frame["payload"]["step"].as_str()).collect();
    assert!(steps.contains(&"cloning repo") && steps.contains(&"docker build"), "{steps:?}");
    let first_build = steps.iter().position(|step| *step == "docker build");
    assert!(steps.iter().rposition(|step| *step == "cloning repo") < first_build, "{steps:?}");
}

#[tokio::test]
async fn the_platform_of_a_block_is_that_of_its_base_and_of_its_image_with_either_builder() {
    for (builder, choice) in BUILDERS {
        let (registry, server) = (Registry::open(), server_with(choice).await);
        // The list has this platform alone, so that without the field there is nothing to begin with.
        let name = registry.push(Picture { processor: elsewhere(), in_list: true, ..Picture::new() }).await;
        let base = format!("{}/{name}:latest", registry.address);
        let dockerfile = format!("FROM {base}\nLABEL made={}\n", unique());
        let build = json!({"dockerfile": dockerfile, "platform": format!("linux/{}", elsewhere())});
        let finished = server.run(&job(&build, "echo runs")).await;
        assert_eq!(log_text(&finished), "runs\n", "{builder}: {finished}");
        let image = server.engine().get(&format!("/images/{}/json", image_of(&build))).await;
        assert_eq!(image["Architecture"], elsewhere(), "{builder}: {image}");
        server.engine().remove_image(&base).await;
    }
}
