//! What a job's container is (protocol section 6).

use std::collections::BTreeMap;

use deskgrid_tests::{AS_USER, BUSYBOX, Deskgrid, log_text, quoted, shell, unique};
use serde_json::json;

#[tokio::test]
async fn shared_memory_cpus_and_memory_are_as_asked_for() {
    let server = Deskgrid::start().await;
    let mut definition = shell(&format!("df -k /dev/shm | tail -n 1; echo ready {}; sleep 1000", unique()));
    definition["shmSize"] = json!("2g");
    definition["requirements"] = json!({"cpus": 0.5, "memory": "64m"});
    let id = server.submit(&definition).await;
    server.until_said(&id, "ready").await;
    let host = server.engine().container_of(&id).await["HostConfig"].take();
    assert_eq!(host["NanoCpus"], 500_000_000);
    assert_eq!((&host["Memory"], &host["MemorySwap"]), (&json!(64 << 20), &json!(64 << 20)));
    assert_eq!(host["Privileged"], false);
    let log = server.get_json(&format!("/j/{id}/run-logs.json")).await;
    let size = log["data"][0][0].as_str().and_then(|line| line.split_whitespace().nth(1));
    assert_eq!(size, Some("2097152"), "{log}");
}

#[tokio::test]
async fn the_container_carries_the_labels_and_the_network_of_the_protocol() {
    let server = Deskgrid::start().await;
    let definition = shell(&format!("echo ready {}; sleep 1000", unique()));
    let (_, answer) = server.post("/q/my%20queue", &json!({"definition": definition})).await;
    let id = answer["jobId"].as_str().expect("an id").to_owned();
    server.until_said(&id, "ready").await;
    let engine = server.engine();
    let container = engine.container_of(&id).await;
    let labels = &container["Config"]["Labels"];
    for (name, wanted) in
        [("", "true"), ("/id", &id), ("/queue", "my queue"), ("/worker", &server.worker_id())]
    {
        assert_eq!(labels[format!("container.mtfm.io{name}")], wanted);
    }
    assert_eq!(container["Config"]["Tty"], false);
    let networks = container["NetworkSettings"]["Networks"].as_object().expect("networks");
    let names: Vec<_> = networks.keys().collect();
    assert_eq!(names, ["metaframe-container-worker-network"]);
    let network = engine.get("/networks/metaframe-container-worker-network").await;
    assert_eq!(network["Driver"], "bridge");
    assert_eq!((&network["Internal"], &network["Scope"]), (&json!(false), &json!("local")));
}

#[tokio::test]
async fn the_environment_is_the_jobs_own_and_then_ours() {
    let server = Deskgrid::start().await;
    let definition = json!({"image": BUSYBOX, "command": "env",
        "env": {"MINE": unique(), "JOB_ID": "forged", "JOB_INPUTS": "/forged"}});
    let id = server.submit(&definition).await;
    let log = log_text(&server.finished(&id).await);
    let env: BTreeMap<_, _> = log.lines().filter_map(|line| line.split_once('=')).collect();
    let base = &server.address;
    for (name, wanted) in [
        ("MINE", definition["env"]["MINE"].as_str().expect("text")),
        ("JOB_ID", &id),
        ("JOB_INPUTS", "/inputs"),
        ("JOB_OUTPUTS", "/outputs"),
        ("JOB_CACHE", "/job-cache"),
        ("JOB_URL_PREFIX", &format!("{base}/j/{id}")),
        ("JOB_OUTPUTS_URL_PREFIX", &format!("{base}/j/{id}/outputs/")),
        ("JOB_INPUTS_URL_PREFIX", &format!("{base}/j/{id}/inputs/")),
    ] {
        assert_eq!(env.get(name), Some(&wanted), "{name} in {log}");
    }
    assert!(!env.contains_key("CUDA_VISIBLE_DEVICES"), "{log}");
}

#[tokio::test]
async fn the_root_of_a_container_has_our_three_folders_and_the_first_process_of_the_engine() {
    let server = Deskgrid::start().await;
    let definition = json!({"image": BUSYBOX, "command": "ls -a", "env": {"ONLY": unique()}});
    let finished = server.run(&definition).await;
    let log = log_text(&finished);
    let wanted = ". .. .dockerenv bin dev etc home inputs job-cache outputs proc root sbin sys tmp usr var";
    assert_eq!(log.lines().collect::<Vec<_>>().join(" "), wanted);
    assert_eq!(finished["finished"]["result"]["outputs"], json!({}));
}

#[tokio::test]
async fn an_image_with_a_user_of_its_own_can_write_to_inputs_and_outputs() {
    let server = Deskgrid::start().await;
    let script = "id -u; cat /inputs/deep/in; echo more >> /inputs/deep/in; echo x > /inputs/new; \
                  echo y > /inputs/deep/new; mkdir /outputs/deep; cp /inputs/deep/in /outputs/deep/out";
    let mut definition = shell(script);
    definition["image"] = json!(AS_USER);
    definition["inputs"] = json!({"deep/in": {"value": format!("{}\n", unique())}});
    let finished = server.run(&definition).await;
    assert_eq!(finished["finished"]["result"]["StatusCode"], 0, "{finished}");
    assert!(log_text(&finished).starts_with("1000\n"), "{finished}");
    let input = definition["inputs"]["deep/in"]["value"].as_str().expect("text");
    assert_eq!(server.output(&finished, "deep/out").await, format!("{input}more\n").as_bytes());
}

#[tokio::test]
async fn jobs_share_the_job_cache() {
    let server = Deskgrid::start().await;
    let name = unique();
    let first = server.run(&shell(&format!("echo kept > /job-cache/{name}"))).await;
    assert_eq!(first["finished"]["result"]["StatusCode"], 0, "{first}");
    let second = server.run(&shell(&format!("cat /job-cache/{name}; rm /job-cache/{name}"))).await;
    assert_eq!(log_text(&second), "kept\n");
}

#[tokio::test]
async fn containers_cannot_reach_each_other() {
    let server = Deskgrid::start_with_args(&["--cpus", "2"]).await;
    let listener = shell(&format!(
        "(while :; do nc -l -p 4000 -e echo secret; done) & \
         until nc 127.0.0.1 4000 </dev/null | grep secret; do :; done; echo ready {}; sleep 1000",
        unique()
    ));
    let id = server.submit(&listener).await;
    server.until_said(&id, "ready").await;
    let container = server.engine().container_of(&id).await;
    let networks = container["NetworkSettings"]["Networks"].as_object().expect("networks");
    let address =
        networks.values().next().and_then(|network| network["IPAddress"].as_str()).expect("an address");
    let script = format!(
        "nc -w 2 {address} 4000 </dev/null; echo code $?; nc -w 2 {} 4000 </dev/null; echo code $?",
        &container["Id"].as_str().expect("an id")[..12]
    );
    let finished =
        server.run(&json!({"image": BUSYBOX, "command": format!("sh -c {}", quoted(&script))})).await;
    let log = log_text(&finished);
    assert!(!log.contains("secret"), "{log}");
    assert_eq!(log.matches("code 1").count(), 2, "{log}");
}
