//! What window, tray and dashboard see: jobs, their runs, and everything that changes.

mod cache;
mod events;
mod jobs;
mod sample;

pub(crate) use cache::{age, with_large_output};

use deskgrid_tests::Deskgrid;
use serde_json::Value;

/// Speaks to the administration as its owner does.
pub(crate) struct Desk<'a> {
    server: &'a Deskgrid,
    token: String,
}

impl<'a> Desk<'a> {
    pub(crate) fn of(server: &'a Deskgrid) -> Self {
        let token = std::fs::read_to_string(server.data().join("token")).unwrap().trim().to_owned();
        Self { server, token }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let request = self.server.http().get(self.server.url(path)).bearer_auth(&self.token);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.server.http().post(self.server.url(path)).bearer_auth(&self.token).json(body);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    /// A POST that is carried out.
    pub(crate) async fn done(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.post(path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// The row of a job in the list.
    pub(crate) async fn row(&self, id: &str) -> Value {
        let list = self.get("/api/jobs").await;
        let found = list["jobs"].as_array().unwrap().iter().find(|row| row["id"] == id);
        found.cloned().unwrap_or_default()
    }
}
