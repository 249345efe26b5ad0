//! What images and all else cost: listed with who uses it, and removed where nobody needs it. What the person brought
//! is never touched.

use deskgrid_tests::command::{command, finish};
use deskgrid_tests::{
    BUSYBOX, Deskgrid, Options, Outcome, Picture, PrivateEngine, Registry, Web, log_text, sha256, shell,
    unique,
};
use serde_json::{Value, json};

use super::{forget, job};
use crate::administration::Desk;

const MEGABYTE: usize = 1_000_000;

/// Runs `deskgrid cache` with these words.
pub(super) async fn cache(server: &Deskgrid, words: &[&str]) -> Outcome {
    let mut command = command(&["cache"]);
    command.args(["--server", &server.address, "--data-directory"]).arg(server.data()).args(words);
    finish(command).await
}

pub(super) fn find<'a>(list: &'a Value, kind: &str, id: &str) -> Option<&'a Value> {
    list.as_array().unwrap().iter().find(|item| item["kind"] == kind && item["id"] == id)
}

/// Pulls a new image by a job, and returns the image and the job.
pub(super) async fn pulled(server: &Deskgrid, registry: &Registry) -> (String, String) {
    let name = registry.push(Picture { bytes: MEGABYTE, shares: true, ..Picture::new() }).await;
    let image = format!("{}/{name}:latest", registry.address);
    let id = server.submit(&job(&image, "echo on")).await;
    assert_eq!(log_text(&server.finished(&id).await), "on\n");
    deskgrid_tests::eventually("its container is removed", async || {
        server.engine().labelled("container.mtfm.io/id", &id).await.is_empty()
    })
    .await;
    (image, id)
}

pub(super) async fn is_here(server: &Deskgrid, image: &str) -> bool {
    server.engine().get(&format!("/images/{image}/json")).await["Id"].is_string()
}

#[tokio::test]
async fn images_that_deskgrid_pulled_are_listed_with_their_jobs_and_those_of_the_person_are_not() {
    let (registry, server) = (Registry::open(), Deskgrid::start().await);
    let (image, id) = pulled(&server, &registry).await;
    server.run(&shell(&format!(": {}", unique()))).await;
    let all = Desk::of(&server).get("/api/cache").await;
    let item = find(&all["items"], "image", &image).unwrap();
    assert_eq!(
        (&item["origin"], &item["jobs"], &item["jobCount"]),
        (&json!("pulled"), &json!([id]), &json!(1))
    );
    assert!(item["bytes"].as_u64().unwrap() > MEGABYTE as u64 && item["lastUsed"].is_u64(), "{item}");
    assert_eq!(find(&all["items"], "image", BUSYBOX), None);
    let outcome = cache(&server, &[]).await;
    let row = outcome.stdout.lines().find(|line| line.contains(&image)).unwrap();
    assert!(row.starts_with("image ") && row.contains(&id[..12]), "{row}");
    assert!(
        outcome.stdout.contains("On this disk") && outcome.stdout.contains("Inside the engine"),
        "{outcome:?}"
    );
    let listed: Value = serde_json::from_str(&cache(&server, &["list", "--json"]).await.stdout).unwrap();
    assert!(find(&listed["items"], "image", &image).is_some());
    forget(&server, &image).await;
}

#[tokio::test]
async fn a_dry_run_says_what_would_go_and_a_prune_removes_that_and_nothing_of_the_person() {
    let (registry, server) = (Registry::open(), Deskgrid::start().await);
    let (desk, engine) = (Desk::of(&server), server.engine());
    let (plain, _) = pulled(&server, &registry).await;
    let (tagged, _) = pulled(&server, &registry).await;
    let (in_container, _) = pulled(&server, &registry).await;
    // The person gives one a name of their own, has a container of another, and has a volume and an image too.
    let mine = unique();
    assert_eq!(engine.post(&format!("/images/{tagged}/tag?repo=mine&tag={mine}"), &json!({})).await.0, 201);
    let container = json!({"Image": in_container, "Cmd": ["/bin/sh"]});
    let (status, container) = engine.post(&format!("/containers/create?name=mine-{mine}"), &container).await;
    assert_eq!(status, 201, "{container}");
    engine.post("/volumes/create", &json!({"Name": mine})).await;
    let result = server.run(&shell(&format!("head -c 3000 /dev/urandom > /outputs/a; : {mine}"))).await;
    assert_eq!(result["finishedReason"], "Success");

    let dry = desk.done("/api/cache/prune", &json!({"olderThan": null, "dryRun": true})).await;
    assert!(find(&dry["list"], "image", &plain).is_some() && find(&dry["list"], "image", &tagged).is_some());
    assert_eq!(find(&dry["list"], "image", &in_container), None, "a container uses it");
    assert!(dry["list"].as_array().unwrap().iter().all(|item| item["kind"] != "jobcache"), "{dry}");
    // What images share stays with the one that stays, and what has another name stays.
    assert_eq!(dry["freed"], json!({"disk": dry["freed"]["disk"], "engine": MEGABYTE, "certainty": "exact"}));
    assert!(dry["freed"]["disk"].as_u64().unwrap() > 3000);
    let said = cache(&server, &["prune", "--dry-run"]).await;
    assert!(said.stdout.contains(&plain) && said.stdout.contains("1.0 MB inside the engine"), "{said:?}");
    assert!(said.stdout.contains("would go. It would free"), "{said:?}");
    assert!(is_here(&server, &plain).await && is_here(&server, &tagged).await, "a dry run removes nothing");
    let young = cache(&server, &["prune", "--older-than", "1d"]).await;
    assert_eq!(young.stdout, "Nothing to remove.\n");
    assert!(is_here(&server, &plain).await);

    let said = cache(&server, &["prune"]).await;
    assert!(said.stdout.contains("1.0 MB inside the engine"), "{said:?}");
    assert!(!is_here(&server, &plain).await && !is_here(&server, &tagged).await);
    assert!(is_here(&server, &format!("mine:{mine}")).await, "the person's name for it stays");
    assert!(is_here(&server, &in_container).await && is_here(&server, BUSYBOX).await);
    let container = container["Id"].as_str().unwrap();
    assert!(engine.get(&format!("/containers/{container}/json")).await["Id"].is_string());
    assert_eq!(engine.get(&format!("/volumes/{mine}")).await["Name"], mine.as_str());
    let all = desk.get("/api/cache").await;
    let kept = find(&all["items"], "image", &in_container).unwrap();
    assert_eq!((&kept["isDeletable"], &kept["why"]), (&json!(false), &json!("A container uses it")));
    engine.remove(container).await;
    engine.remove_volume(&mine).await;
    forget(&server, &format!("mine:{mine}")).await;
    forget(&server, &in_container).await;
}

#[tokio::test]
async fn an_image_that_a_waiting_or_running_job_needs_is_never_removed() {
    let (registry, server) = (Registry::open(), Deskgrid::start_with_cpus(1).await);
    let (image, _) = pulled(&server, &registry).await;
    let desk = Desk::of(&server);
    let running = server.submit(&shell(&format!("echo on; sleep 1000; : {}", unique()))).await;
    server.until_said(&running, "on").await;
    let queued = server.submit(&job(&image, "echo on; sleep 1000")).await;
    let delete = json!({"items": [{"kind": "image", "id": image}], "atOnce": true});
    let stays = async |who: &str| {
        let (status, answer) = desk.post("/api/cache/delete", &delete).await;
        assert_eq!((status, &answer["code"]), (409, &json!("not-deletable")), "{who}: {answer}");
        let said = cache(&server, &["delete", "image", &image]).await;
        assert!(said.code != 0 && said.stderr.contains("A waiting or running job needs it"), "{said:?}");
        let pruned = desk.done("/api/cache/prune", &json!({"olderThan": null, "atOnce": true})).await;
        assert_eq!(find(&pruned["list"], "image", &image), None, "{who}");
        assert!(is_here(&server, &image).await, "{who}");
    };
    stays("a queued job").await;
    desk.done(&format!("/api/jobs/{running}/cancel"), &json!({})).await;
    server.until_said(&queued, "on").await;
    stays("a running job").await;
    desk.done(&format!("/api/jobs/{queued}/cancel"), &json!({})).await;
    deskgrid_tests::eventually("it may go", async || desk.post("/api/cache/delete", &delete).await.0 == 200)
        .await;
    assert!(!is_here(&server, &image).await);
    assert_eq!(find(&desk.get("/api/cache").await["items"], "image", &image), None);
}

#[tokio::test]
async fn a_built_image_and_the_download_it_is_made_of_are_told_apart_and_go_one_by_one() {
    let server = Deskgrid::start().await;
    let desk = Desk::of(&server);
    let mark = unique();
    let web = Web::serve("200 OK", deskgrid_tests::registry::tar_of("mark", mark.as_bytes())).await;
    let address = web.url(&format!("/{mark}.tar"));
    let dockerfile = format!("FROM {BUSYBOX}\nCOPY mark /mark\n");
    let definition = json!({"build": {"context": address, "dockerfile": dockerfile}, "command": "cat /mark"});
    let id = server.submit(&definition).await;
    let finished = server.finished(&id).await;
    assert_eq!(log_text(&finished), mark, "{finished}");
    let mut all = Value::Null;
    deskgrid_tests::eventually("no container uses the image any more", async || {
        all = desk.get("/api/cache").await;
        let items = all["items"].as_array().unwrap();
        items.iter().any(|item| item["kind"] == "image" && item["isDeletable"] == true)
    })
    .await;
    let items = all["items"].as_array().unwrap();
    let image = items.iter().find(|item| item["kind"] == "image").unwrap();
    assert_eq!((&image["origin"], &image["jobs"]), (&json!("built"), &json!([id])));
    let context = items.iter().find(|item| item["kind"] == "context").unwrap();
    assert!(context["id"].as_str().unwrap().contains(&mark) && context["jobs"] == json!([id]), "{context}");
    assert!(context["bytes"].as_u64() > Some(1024), "{context}");
    assert!(items.iter().all(|item| item["kind"] != "blob"), "the download is listed once: {all}");
    let (image, context) = (image["id"].as_str().unwrap(), context["id"].as_str().unwrap());
    let said = cache(&server, &["delete", "context", context]).await;
    assert!(said.stdout.contains("1 thing went."), "{said:?}");
    assert!(is_here(&server, image).await);
    let said = cache(&server, &["delete", "image", image]).await;
    assert!(said.stdout.contains("1 thing went."), "{said:?}");
    assert!(!is_here(&server, image).await && is_here(&server, BUSYBOX).await);
    let items = desk.get("/api/cache").await["items"].clone();
    assert!(
        items.as_array().unwrap().iter().all(|item| item["kind"] != "context" && item["kind"] != "image")
    );
    assert_eq!(server.get_json(&format!("/j/{id}/result.json")).await["data"]["finishedReason"], "Success");
}

#[tokio::test]
async fn a_result_goes_by_the_beginning_of_its_id_and_says_what_the_disk_gets_back() {
    let server = Deskgrid::start().await;
    let id = server.submit(&shell(&format!("head -c 5000 /dev/urandom > /outputs/a; : {}", unique()))).await;
    server.finished(&id).await;
    let said = cache(&server, &["delete", "result", &id[..10], "--dry-run"]).await;
    // The log of the job goes too.
    assert!(said.stdout.contains(" KB on this disk, 0 B inside the engine"), "{said:?}");
    assert_eq!(server.get_json(&format!("/j/{id}/result.json")).await["data"]["finishedReason"], "Success");
    let said = cache(&server, &["delete", "result", &id[..10]]).await;
    assert!(said.stdout.contains("1 thing went."), "{said:?}");
    assert_eq!(server.get_json(&format!("/j/{id}/result.json")).await["data"], Value::Null);
    let said = cache(&server, &["delete", "result", &id]).await;
    assert!(said.code != 0 && said.stderr.contains("not in the cache any more"), "{said:?}");
    let said = cache(&server, &["prune", "--older-than", "soon"]).await;
    assert!(said.code != 0 && said.stderr.contains("is no age"), "{said:?}");
}

#[tokio::test]
async fn the_job_cache_of_a_site_is_listed_with_its_jobs_and_goes_by_name_only() {
    let origin = format!("https://{}.example", unique());
    let server = Deskgrid::start_with_args(&["--allow-origin", &origin]).await;
    let desk = Desk::of(&server);
    let definition = shell(&format!("head -c 4000 /dev/zero > /job-cache/zeros; : {}", unique()));
    let request = server.http().post(server.url("/q/local")).header("Origin", &origin);
    let answer = request.json(&json!({"definition": definition})).send().await.unwrap();
    let id = answer.json::<Value>().await.unwrap()["jobId"].as_str().unwrap().to_owned();
    server.finished(&id).await;
    let volume = format!("deskgrid-job-cache-{}", &sha256(&origin)[..32]);
    deskgrid_tests::eventually("its container is removed", async || {
        let all = desk.get("/api/cache").await;
        find(&all["items"], "jobcache", &volume).is_some_and(|item| item["isDeletable"] == true)
    })
    .await;
    let all = desk.get("/api/cache").await;
    let item = find(&all["items"], "jobcache", &volume).unwrap();
    assert_eq!((&item["jobs"], &item["bytes"]), (&json!([id]), &json!(4000)));
    let pruned = desk.done("/api/cache/prune", &json!({"olderThan": null, "dryRun": true})).await;
    assert_eq!(find(&pruned["list"], "jobcache", &volume), None);
    let said = cache(&server, &["delete", "jobcache", &volume]).await;
    assert!(said.stdout.contains("4.0 KB inside the engine"), "{said:?}");
    assert_eq!(find(&desk.get("/api/cache").await["items"], "jobcache", &volume), None);
}

#[tokio::test]
async fn an_image_that_the_person_removed_and_brought_back_is_theirs() {
    let (registry, server) = (Registry::open(), Deskgrid::start().await);
    let (image, _) = pulled(&server, &registry).await;
    forget(&server, &image).await;
    let desk = Desk::of(&server);
    assert_eq!(find(&desk.get("/api/cache").await["items"], "image", &image), None);
    server.engine().pull(&image).await;
    assert!(is_here(&server, &image).await);
    server.run(&job(&image, "echo mine")).await;
    assert_eq!(find(&desk.get("/api/cache").await["items"], "image", &image), None);
    desk.done("/api/cache/prune", &json!({"olderThan": null, "atOnce": true})).await;
    assert!(is_here(&server, &image).await);
    forget(&server, &image).await;
}

#[tokio::test]
async fn a_prune_with_an_age_takes_what_is_older_and_keeps_what_is_younger() {
    let (registry, mut server) = (Registry::open(), Deskgrid::start().await);
    let (old_image, _) = pulled(&server, &registry).await;
    let (new_image, _) = pulled(&server, &registry).await;
    let with_output = async || {
        let id = server.submit(&shell(&format!("echo {} > /outputs/a", unique()))).await;
        server.finished(&id).await;
        id
    };
    let (old, new) = (with_output().await, with_output().await);
    assert_eq!(server.terminate().await, Some(0));
    crate::administration::age(&server, &old, 3);
    let records = rusqlite::Connection::open(server.data().join("deskgrid.sqlite3")).unwrap();
    let sql = "UPDATE image SET used_at = used_at - 3 * 3600000 WHERE name = ?1";
    assert_eq!(records.execute(sql, [&old_image]).unwrap(), 1);
    drop(records);
    server.start_again().await;
    let desk = Desk::of(&server);
    deskgrid_tests::eventually("the engine is there", async || {
        find(&desk.get("/api/cache").await["items"], "image", &old_image).is_some()
    })
    .await;
    let said = cache(&server, &["prune", "--older-than", "4h"]).await;
    assert_eq!(said.stdout, "Nothing to remove.\n");
    let dry = cache(&server, &["prune", "--older-than", "2h", "--dry-run"]).await;
    let said = cache(&server, &["prune", "--older-than", "2h"]).await;
    for said in [dry, said] {
        assert!(said.stdout.contains(&old_image) && said.stdout.contains(&old[..12]), "{said:?}");
        assert!(!said.stdout.contains(&new_image) && !said.stdout.contains(&new[..12]), "{said:?}");
    }
    assert!(!is_here(&server, &old_image).await && is_here(&server, &new_image).await);
    assert_eq!(desk.row(&old).await, Value::Null);
    assert_eq!(desk.row(&new).await["phase"], "finished");
    forget(&server, &new_image).await;
}

#[tokio::test]
async fn of_what_was_built_no_more_is_said_to_be_free_than_became_free() {
    // Nobody else comes and goes in it.
    let engine = PrivateEngine::with_busybox().await;
    let options = Options { docker_host: Some(engine.host()), ..Options::default() };
    let server = Deskgrid::start_with(options).await;
    let desk = Desk::of(&server);
    let run = "head -c 3000000 /dev/urandom > /bytes";
    for name in ["one", "other"] {
        let dockerfile = format!("FROM {BUSYBOX}\nRUN {run}\nRUN echo {name} > /name\n");
        let finished =
            server.run(&json!({"build": {"dockerfile": dockerfile}, "command": "cat /name"})).await;
        assert_eq!(log_text(&finished), format!("{name}\n"), "{finished}");
    }
    let dry_run = json!({"olderThan": null, "dryRun": true});
    deskgrid_tests::eventually("their containers are removed", async || {
        let dry = desk.done("/api/cache/prune", &dry_run).await;
        dry["list"].as_array().unwrap().iter().filter(|item| item["kind"] == "image").count() == 2
    })
    .await;
    assert_eq!(desk.done("/api/cache/prune", &dry_run).await["freed"]["certainty"], "about");
    let layers =
        async || engine.client().get("/system/df?type=image").await["LayersSize"].as_u64().expect("bytes");
    let before = layers().await;
    let pruned = desk.done("/api/cache/prune", &json!({"olderThan": null, "atOnce": true})).await;
    assert_eq!(pruned["freed"]["certainty"], "about");
    assert_eq!(pruned["freed"]["engine"], before - layers().await, "{pruned}");
}
