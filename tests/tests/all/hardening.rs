//! What a job may do: its rights and limits, seen from outside and from within, and what ordinary images need of them.

mod reach;
mod sites;

use deskgrid_tests::{BUSYBOX, Deskgrid, PYTHON, R, log_text, quoted, shell, unique};
use serde_json::{Value, json};

/// Docker's own rights less `NET_BIND_SERVICE`, `NET_RAW`, `MKNOD` and `AUDIT_WRITE`, as the kernel's mask.
const RIGHTS: &str = "CapEff:\t00000000800401fb";

/// Runs `script` in the shell of `image`; it must succeed. Returns what it wrote.
async fn in_image(server: &Deskgrid, image: &str, script: &str) -> String {
    let mut definition = shell(&format!(": {}\nset -e\n{script}", unique()));
    definition["image"] = json!(image);
    let finished = server.run(&definition).await;
    assert_eq!(finished["finished"]["result"]["StatusCode"], 0, "{}\n{finished}", log_text(&finished));
    log_text(&finished)
}

#[tokio::test]
async fn whatever_a_definition_says_its_container_gets_nothing_of_this_computer() {
    let server = Deskgrid::start().await;
    let host = json!({"Privileged": true, "Binds": ["/:/host"], "NetworkMode": "host", "PidMode": "host",
        "IpcMode": "host", "CapAdd": ["ALL"], "Devices": [{"PathOnHost": "/dev/vda", "PathInContainer": "/dev/vda"}],
        "SecurityOpt": ["seccomp=unconfined"], "UTSMode": "host", "UsernsMode": "host", "CgroupParent": "/"});
    let mut definition = json!({
        "image": BUSYBOX, "command": format!("sh -c {}", quoted(&format!("echo ready {}; sleep 1000", unique()))),
        "privileged": true, "HostConfig": host, "hostConfig": host, "host_config": host,
        "volumes": ["/var/run/docker.sock:/var/run/docker.sock"], "binds": ["/:/host"],
        "mounts": [{"Type": "bind", "Source": "/", "Target": "/host"}], "network": "host", "networkMode": "host",
        "pid": "host", "ipc": "host", "capAdd": ["SYS_ADMIN"], "cap_add": ["ALL"], "devices": ["/dev/mem"],
        "securityOpt": ["apparmor=unconfined"], "runtime": "other", "user": "0", "gpus": "all",
        "env": {"DOCKER_HOST": "unix:///var/run/docker.sock", "NVIDIA_VISIBLE_DEVICES": "all"},
        "requirements": {"privileged": true, "devices": ["/dev/mem"]}
    });
    for (name, value) in host.as_object().expect("an object").clone() {
        definition[name] = value;
    }
    let id = server.submit(&definition).await;
    server.until_said(&id, "ready").await;
    let container = server.engine().container_of(&id).await;
    let host = &container["HostConfig"];
    assert_eq!(host["Privileged"], false);
    assert_eq!(host["NetworkMode"], "metaframe-container-worker-network");
    for name in ["Binds", "CapAdd", "Devices", "DeviceRequests", "VolumesFrom", "GroupAdd", "ExtraHosts"] {
        assert!(host[name].is_null() || host[name] == json!([]), "{name}: {host}");
    }
    for name in ["PidMode", "UTSMode", "UsernsMode", "CgroupParent"] {
        assert_eq!(host[name], "", "{name}: {host}");
    }
    assert_eq!((&host["IpcMode"], &host["Runtime"]), (&json!("private"), &json!("runc")), "{host}");
    let places: Vec<_> =
        host["Mounts"].as_array().into_iter().flatten().map(|mount| &mount["Target"]).collect();
    assert!(
        places.iter().all(|place| ["/inputs", "/outputs", "/job-cache"].iter().any(|ours| place == ours)),
        "{host}"
    );
    let env = container["Config"]["Env"].to_string();
    assert!(
        env.contains("NVIDIA_VISIBLE_DEVICES=void") && !env.contains("NVIDIA_VISIBLE_DEVICES=all"),
        "{env}"
    );
}

#[tokio::test]
async fn each_container_has_limits_that_no_job_asked_for() {
    let server = Deskgrid::start_with_args(&["--memory", "512m"]).await;
    let id = server.submit(&shell(&format!("echo ready {}; sleep 1000", unique()))).await;
    server.until_said(&id, "ready").await;
    let host = server.engine().container_of(&id).await["HostConfig"].take();
    assert_eq!((&host["Memory"], &host["MemorySwap"]), (&json!(512 << 20), &json!(512 << 20)), "{host}");
    assert_eq!((&host["PidsLimit"], &host["Init"]), (&json!(4096), &json!(true)), "{host}");
    assert_eq!(host["SecurityOpt"], json!(["no-new-privileges"]));
    assert_eq!(host["CapDrop"], json!(["NET_RAW", "MKNOD", "AUDIT_WRITE", "NET_BIND_SERVICE"]));
    assert_eq!(host["LogConfig"], json!({"Type": "json-file", "Config": {"max-size": "1g"}}));
    let files = &host["Ulimits"][0];
    assert_eq!((&files["Name"], &files["Soft"]), (&json!("nofile"), &files["Hard"]), "{host}");
    assert!(files["Hard"].as_u64().is_some_and(|most| most <= 65_536), "{host}");
}

#[tokio::test]
async fn the_rights_of_a_container_are_few_and_stay_so() {
    let server = Deskgrid::start().await;
    let log = in_image(&server, BUSYBOX, "grep -E 'CapEff|NoNewPrivs' /proc/self/status; ulimit -n").await;
    assert!(log.contains(RIGHTS) && log.contains("NoNewPrivs:\t1"), "{log}");
    let files = log.lines().last().and_then(|line| line.parse::<u64>().ok());
    assert!(files.is_some_and(|files| files <= 65_536), "{log}");
    let log = in_image(&server, BUSYBOX, "mknod /tmp/memory c 1 1 2>/dev/null || echo refused").await;
    assert!(log.ends_with("refused\n"), "{log}");
}

#[tokio::test]
async fn a_job_without_an_own_limit_ends_when_it_takes_all_memory_that_jobs_may_use() {
    let server = Deskgrid::start_with_args(&["--memory", "64m"]).await;
    let finished = server.run(&shell(&format!(": {}; exec tail /dev/zero", unique()))).await;
    assert_eq!(finished["finished"]["result"]["StatusCode"], 137, "{finished}");
    assert!(log_text(&finished).contains("its limit was 64 MB"), "{finished}");
}

#[tokio::test]
async fn python_runs_and_has_no_raw_sockets() {
    let server = Deskgrid::start().await;
    let program = "import socket, subprocess, tempfile, multiprocessing\n\
                   try:\n    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)\n    print('raw')\n\
                   except PermissionError:\n    print('no raw socket')\n\
                   with tempfile.TemporaryFile() as file:\n    file.write(b'x')\n\
                   with multiprocessing.Pool(2) as pool:\n    print(sum(pool.map(abs, [-1, -2])))\n\
                   server = socket.create_server(('', 80))\n\
                   print(subprocess.run(['id', '-u'], capture_output=True, text=True).stdout)\n";
    let log = in_image(&server, PYTHON, &format!("python3 -c {}", quoted(program))).await;
    assert_eq!(log, "no raw socket\n3\n0\n\n");
}

#[tokio::test]
async fn r_draws_a_picture() {
    let server = Deskgrid::start().await;
    let mut definition = json!({"image": R, "env": {"ONLY": unique()}});
    definition["command"] = json!("Rscript /inputs/plot.R");
    let program = "png('/outputs/plot.png', type = 'cairo')\nplot(cars)\ninvisible(dev.off())\n\
                   pdf('/outputs/plot.pdf')\nhist(rnorm(100))\ninvisible(dev.off())\n\
                   print(unlist(parallel::mclapply(1:2, function(x) x * x, mc.cores = 2)))\n";
    definition["inputs"] = json!({"plot.R": {"value": program}});
    let finished = server.run(&definition).await;
    assert_eq!(finished["finished"]["result"]["StatusCode"], 0, "{}", log_text(&finished));
    assert!(log_text(&finished).contains("[1] 1 4"), "{finished}");
    assert!(server.output(&finished, "plot.png").await.starts_with(b"\x89PNG"));
    assert!(server.output(&finished, "plot.pdf").await.starts_with(b"%PDF"));
}

#[tokio::test]
async fn root_can_install_packages_make_users_and_act_as_them() {
    let server = Deskgrid::start().await;
    let script = "mkdir -p /tmp/hello/DEBIAN /tmp/hello/usr/bin; cd /tmp
        printf 'Package: hello-there\\nVersion: 1\\nArchitecture: all\\nMaintainer: a <a@b.c>\\nDescription: x\\n' \
            > hello/DEBIAN/control
        printf '#!/bin/sh\\nchown _apt /var/lib/hello || exit 1; chmod 4755 /usr/bin/hello-there\\n' > hello/DEBIAN/postinst
        mkdir -p hello/var/lib/hello; printf '#!/bin/sh\\necho hello\\n' > hello/usr/bin/hello-there
        chmod 755 hello/DEBIAN/postinst hello/usr/bin/hello-there
        dpkg-deb --build hello hello.deb >&2
        apt-get install -y --no-install-recommends ./hello.deb >&2
        hello-there; stat -c '%U %a' /var/lib/hello /usr/bin/hello-there
        useradd --create-home somebody
        setpriv --reuid=somebody --regid=somebody --clear-groups id -un
        su somebody -c 'touch ~/mine; stat -c %U ~/mine; rm ~/mine'
        kill -0 1; chroot / true";
    let log = in_image(&server, PYTHON, script).await;
    let said: Vec<_> =
        log.lines().filter(|line| ["hello", "_apt 755", "root 4755", "somebody"].contains(line)).collect();
    assert_eq!(said, ["hello", "_apt 755", "root 4755", "somebody", "somebody"], "{log}");
    assert!(!log.contains("W: ") && !log.contains("E: "), "{log}");
}

#[tokio::test]
async fn a_config_file_cannot_hide_what_a_container_needs() {
    let server = Deskgrid::start().await;
    for path in
        ["/proc/self/x", "/sys", "/dev/null", "/etc/resolv.conf", "/etc", "/outputs", "/sbin/docker-init"]
    {
        let definition = json!({"image": BUSYBOX, "configFiles": {path: {"value": unique()}}});
        let (status, answer) = server.post("/q/local", &json!({"definition": definition})).await;
        assert_eq!(status, 400, "{path}: {answer}");
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(error.contains(path) && error.contains("would hide"), "{error}");
    }
}

#[tokio::test]
async fn the_page_of_a_job_gets_no_secret_values_and_clients_get_them_word_for_word() {
    let server = Deskgrid::start_without_engine().await;
    let secret = unique();
    let definition = json!({"image": BUSYBOX, "env": {"API_TOKEN": secret, "PLAIN": "shown"}});
    let id = server.submit(&definition).await;
    let shown: Value = server.get_json(&format!("/j/{id}.json?secrets=masked")).await;
    assert!(!shown.to_string().contains(&secret) && shown.to_string().contains("shown"), "{shown}");
    let exact = server.get_json(&format!("/j/{id}/definition.json")).await;
    assert_eq!(exact["data"], definition);
    let (_, script) = server.get("/ui/job/job.js").await;
    assert!(String::from_utf8_lossy(&script).contains(".json?secrets=masked"));
}
