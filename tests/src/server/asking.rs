//! What is asked of a running server by HTTP, and waited for.

use serde_json::{Value, json};

use super::{Deskgrid, PATIENCE};

impl Deskgrid {
    /// A client for requests of any kind.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// `path` as a full URL.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// Status and body of a GET.
    pub async fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let answer = self.http.get(self.url(path)).send().await.expect("an answer");
        (answer.status().as_u16(), answer.bytes().await.expect("a body").to_vec())
    }

    /// The JSON that a GET answers with status 200.
    pub async fn get_json(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).expect("JSON")
    }

    /// Status and JSON answer of a POST.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.http.post(self.url(path)).json(body).send().await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.bytes().await.expect("a body");
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// Stores `bytes` under `key` and returns the status.
    pub async fn put(&self, key: &str, bytes: Vec<u8>) -> u16 {
        let put = self.http.put(self.url(&format!("/f/{key}"))).body(bytes).send();
        put.await.expect("an answer").status().as_u16()
    }

    /// Submits to the queue `local` and returns the job's id.
    pub async fn submit(&self, definition: &Value) -> String {
        let (status, answer) = self.post("/q/local", &json!({"definition": definition})).await;
        assert_eq!((status, &answer["success"]), (200, &json!(true)), "{answer}");
        answer["jobId"].as_str().expect("an id").to_owned()
    }

    /// Waits for the end of a job on its event stream and returns its finished record.
    pub async fn finished(&self, id: &str) -> Value {
        let wait = async {
            let url = self.url(&format!("/q/local/j/{id}/stream"));
            let mut stream = self.http.get(url).send().await.expect("a stream");
            // Only the end is kept: a log may be long.
            let mut end = Vec::new();
            while !String::from_utf8_lossy(&end).contains("event: final") {
                let piece = stream.chunk().await.expect("the stream goes on").expect("it ends with `final`");
                end.extend_from_slice(&piece);
                end.drain(..end.len().saturating_sub(200));
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("the job ends");
        self.get_json(&format!("/j/{id}/result.json")).await["data"].take()
    }

    /// Submits, waits for the end and returns the finished record.
    pub async fn run(&self, definition: &Value) -> Value {
        let id = self.submit(definition).await;
        self.finished(&id).await
    }

    /// Waits until the job's events contain `text`: something it wrote, or a state that it reached.
    pub async fn until_said(&self, id: &str, text: &str) {
        let wait = async {
            let url = self.url(&format!("/q/local/j/{id}/stream"));
            let mut stream = self.http.get(url).send().await.expect("a stream");
            let mut said = String::new();
            while !said.contains(text) {
                let piece = stream.chunk().await.expect("the stream goes on");
                let Some(piece) = piece else {
                    let result = self.get_json(&format!("/j/{id}/result.json")).await;
                    panic!("it ends without {text:?}: {said}{result}")
                };
                said.push_str(&String::from_utf8_lossy(&piece));
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{text:?} is said in time"));
    }

    /// The bytes of an output of a finished job, by the URL in its result.
    pub async fn output(&self, finished: &Value, path: &str) -> Vec<u8> {
        let output = &finished["finished"]["result"]["outputs"][path];
        let url = output["value"].as_str().unwrap_or_else(|| panic!("no output {path} in {finished}"));
        self.http.get(url).send().await.expect("an answer").bytes().await.expect("a body").to_vec()
    }
}
