//! Speaks HTTP with a running server. The other modules name what they want; only this one builds requests.

use std::time::Duration;

use deskgrid_server::Token;
use deskgrid_server::settings::{Overrides, SettingsSource};
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Body, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::CliError;
use crate::job_ref::JobRef;
use crate::records::{Data, LogSlice, QueueStatus, Record, Submitted};

/// A server on this computer answers a connection at once, one elsewhere soon, or it is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than the server keeps idle connections, so that no request is sent on one that is just being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Which server a command talks to.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// Address of the server [default: this computer, at the port of the settings]
    #[arg(long, env = "DESKGRID_SERVER", hide_env_values = true, value_name = "URL", global = true)]
    server: Option<String>,
}

impl ServerArgs {
    /// Whether the person named a server.
    pub(crate) fn is_named(&self) -> bool {
        self.server.is_some()
    }
}

/// A server to talk to.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<Token>,
}

impl Client {
    /// A client for the server that `args` or the settings name. Nothing is sent yet.
    pub(crate) fn new(args: &ServerArgs) -> Result<Self, CliError> {
        match &args.server {
            Some(text) => Self::of_base(parse_base(text)?),
            None => Self::new_with(args, SettingsSource::new(None, Overrides::default())?.load()?.port),
        }
    }

    /// The same with the port of settings that were read already.
    pub(crate) fn new_with(args: &ServerArgs, port: u16) -> Result<Self, CliError> {
        Self::of_base(match &args.server {
            Some(text) => parse_base(text)?,
            None => parse_base(&format!("http://localhost:{}", usable(port)?))?,
        })
    }

    /// The same with the token, which goes along with requests to the administration only.
    pub(crate) fn with_token(self, token: Option<Token>) -> Self {
        Self { token, ..self }
    }

    fn of_base(base: Url) -> Result<Self, CliError> {
        let mut builder =
            reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).pool_idle_timeout(IDLE_TIMEOUT);
        if is_this_computer(&base) {
            // A proxy that the environment names for the internet would look for localhost on its own side.
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| CliError::Start(format!("No HTTP here: {error}.")))?;
        Ok(Self { http, base, token: None })
    }

    /// The server's address, without a slash at its end.
    pub(crate) fn base(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Whether the server has the file of this key.
    pub(crate) async fn has_file(&self, key: &str) -> Result<bool, CliError> {
        let what = "Looking for a file on the server";
        let response = self.answer(what, self.http.get(self.url(&["f", key, "exists"]))).await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(false),
            _ => self.accepted(what, response).await.map(|_| true),
        }
    }

    /// Stores `body` of `length` bytes under `key`.
    pub(crate) async fn put_file(
        &self,
        what: &str,
        key: &str,
        length: u64,
        body: Body,
    ) -> Result<(), CliError> {
        let request = self.http.put(self.url(&["f", key])).header(CONTENT_LENGTH, length).body(body);
        self.send(what, request).await.map(|_| ())
    }

    /// Submits a job and gives its id.
    pub(crate) async fn submit(&self, queue: &str, definition: &Value) -> Result<JobRef, CliError> {
        let what = "The submission";
        let body = serde_json::json!({ "definition": definition });
        let response = self.send(what, self.http.post(self.url(&["q", queue])).json(&body)).await?;
        let submitted: Submitted = self.decode(what, response).await?;
        Ok(JobRef { queue: queue.to_owned(), id: submitted.job_id })
    }

    /// The jobs of a queue, in the server's order.
    pub(crate) async fn jobs(&self, queue: &str) -> Result<Vec<(String, Record)>, CliError> {
        let list: serde_json::Map<String, Value> = self.data("Asking for the queue", &["q", queue]).await?;
        let read = |(id, record)| serde_json::from_value(record).ok().map(|record| (id, record));
        Ok(list.into_iter().filter_map(read).collect())
    }

    /// How a queue and its server are.
    pub(crate) async fn status(&self, queue: &str) -> Result<QueueStatus, CliError> {
        let what = "Asking for the status";
        let response = self.send(what, self.http.get(self.url(&["q", queue, "status"]))).await?;
        self.decode(what, response).await
    }

    /// The record of a job with its result; none while it is unfinished or unknown.
    pub(crate) async fn result(&self, job: &JobRef) -> Result<Option<Record>, CliError> {
        self.data("Asking for the result", &["q", &job.queue, "j", &job.id, "result.json"]).await
    }

    /// The same as [`Client::result`], as the server wrote it.
    pub(crate) async fn raw_result(&self, job: &JobRef) -> Result<Option<Value>, CliError> {
        self.data("Asking for the result", &["q", &job.queue, "j", &job.id, "result.json"]).await
    }

    /// Whether the server knows the job, finished or not.
    pub(crate) async fn knows(&self, job: &JobRef) -> Result<bool, CliError> {
        let what = "Asking for the job";
        let request = self.http.get(self.url(&["q", &job.queue, "j", &job.id]));
        let response = self.answer(what, request).await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(false),
            _ => self.accepted(what, response).await.map(|_| true),
        }
    }

    /// The lines of a log from line `since` on. `log` is `build-logs.json` or `run-logs.json`.
    pub(crate) async fn log(&self, job: &JobRef, log: &str, since: usize) -> Result<LogSlice, CliError> {
        let what = "Asking for the log";
        let request = self.http.get(self.url(&["q", &job.queue, "j", &job.id, log]));
        let response = self.send(what, request.query(&[("since", since)])).await?;
        self.decode(what, response).await
    }

    /// The stream of a job's events, from the start.
    pub(crate) async fn stream(&self, job: &JobRef) -> Result<Response, CliError> {
        let request = self.http.get(self.url(&["q", &job.queue, "j", &job.id, "stream"]));
        self.send("Following the job", request.query(&[("progress", "1")])).await
    }

    /// An output of a job.
    pub(crate) async fn output(&self, job: &JobRef, name: &str) -> Result<Response, CliError> {
        let path = ["q", &job.queue, "j", &job.id, "outputs"].into_iter().chain(name.split('/'));
        let url = self.url(&path.collect::<Vec<_>>());
        self.send(&format!("Fetching the output {name}"), self.http.get(url)).await
    }

    /// Cancels a job in a namespace and gives what the server says to it, if anything.
    pub(crate) async fn cancel(
        &self,
        job: &JobRef,
        namespace: Option<&str>,
        message: Option<&str>,
    ) -> Result<Option<String>, CliError> {
        let what = "The cancellation";
        let query: Vec<_> = [("namespace", namespace), ("message", message)]
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (name, value)))
            .collect();
        let request = self.http.post(self.url(&["q", &job.queue, "j", &job.id, "cancel"]));
        let response = self.send(what, request.query(&query)).await?;
        let answer: Value = self.decode(what, response).await?;
        Ok(answer.get("message").and_then(Value::as_str).map(str::to_owned))
    }

    /// What the administration answers to a GET.
    pub(crate) async fn admin_get<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &[&str],
    ) -> Result<T, CliError> {
        let response = self.send(what, self.authorized(self.http.get(self.url(path)))).await?;
        self.decode(what, response).await
    }

    /// What the administration answers to a POST.
    pub(crate) async fn admin_post<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &[&str],
        body: &Value,
    ) -> Result<T, CliError> {
        let request = self.authorized(self.http.post(self.url(path))).json(body);
        let response = self.send(what, request).await?;
        self.decode(what, response).await
    }

    /// What the administration answers to a DELETE.
    pub(crate) async fn admin_delete<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &[&str],
    ) -> Result<T, CliError> {
        let response = self.send(what, self.authorized(self.http.delete(self.url(path)))).await?;
        self.decode(what, response).await
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token.reveal()),
            None => request,
        }
    }

    /// What went wrong when `doing` something with the server.
    pub(crate) fn lost(&self, what: &str, problem: impl std::fmt::Display) -> CliError {
        CliError::Lost { what: what.into(), server: self.base().into(), problem: problem.to_string() }
    }

    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    async fn data<T: DeserializeOwned>(&self, what: &str, path: &[&str]) -> Result<T, CliError> {
        let response = self.send(what, self.http.get(self.url(path))).await?;
        let answer: Data<T> = self.decode(what, response).await?;
        Ok(answer.data)
    }

    async fn decode<T: DeserializeOwned>(&self, what: &str, response: Response) -> Result<T, CliError> {
        let bytes = response.bytes().await.map_err(|error| self.lost(what, reason(&error)))?;
        serde_json::from_slice(&bytes).map_err(|error| self.lost(what, format!("unexpected answer: {error}")))
    }

    /// The answer to `request`, which must be a yes.
    async fn send(&self, what: &str, request: RequestBuilder) -> Result<Response, CliError> {
        let response = self.answer(what, request).await?;
        self.accepted(what, response).await
    }

    /// The answer to `request`, whatever it is.
    async fn answer(&self, what: &str, request: RequestBuilder) -> Result<Response, CliError> {
        request.send().await.map_err(|error| {
            if error.is_connect() {
                CliError::NoServer { server: self.base().to_owned() }
            } else {
                self.lost(what, reason(&error))
            }
        })
    }

    async fn accepted(&self, what: &str, response: Response) -> Result<Response, CliError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.text().await.unwrap_or_default();
        Err(CliError::Refused { what: what.to_owned(), message: refusal(status, &body) })
    }
}

/// The server's own words for a refusal.
pub(crate) fn refusal(status: StatusCode, body: &str) -> String {
    let json = serde_json::from_str::<Value>(body).ok();
    let told = json.as_ref().and_then(|json| json.get("error")).and_then(Value::as_str).unwrap_or(body);
    // The page of some other server is no message.
    if told.trim().is_empty() || told.len() > 2000 || told.trim_start().starts_with('<') {
        return format!("the server answered {status}.");
    }
    told.trim().to_owned()
}

/// The innermost reason of a failure: the outer ones only say that there was one.
fn reason(error: &reqwest::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

fn parse_base(text: &str) -> Result<Url, CliError> {
    let wrong = |problem: String| {
        CliError::Usage(format!("{text:?} is no server's address ({problem}). Write http://localhost:8000."))
    };
    let mut url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(wrong("it starts neither with http:// nor with https://".into()));
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

fn usable(port: u16) -> Result<u16, CliError> {
    match port {
        0 => Err(CliError::Usage(
            "The settings let the server take any free port, so it cannot be found by them. \
             Name it with --server http://localhost:PORT."
                .into(),
        )),
        port => Ok(port),
    }
}

fn is_this_computer(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(base: &str) -> Client {
        Client::of_base(parse_base(base).unwrap()).unwrap()
    }

    #[test]
    fn names_in_paths_are_escaped() {
        let url = client("http://localhost:8000").url(&["q", "a/b ü", "j", "x?#%"]);
        assert_eq!(url.as_str(), "http://localhost:8000/q/a%2Fb%20%C3%BC/j/x%3F%23%25");
    }

    #[test]
    fn a_server_may_live_below_a_path() {
        let client = client("https://example.org/grid/");
        assert_eq!(client.base(), "https://example.org/grid");
        assert_eq!(client.url(&["health"]).as_str(), "https://example.org/grid/health");
    }

    #[test]
    fn an_address_that_is_none_is_refused_with_an_example() {
        for bad in ["localhost:8000", "ftp://x", "", "http://"] {
            assert!(parse_base(bad).unwrap_err().to_string().contains("http://localhost:8000"), "{bad}");
        }
    }

    #[test]
    fn only_this_computer_is_reached_without_a_proxy() {
        let here = |text| is_this_computer(&parse_base(text).unwrap());
        assert!(here("http://localhost:1") && here("http://127.0.0.1") && here("http://[::1]:80"));
        assert!(!here("http://example.org") && !here("http://10.0.0.1"));
    }

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        let status = StatusCode::BAD_REQUEST;
        assert_eq!(refusal(status, r#"{"error":"No image."}"#), "No image.");
        assert_eq!(refusal(status, "plain"), "plain");
        assert_eq!(refusal(status, "<html>"), "the server answered 400 Bad Request.");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_with_how_to_start_one() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = client(&format!("http://{free}")).has_file("x").await.unwrap_err().to_string();
        assert!(error.contains(&free.to_string()) && error.contains("deskgrid serve"), "{error}");
    }
}
