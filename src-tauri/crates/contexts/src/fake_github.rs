//! GitHub, played on this computer: tests cannot reach the real one. It has the addresses, answers and redirects that the
//! real one has, as far as contexts ask for them, and checks nothing else.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode, header};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::testing::{Served, Server};
use crate::{Downloads, GitHub};

/// Opens the private repository.
const TOKEN: &str = "t0k";
/// What the API puts into an address of the server of archives, for the one download.
const ONCE: &str = "token=once";
const FIRST: &str = "0123456789abcdef0123456789abcdef01234567";

/// Two repositories, `o/public` and `o/private`, with the same branches, tags and commits.
pub(crate) struct FakeGitHub {
    archives: Server,
    api: Server,
}

impl FakeGitHub {
    pub(crate) async fn start() -> Self {
        let archives = Server::start(Served::Answer(Box::new(archive))).await;
        let elsewhere = archives.url("");
        let api = Server::start(Served::Answer(Box::new(move |request| api(&elsewhere, request)))).await;
        Self { archives, api }
    }

    pub(crate) fn downloads(&self) -> Downloads {
        Downloads::new(GitHub { archives: self.archives.url(""), api: self.api.url("") })
    }
}

/// What lies where a reference leads. Both servers read a slash in it as one.
fn data_at(reference: &str) -> Option<&'static str> {
    match reference {
        "HEAD" | "trunk" => Some("of the default branch"),
        "feature/x" => Some("of a branch with a slash"),
        "v1" | FIRST => Some("of the first commit"),
        short if short.len() >= 7 && FIRST.starts_with(short) => Some("of the first commit"),
        _ => None,
    }
}

fn nothing() -> Response<Body> {
    Response::builder().status(StatusCode::NOT_FOUND).body(Body::empty()).unwrap()
}

/// `codeload.github.com`: private repositories are not there for who has no address with a token.
fn archive(request: &Request) -> Response<Body> {
    let path = request.uri().path();
    let is_open = path.starts_with("/o/public/") || request.uri().query() == Some(ONCE);
    let reference = path.split_once("/tar.gz/").map(|(_, reference)| reference);
    let Some(data) = reference.filter(|_| is_open).and_then(data_at) else { return nothing() };
    let tag = format!("\"{}\"", data.len());
    if request.headers().get(header::IF_NONE_MATCH).is_some_and(|known| *known == *tag) {
        return Response::builder().status(StatusCode::NOT_MODIFIED).body(Body::empty()).unwrap();
    }
    Response::builder().header(header::ETAG, tag).body(Body::from(packed(data))).unwrap()
}

/// `api.github.com`: sends those who may to the server of archives.
fn api(archives: &str, request: &Request) -> Response<Body> {
    let bearer = format!("Bearer {TOKEN}");
    let authorization = request.headers().get(header::AUTHORIZATION);
    let path = request.uri().path().strip_prefix("/repos/o/private/tarball/");
    match path.filter(|_| authorization.is_some_and(|value| *value == *bearer)) {
        None => nothing(),
        Some(reference) => {
            let to = format!("{archives}/o/private/tar.gz/{reference}?{ONCE}");
            let answer = Response::builder().status(StatusCode::FOUND).header(header::LOCATION, to);
            answer.body(Body::empty()).unwrap()
        }
    }
}

/// With everything in one folder, as GitHub packs it.
fn packed(data: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, text) in [("r-0123456/sub/Dockerfile", "FROM scratch"), ("r-0123456/data", data)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::testing::{Kept, fetch_with};
    use crate::{Archive, Context, ContextError, Fetched, Limits, Recipe};

    async fn fetch(github: &FakeGitHub, url: &str) -> Result<(Kept, Fetched), ContextError> {
        fetch_with(&github.downloads(), url, None, &Limits::default()).await
    }

    /// What is sent to the engine of a repository.
    fn sent(kept: Kept, build_context: Option<&str>) -> String {
        let archive = Archive::scan(Cursor::new(kept.bytes), &Limits::default()).unwrap();
        let recipe = Recipe {
            build_context,
            dockerfile: build_context.is_none().then_some("FROM x"),
            ..Recipe::default()
        };
        let mut tar = Vec::new();
        Context::new(Some(archive), &recipe).unwrap().write_to(&mut tar).unwrap();
        String::from_utf8_lossy(&tar).into_owned()
    }

    #[tokio::test]
    async fn default_branch_branch_tag_and_commit_of_a_repository_are_had_and_with_a_token_of_a_private_one()
    {
        let github = FakeGitHub::start().await;
        let (commit, short) = (format!("/commit/{FIRST}"), format!("/commit/{}", &FIRST[..8]));
        for (place, data) in [
            ("", "of the default branch"),
            ("/", "of the default branch"),
            ("/tree/trunk", "of the default branch"),
            ("/tree/feature/x", "of a branch with a slash"),
            ("/tree/v1", "of the first commit"),
            (&commit, "of the first commit"),
            (&short, "of the first commit"),
        ] {
            for repository in [
                "github.com/o/public",
                "www.github.com/o/public",
                "t0k@github.com/o/private",
                "me:t0k@github.com/o/private",
            ] {
                let url = format!("https://{repository}{place}");
                let (kept, _) = fetch(&github, &url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
                assert!(sent(kept, None).contains(data), "{url}");
            }
        }
    }

    #[tokio::test]
    async fn a_folder_of_a_repository_is_built_by_build_context() {
        let github = FakeGitHub::start().await;
        let (kept, _) = fetch(&github, "https://github.com/o/public/tree/v1").await.unwrap();
        let tar = sent(kept, Some("sub"));
        assert!(tar.contains("FROM scratch") && !tar.contains("of the first commit"));
    }

    #[tokio::test]
    async fn what_is_private_or_not_there_is_said_to_be_one_of_the_two() {
        let github = FakeGitHub::start().await;
        for url in [
            "https://github.com/o/private",
            "https://wr0ng@github.com/o/private",
            "https://github.com/o/public/tree/nothing",
            "https://github.com/o/nothing",
        ] {
            let error = fetch(&github, url).await.unwrap_err();
            assert!(error.is_closed() && !error.to_string().contains("wr0ng"), "{error}");
        }
        assert_eq!(github.archives.seen().iter().filter(|line| line.contains("Bearer")).count(), 0);
    }

    #[tokio::test]
    async fn a_repository_that_has_not_changed_is_not_downloaded_again() {
        let github = FakeGitHub::start().await;
        for url in ["https://github.com/o/public", "https://t0k@github.com/o/private/tree/feature/x"] {
            let (_, fetched) = fetch(&github, url).await.unwrap();
            let Fetched::Archive { etag: Some(etag) } = fetched else { panic!("{fetched:?}") };
            let again = fetch_with(&github.downloads(), url, Some(&etag), &Limits::default()).await.unwrap();
            assert_eq!(again.1, Fetched::NotModified, "{url}");
        }
    }
}
