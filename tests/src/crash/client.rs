//! A client that does not give up: while the server is away it asks again, as browsers and good scripts do.

use std::time::Duration;

use serde_json::{Value, json};

use crate::server::Deskgrid;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(40);
/// An answer of a living server takes no longer; one that died may have left the connection half open.
const ANSWER: Duration = Duration::from_secs(30);

/// Speaks to one address, whoever listens there at the moment.
#[derive(Clone, Debug)]
pub struct Client {
    address: String,
    http: reqwest::Client,
}

impl Client {
    /// A client of `server` in all its lives.
    pub fn of(server: &Deskgrid) -> Self {
        // A connection of an earlier life would be an error more.
        let builder = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(ANSWER);
        Self { address: server.address.clone(), http: builder.build().expect("a client") }
    }

    /// `path` as a full URL.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// Asks until there is a whole answer that is none of a server that is just stopping.
    async fn ask(&self, make: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder) -> (u16, Vec<u8>) {
        loop {
            if let Ok(answer) = make(&self.http).send().await {
                let status = answer.status().as_u16();
                if let Ok(body) = answer.bytes().await
                    && status < 500
                {
                    return (status, body.to_vec());
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Status and body of a GET.
    pub async fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let url = self.url(path);
        self.ask(|http| http.get(&url)).await
    }

    /// The JSON that a GET answers; null where that is none.
    pub async fn get_json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.get(path).await.1).unwrap_or_default()
    }

    /// Status and JSON answer of a POST.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let url = self.url(path);
        let (status, body) = self.ask(|http| http.post(&url).json(body)).await;
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Stores `bytes` under `key`; true when that was acknowledged.
    pub async fn put(&self, key: &str, bytes: &[u8]) -> bool {
        let url = self.url(&format!("/f/{key}"));
        self.ask(|http| http.put(&url).body(bytes.to_vec())).await.0 == 200
    }

    /// Hands a job in until it is accepted.
    pub async fn submit(&self, id: &str, definition: &Value, control: &Value) {
        let body = json!({"id": id, "definition": definition, "control": control});
        let (status, answer) = self.post("/q/local", &body).await;
        assert_eq!((status, &answer["jobId"]), (200, &json!(id)), "{answer}");
    }

    /// The finished record of a job, or null.
    pub async fn result(&self, id: &str) -> Value {
        self.get_json(&format!("/j/{id}/result.json")).await["data"].take()
    }

    /// Waits for the finished record of a job.
    pub async fn finished(&self, id: &str) -> Value {
        loop {
            let result = self.result(id).await;
            if !result.is_null() {
                return result;
            }
            tokio::time::sleep(PAUSE * 2).await;
        }
    }
}
