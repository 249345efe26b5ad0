//! With the real program and repositories served on localhost, by `git http-backend` and as plain files.

use std::path::Path;
use std::process::Command;

use super::*;
use crate::testing::{Kept, Served, Server, fetch, names};
use crate::{Downloads, Limits};

/// A repository with a commit on `main`, a branch `feature/x` of one more, and a tag `v1` on the first.
struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    fn new() -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap() };
        repository.git(&["init", "--quiet", "--initial-branch=trunk", "work"]);
        repository.write("sub/Dockerfile", "FROM scratch");
        repository.commit("first");
        repository.git(&["-C", "work", "tag", "-a", "-m", "one", "v1"]);
        repository.git(&["-C", "work", "checkout", "--quiet", "-b", "feature/x"]);
        repository.write("sub/more", "more");
        repository.commit("second");
        repository.git(&["-C", "work", "checkout", "--quiet", "trunk"]);
        repository.git(&["clone", "--quiet", "--bare", "work", "x.git"]);
        repository.git(&["-C", "x.git", "update-server-info"]);
        repository
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join("work").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn commit(&self, message: &str) {
        self.git(&["-C", "work", "add", "--all"]);
        self.git(&["-C", "work", "commit", "--quiet", "-m", message]);
    }

    fn git(&self, order: &[&str]) -> String {
        let names = ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"];
        let output = Command::new("git")
            .current_dir(self.folder.path())
            .envs(names.map(|name| (name, "test@example.org")))
            .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")])
            .args(order)
            .output()
            .expect("these tests need the program git, which `setup/packages test` installs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

#[tokio::test]
async fn branch_tag_commit_and_default_branch_of_a_repository_are_fetched() {
    let repository = Repository::new();
    let server = Server::start(Served::Git(repository.path().to_owned(), None)).await;
    let first = repository.git(&["-C", "work", "rev-parse", "trunk"]);
    let second = repository.git(&["-C", "work", "rev-parse", "feature/x"]);
    let (short, all) = (&first[..10], ["sub", "sub/Dockerfile", "sub/more"]);
    for (reference, commit, files) in [
        ("", &first, &all[..2]),
        ("#trunk", &first, &all[..2]),
        ("#v1", &first, &all[..2]),
        ("#feature/x", &second, &all[..]),
        (&format!("#{second}"), &second, &all[..]),
        (&format!("#{short}"), &first, &all[..2]),
    ] {
        let (kept, fetched) = fetch(&server.url(&format!("/x.git{reference}")), None).await.unwrap();
        assert_eq!(fetched, Fetched::Archive { etag: Some(commit.clone()) }, "{reference}");
        assert_eq!(names(&kept), files, "{reference}");
    }
}

#[tokio::test]
async fn a_repository_that_is_served_as_plain_files_is_fetched() {
    let repository = Repository::new();
    let server = Server::start(Served::Files(repository.path().to_owned())).await;
    let (kept, _) = fetch(&server.url("/x.git#feature/x"), None).await.unwrap();
    assert_eq!(names(&kept), ["sub", "sub/Dockerfile", "sub/more"]);
}

#[tokio::test]
async fn a_folder_of_a_repository_is_the_context() {
    let repository = Repository::new();
    let server = Server::start(Served::Git(repository.path().to_owned(), None)).await;
    let (kept, _) = fetch(&server.url("/x.git#:sub"), None).await.unwrap();
    assert_eq!(names(&kept), ["Dockerfile"]);
    for missing in ["/x.git#:nothing", "/x.git#:sub/Dockerfile"] {
        let error = fetch(&server.url(missing), None).await.unwrap_err();
        assert_eq!(error.code(), "context-no-such-folder", "{missing}");
    }
}

#[tokio::test]
async fn a_commit_that_is_known_is_not_fetched_again() {
    let repository = Repository::new();
    let server = Server::start(Served::Git(repository.path().to_owned(), None)).await;
    for reference in ["", "#v1", "#feature/x"] {
        let url = server.url(&format!("/x.git{reference}"));
        let (_, fetched) = fetch(&url, None).await.unwrap();
        let Fetched::Archive { etag } = fetched else { panic!("{reference}") };
        let (kept, fetched) = fetch(&url, etag.as_deref()).await.unwrap();
        assert_eq!((kept.bytes.len(), fetched), (0, Fetched::NotModified), "{reference}");
        let (kept, fetched) = fetch(&url, Some("0123456789")).await.unwrap();
        assert!(!kept.bytes.is_empty() && fetched != Fetched::NotModified, "{reference}");
    }
}

#[tokio::test]
async fn a_password_opens_a_repository_and_is_in_no_error() {
    let repository = Repository::new();
    let header = Some("Basic bWU6czNjcmV0".to_owned());
    let server = Server::start(Served::Git(repository.path().to_owned(), header)).await;
    let (kept, _) = fetch(&server.url_as("me:s3cret", "/x.git"), None).await.unwrap();
    assert_eq!(names(&kept), ["sub", "sub/Dockerfile"]);
    let error = fetch(&server.url_as("me:s3cretwrong", "/x.git"), None).await.unwrap_err();
    assert_eq!(error.code(), "context-unavailable");
    assert!(error.is_closed() && error.to_string().contains("put a token in it"), "{error}");
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
}

#[tokio::test]
async fn a_password_does_not_follow_git_to_another_server() {
    let repository = Repository::new();
    let other = Server::start(Served::Git(repository.path().to_owned(), None)).await;
    let server = Server::start(Served::Redirect(other.url(""))).await;
    assert!(fetch(&server.url_as("me:s3cret", "/x.git"), None).await.is_err());
    assert_eq!(other.seen(), [] as [String; 0]);
    fetch(&server.url("/x.git"), None).await.unwrap();
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let repository = Repository::new();
    let server = Server::start(Served::Git(repository.path().to_owned(), None)).await;
    for (path, word) in
        [("/x.git#nothing", "nothing"), ("/y.git", "not found"), ("/x.git#abcdef0", "abcdef0")]
    {
        let error = fetch(&server.url(path), None).await.unwrap_err();
        assert_eq!(error.code(), "context-unavailable", "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[tokio::test]
async fn a_repository_that_is_too_large_is_refused_and_nothing_is_left() {
    let repository = Repository::new();
    let server = Server::start(Served::Git(repository.path().to_owned(), None)).await;
    let scratch = tempfile::tempdir().unwrap();
    let remote = crate::testing::remote(&server.url("/x.git"));
    for (limits, words) in [
        (Limits { download: 1000, ..Limits::default() }, "its download has too many bytes"),
        // What git fetches is far smaller than the tar that is made of it.
        (Limits { unpacked: 1000, ..Limits::default() }, "unpacked it has too many bytes"),
    ] {
        let terms = crate::Terms { known: None, scratch: scratch.path(), limits: &limits };
        let fetched = Downloads::default().fetch(&remote, terms, &mut Kept::default(), |_| {}).await;
        let error = fetched.unwrap_err();
        assert_eq!(error.code(), "context-too-large");
        assert!(error.to_string().contains(words), "{error}");
        program::removed(scratch.path()).await;
    }
}

#[tokio::test]
async fn a_server_that_answers_with_names_without_end_is_given_up() {
    // All of them end like the name that is asked for, which is how git compares.
    let name = |at: u32| format!("{at:040x}\trefs/heads/{at}/refs/heads/trunk\n");
    let names = (0..5000).map(name).collect::<Vec<_>>().concat();
    let answer = move |_: &axum::extract::Request| axum::http::Response::new(names.clone().into());
    let server = Server::start(Served::Answer(Box::new(answer))).await;
    let error = fetch(&server.url("/x.git#trunk"), Some("known")).await.unwrap_err();
    assert!(error.to_string().contains("which is no answer"), "{error}");
}

/// The command lines of all processes.
#[cfg(target_os = "linux")]
fn command_lines() -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).into_owned()).collect()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_command_line_of_git_has_a_password_in_it() {
    let server = Server::start(Served::Stalled).await;
    let url = server.url_as("me:s3cret", "/x.git");
    let fetching = fetch(&url, None);
    tokio::pin!(fetching);
    tokio::select! {
        ended = &mut fetching => panic!("{:?}", ended.map(|(_, fetched)| fetched)),
        () = server.asked() => {}
    }
    let (lines, plain) = (command_lines(), server.url("/x.git"));
    assert!(lines.iter().any(|line| line.contains(&plain)), "git is at work");
    assert!(!lines.iter().any(|line| line.contains("s3cret") || line.contains("bWU6czNjcmV0")), "{lines:?}");
}

#[tokio::test]
async fn a_fetch_that_nobody_wants_any_more_ends_git_and_removes_its_folder() {
    let server = Server::start(Served::Stalled).await;
    let scratch = tempfile::tempdir().unwrap();
    let limits = Limits::default();
    let remote = crate::testing::remote(&server.url("/x.git"));
    let downloads = Downloads::default();
    let mut kept = Kept::default();
    let terms = crate::Terms { known: None, scratch: scratch.path(), limits: &limits };
    tokio::select! {
        ended = downloads.fetch(&remote, terms, &mut kept, |_| {}) => panic!("{ended:?}"),
        () = server.asked() => {}
    }
    // Its connection ends with the process.
    server.left().await;
    program::removed(scratch.path()).await;
}
