//! A program of the person's own that comes through the local door, as the window and the tray do.

use std::path::Path;

use serde_json::Value;

use crate::server::PATIENCE;

/// A client of the local door of one server.
#[derive(Clone, Debug)]
pub struct Door(reqwest::Client);

impl Door {
    /// The door of the server that keeps its data in `data`.
    pub fn of(data: &Path) -> Self {
        let builder = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
        Self(builder.unix_socket(data.join("deskgrid.sock")).build().expect("a client"))
    }

    /// Status and JSON answer of a request; without a body when that is null.
    pub async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let mut request = self.0.request(method, format!("http://localhost{path}"));
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.expect("a body");
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// The JSON that a GET answers with status 200.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, &Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// The JSON that a POST answers with status 200.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask("POST", path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }
}
