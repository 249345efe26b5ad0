//! What a job left in `/outputs`: all of it comes back, and none of it can harm us.

use std::path::Path;

use deskgrid_tests::{Deskgrid, PYTHON, eventually, log_text, sha256, shell, unique};
use serde_json::{Value, json};

/// Makes everything that must not be read, followed or waited for, and a few things that must.
const HOSTILE: &str = "
import os, socket
os.chdir('/outputs')
open('file', 'w').write('inside')
os.mkfifo('pipe')
try:
    # The one device that a container may make without further rights, where its file system takes one.
    os.mknod('device', 0o660 | 0o020000, os.makedev(0, 0))
except PermissionError:
    print('/outputs/device: a device cannot even be made')
socket.socket(socket.AF_UNIX).bind('socket')
os.symlink('/etc/passwd', 'passwd')
os.symlink('../../../../../../etc/passwd', 'climbing')
os.symlink('missing', 'dangling')
os.symlink('round', 'round')
os.symlink('pipe', 'to-pipe')
os.symlink('/etc', 'etc')
os.symlink('/outputs', 'all')
os.mkdir('folder')
os.symlink('../file', 'folder/link')
os.symlink('/outputs/file', 'absolute')
os.symlink('folder/link', 'twice')
os.link('file', 'hard')
open(b'not-utf-8-\\xff', 'w').write('x')
";

/// Every name that was ever lost on its way back, and the longest.
fn names() -> Vec<String> {
    let mut names: Vec<_> = [
        "a b",
        "ü.txt",
        "what?.txt",
        "#1.txt",
        "100%.txt",
        "%2e%2e",
        "a/outputs/b",
        "outputs/c",
        "back\\slash",
        "col:on",
        "new\nline",
        "'quote\"",
        "&amp;",
        "+",
        "...",
        ".hidden",
        "-dash",
        "日本/語",
        "e\u{301}",
    ]
    .map(str::to_owned)
    .into();
    names.push("n".repeat(255));
    names.push(format!("{0}/{0}/{0}", "ü".repeat(127)));
    names
}

/// A job that runs `script` in Python.
fn python(script: &str) -> Value {
    json!({"image": PYTHON, "command": "python3 /inputs/script.py",
        "configFiles": {"script.py": {"value": format!("{script}\n# {}\n", unique())}}})
}

/// The outputs of a job that ended well.
fn outputs(finished: &Value) -> &serde_json::Map<String, Value> {
    assert_eq!(finished["finished"]["result"]["StatusCode"], 0, "{finished}");
    finished["finished"]["result"]["outputs"].as_object().expect("outputs")
}

/// Waits until nothing of any run is left in the data folder.
pub(crate) async fn until_cleared(server: &Deskgrid) {
    for folder in ["runs", "incoming"] {
        let folder = server.data().join(folder);
        eventually(&format!("{} is empty", folder.display()), async || is_empty(&folder)).await;
    }
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).expect("a folder").flatten().all(|entry| entry.file_name() == "CACHEDIR.TAG")
}

/// A name as it stands in a path of a URL.
fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/".contains(&byte);
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    name.bytes().map(encode).collect()
}

pub(crate) async fn two_thousand_files_come_back(server: &Deskgrid) {
    let script = format!(
        "i=0; while [ $i -lt 2000 ]; do mkdir -p /outputs/d$((i % 7)); echo $i {} > /outputs/d$((i % 7))/$i; \
         i=$((i + 1)); done",
        unique()
    );
    let finished = server.run(&shell(&script)).await;
    let outputs = outputs(&finished);
    assert_eq!(outputs.len(), 2000);
    for number in [0, 1, 999, 1999] {
        let path = format!("d{}/{number}", number % 7);
        let content = server.output(&finished, &path).await;
        assert!(content.starts_with(format!("{number} ").as_bytes()), "{path}");
        assert_eq!(outputs[&path]["hash"], sha256(&content));
    }
    until_cleared(server).await;
}

pub(crate) async fn closed_folders_are_read_and_removed(server: &Deskgrid) {
    let script = format!(
        "umask 077; mkdir -p /outputs/a/b/c; echo {} > /outputs/a/b/c/deep; chmod 0 /outputs/a/b/c/deep; \
         mkdir /outputs/none; echo x > /outputs/none/x; chmod 0 /outputs/none; chmod 0500 /outputs/a/b/c /outputs/a; \
         mkdir -p /inputs/closed/in; echo y > /inputs/closed/in/y; chmod 0 /inputs/closed/in /inputs/closed; \
         chmod 0700 /outputs /inputs",
        unique()
    );
    let finished = server.run(&shell(&script)).await;
    let names: Vec<_> = outputs(&finished).keys().collect();
    assert_eq!(names, ["a/b/c/deep", "none/x"]);
    assert_eq!(server.output(&finished, "none/x").await, b"x\n");
    until_cleared(server).await;
}

pub(crate) async fn hostile_things_are_named_and_left_out(server: &Deskgrid) {
    let finished = server.run(&python(HOSTILE)).await;
    let names: Vec<_> = outputs(&finished).keys().map(String::as_str).collect();
    assert_eq!(names, ["absolute", "file", "folder/link", "hard", "twice"], "{finished}");
    for name in names {
        assert_eq!(server.output(&finished, name).await, b"inside", "{name}");
    }
    let log = log_text(&finished);
    for (name, why) in [
        ("pipe", "a pipe"),
        ("device", "a device"),
        ("passwd", "lies outside"),
        ("climbing", "lies outside"),
        ("dangling", "does not exist"),
        ("round", "circle"),
        ("to-pipe", "a pipe"),
        ("etc", "lies outside"),
        ("all", "a folder"),
        ("not-utf-8-", "not UTF-8"),
    ] {
        let said = log.lines().any(|line| line.contains(&format!("/outputs/{name}")) && line.contains(why));
        assert!(said, "{name}: {why} in {log}");
    }
    assert!(!log.contains("root:"), "{log}");
    println!("{log}");
    until_cleared(server).await;
}

pub(crate) async fn any_name_comes_back(server: &Deskgrid) {
    let names = names();
    let script = "
import json, os
for name in json.load(open('/inputs/names.json')):
    path = os.path.join('/outputs', name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, 'w').write(name)";
    let mut definition = python(script);
    definition["configFiles"]["names.json"] = json!({"type": "json", "value": names});
    let id = server.submit(&definition).await;
    let finished = server.finished(&id).await;
    let mut wanted = names.clone();
    wanted.sort_unstable();
    let mut found: Vec<_> = outputs(&finished).keys().cloned().collect();
    found.sort_unstable();
    assert_eq!(found, wanted);
    for name in names {
        assert_eq!(server.output(&finished, &name).await, name.as_bytes(), "{name}");
        for base in ["", "/q/local"] {
            let path = format!("{base}/j/{id}/outputs/{}", encoded(&name));
            assert_eq!(server.get(&path).await, (200, name.clone().into_bytes()), "{path}");
        }
    }
}

pub(crate) async fn a_path_too_long_for_any_system_is_named_and_removed(server: &Deskgrid) {
    let script = "
import os
os.chdir('/outputs')
open('kept', 'w').write('x')
for _ in range(40):
    os.mkdir('d' * 200)
    os.chdir('d' * 200)
open('deep', 'w').write('x')";
    let finished = server.run(&python(script)).await;
    assert_eq!(outputs(&finished).keys().collect::<Vec<_>>(), ["kept"], "{finished}");
    assert!(log_text(&finished).contains("/outputs/ddd"), "{finished}");
    until_cleared(server).await;
}

pub(crate) async fn a_job_that_removes_outputs_has_none(server: &Deskgrid) {
    let script = format!("echo {} > /outputs/x; rm -rf /outputs; echo removed", unique());
    let finished = server.run(&shell(&script)).await;
    assert!(log_text(&finished).contains("removed\n"), "{finished}");
    assert!(outputs(&finished).is_empty(), "{finished}");
    // One that puts a link in its place has none either, as the folder cannot be replaced or the link is not followed.
    let script = format!("rm -rf /outputs; ln -s /etc /outputs; echo {}", unique());
    let finished = server.run(&shell(&script)).await;
    let outputs = outputs(&finished);
    assert!(!outputs.keys().any(|name| name.contains("passwd")), "{finished}");
    until_cleared(server).await;
}

#[tokio::test]
async fn two_thousand_files_come_back_and_leave_nothing_behind() {
    two_thousand_files_come_back(&Deskgrid::start().await).await;
}

#[tokio::test]
async fn folders_that_root_closed_are_read_and_leave_nothing_behind() {
    closed_folders_are_read_and_removed(&Deskgrid::start().await).await;
}

#[tokio::test]
async fn pipes_devices_sockets_and_links_that_leave_outputs_are_named_and_left_out() {
    hostile_things_are_named_and_left_out(&Deskgrid::start().await).await;
}

#[tokio::test]
async fn an_output_of_any_name_can_be_fetched_back() {
    any_name_comes_back(&Deskgrid::start().await).await;
}

#[tokio::test]
async fn an_output_with_a_path_too_long_for_any_system_is_named_and_leaves_nothing_behind() {
    a_path_too_long_for_any_system_is_named_and_removed(&Deskgrid::start().await).await;
}

#[tokio::test]
async fn a_job_that_removes_its_outputs_folder_has_no_outputs() {
    a_job_that_removes_outputs_has_none(&Deskgrid::start().await).await;
}

#[tokio::test]
async fn outputs_of_a_job_that_failed_by_its_exit_code_come_back_too() {
    let server = Deskgrid::start().await;
    let finished = server.run(&shell(&format!("echo {} > /outputs/partial; exit 4", unique()))).await;
    assert_eq!(finished["finished"]["result"]["StatusCode"], 4);
    assert!(finished["finished"]["result"]["outputs"]["partial"]["hash"].is_string(), "{finished}");
}
