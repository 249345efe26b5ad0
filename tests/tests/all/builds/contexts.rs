//! Where contexts come from, and what they may not do.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use deskgrid_tests::{BUSYBOX, Deskgrid, Line, Options, Web, eventually, log_text, sha256, unique};
use serde_json::{Value, json};

use super::{build_log, error_of, has_image, image_of, job};
use crate::administration::Desk;

/// Writes a file of a folder that is served.
pub(super) fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A gzip-compressed tar of these files.
pub(super) fn gzip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, text) in files {
        append(&mut archive, name.as_bytes(), text.as_bytes());
    }
    archive.into_inner().unwrap().finish().unwrap()
}

/// Adds a file of any name, however bad.
fn append(archive: &mut tar::Builder<impl std::io::Write>, name: &[u8], bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    archive.append(&header, bytes).unwrap();
}

fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in files {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

pub(super) fn dockerfile() -> String {
    format!("FROM {BUSYBOX}\nCOPY data /data\nLABEL test={}\n", unique())
}

/// Makes a repository `x.git` in a folder that is served, whose branch `trunk` is a context with this data. Returns its
/// commit.
pub(super) fn repository(folder: &Path, data: &str) -> String {
    let git = |order: &[&str]| {
        let mut command = Command::new("git");
        for name in ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"] {
            command.env(name, "test@example.org");
        }
        let done = command.current_dir(folder).args(order).output().expect("git is installed");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "--quiet", "--initial-branch=trunk", "work"]);
    write(folder, "work/Dockerfile", dockerfile().as_bytes());
    write(folder, "work/data", data.as_bytes());
    git(&["-C", "work", "add", "--all"]);
    git(&["-C", "work", "commit", "--quiet", "-m", "first"]);
    git(&["clone", "--quiet", "--bare", "work", "x.git"]);
    git(&["-C", "x.git", "update-server-info"]);
    git(&["-C", "x.git", "rev-parse", "trunk"])
}

/// The path of a job's own data, as the image has it.
async fn data_in(server: &Deskgrid, context: &str) -> String {
    let id = server.submit(&job(&json!({ "context": context }), "cat /data")).await;
    let finished = server.finished(&id).await;
    assert_eq!(finished["finishedReason"], "Success", "{finished} {}", build_log(server, &id).await);
    log_text(&finished)
}

#[tokio::test]
async fn gzip_and_zip_wrapped_and_bare_are_told_apart_by_their_bytes() {
    let server = Deskgrid::start().await;
    let folder = tempfile::tempdir().unwrap();
    let web = Web::folder(folder.path()).await;
    for (name, prefix, is_zip) in [
        ("bare", "", false),
        ("wrapped", "top-1.0/", false),
        ("bare-zip", "", true),
        ("wrapped-zip", "top/", true),
    ] {
        let (text, dockerfile) = (format!("data of {name}"), dockerfile());
        let (data, recipe) = (format!("{prefix}data"), format!("{prefix}Dockerfile"));
        let files = [(recipe.as_str(), dockerfile.as_str()), (&data, &text)];
        write(folder.path(), name, &if is_zip { zip(&files) } else { gzip(&files) });
        assert_eq!(data_in(&server, &web.url(&format!("/{name}"))).await, text);
    }
}

#[tokio::test]
async fn a_stored_file_is_a_context_whatever_host_its_address_names() {
    let server = Deskgrid::start().await;
    let archive = gzip(&[("Dockerfile", &dockerfile()), ("data", "stored")]);
    let key = sha256(&archive);
    assert_eq!(server.put(&key, archive).await, 200);
    assert_eq!(data_in(&server, &format!("https://elsewhere.example:9/f/{key}")).await, "stored");
}

#[tokio::test]
async fn a_git_repository_is_a_context() {
    let server = Deskgrid::start().await;
    let folder = tempfile::tempdir().unwrap();
    repository(folder.path(), "of the branch");
    let web = Web::folder(folder.path()).await;
    assert_eq!(data_in(&server, &web.url("/x.git#trunk")).await, "of the branch");
    // The repository itself says which branch that is.
    assert_eq!(data_in(&server, &web.url("/x.git")).await, "of the branch");
}

#[tokio::test]
async fn the_context_of_a_commit_is_fetched_once_and_nobody_is_asked_for_it_again() {
    let server = Deskgrid::start().await;
    let folder = tempfile::tempdir().unwrap();
    let commit = repository(folder.path(), "of the commit");
    let web = Web::folder(folder.path()).await;
    let context = web.url(&format!("/x.git#{commit}"));
    assert_eq!(data_in(&server, &context).await, "of the commit");
    drop(web);
    let block = json!({"buildArgs": ["ANOTHER=block"], "context": context});
    let id = server.submit(&job(&block, "cat /data")).await;
    assert_eq!(log_text(&server.finished(&id).await), "of the commit");
    assert!(build_log(&server, &id).await.contains("was fetched before and never changes"));
}

#[tokio::test]
async fn a_job_that_is_cancelled_while_its_context_comes_ends_at_once_and_the_download_with_it() {
    let server = Deskgrid::start().await;
    let web = Web::serve("200 OK", vec![0; 4 << 20]).await;
    let line = Line::holding_after(web.url("").trim_start_matches("http://"), 1 << 20).await;
    let context = format!("http://{}/{}.tgz", line.address, unique());
    let id = server.submit(&job(&json!({ "context": context }), "true")).await;
    line.until_held().await;
    server.post(&format!("/q/local/j/{id}/cancel?namespace=*"), &json!({})).await;
    server.finished(&id).await;
    assert_eq!(Desk::of(&server).row(&id).await["reason"], "Cancelled", "although nothing comes on the line");
    eventually("we hang up", async || line.is_hung_up()).await;
}

#[tokio::test]
async fn a_repository_on_a_computer_without_git_says_what_to_install() {
    let env = vec![("PATH".to_owned(), "/nonexistent".to_owned())];
    let server = Deskgrid::start_with(Options { env, ..Options::default() }).await;
    let finished = server.run(&job(&json!({"context": "http://127.0.0.1:9/x.git"}), "true")).await;
    let error = error_of(&finished);
    assert!(error.contains("'git' is not installed") && error.contains("https://git-scm.com"), "{error}");
}

#[tokio::test]
async fn a_context_that_has_not_changed_is_not_downloaded_again() {
    let server = Deskgrid::start().await;
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "c.tgz", &gzip(&[("Dockerfile", &dockerfile()), ("data", "kept")]));
    let web = Web::folder(folder.path()).await;
    let block = |word: &str| json!({"buildArgs": [format!("X={word}")], "context": web.url("/c.tgz")});
    let first = server.submit(&job(&block("1"), "cat /data")).await;
    assert_eq!(log_text(&server.finished(&first).await), "kept");
    let second = server.submit(&job(&block("2"), "cat /data")).await;
    assert_eq!(log_text(&server.finished(&second).await), "kept");
    let (one, two) = (build_log(&server, &first).await, build_log(&server, &second).await);
    assert!(one.contains("Fetched ") && !two.contains("Fetched "), "{one}{two}");
    assert!(two.contains("It is the same as before"), "{two}");
}

/// Runs a job whose context is this archive and says why that fails.
async fn refusal(server: &Deskgrid, archive: Vec<u8>) -> String {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "c.tgz", &archive);
    let web = Web::folder(folder.path()).await;
    let block = json!({ "context": web.url("/c.tgz") });
    let id = server.submit(&job(&block, "cat /data")).await;
    let finished: Value = server.finished(&id).await;
    let error = error_of(&finished).to_owned();
    assert!(build_log(server, &id).await.contains(&error), "the build log says it too");
    assert!(!has_image(&server.engine(), &image_of(&block)).await);
    error
}

#[tokio::test]
async fn archives_that_reach_out_are_refused_whole() {
    let server = Deskgrid::start().await;
    for bad in ["../evil", "/etc/evil", "a/../../evil"] {
        let mut archive = tar::Builder::new(Vec::new());
        append(&mut archive, b"Dockerfile", dockerfile().as_bytes());
        append(&mut archive, bad.as_bytes(), b"x");
        let error = refusal(&server, archive.into_inner().unwrap()).await;
        assert!(error.contains("was refused") && error.contains("evil"), "{error}");
    }
}

#[tokio::test]
async fn links_that_lead_out_of_the_context_are_left_out_and_said() {
    let server = Deskgrid::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut archive = tar::Builder::new(Vec::new());
    append(
        &mut archive,
        b"Dockerfile",
        format!("FROM {BUSYBOX}\nCOPY . /all\nLABEL test={}", unique()).as_bytes(),
    );
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    archive.append_link(&mut header, "out", "../../../etc/passwd").unwrap();
    write(folder.path(), "c.tar", &archive.into_inner().unwrap());
    let web = Web::folder(folder.path()).await;
    let id = server.submit(&job(&json!({"context": web.url("/c.tar")}), "ls -A /all")).await;
    assert_eq!(log_text(&server.finished(&id).await), "Dockerfile\n");
    let log = build_log(&server, &id).await;
    assert!(log.contains("left \"out\" out of the build context"), "{log}");
}

#[tokio::test]
async fn a_bomb_is_refused_before_it_goes_off() {
    let server = Deskgrid::start_with_args(&["--context-size", "8m"]).await;
    let mut archive =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    append(&mut archive, b"Dockerfile", dockerfile().as_bytes());
    append(&mut archive, b"bomb", &vec![0; 64 << 20]);
    let error = refusal(&server, archive.into_inner().unwrap().finish().unwrap()).await;
    assert!(error.contains("too large"), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_give_the_context_is_named_and_the_job_runs_again_when_submitted_again() {
    let server = Deskgrid::start().await;
    let folder = tempfile::tempdir().unwrap();
    let web = Web::folder(folder.path()).await;
    let definition = job(&json!({"context": web.url("/c.tgz")}), "cat /data");
    let finished = server.run(&definition).await;
    assert!(error_of(&finished).contains("404"), "{finished}");
    write(folder.path(), "c.tgz", &gzip(&[("Dockerfile", &dockerfile()), ("data", "now")]));
    assert_eq!(log_text(&server.run(&definition).await), "now");
}
