//! A job's event stream, read as a script would.

use serde_json::Value;

use crate::server::{Deskgrid, PATIENCE};

/// One open stream, and what it told.
pub struct Events {
    answer: reqwest::Response,
    unread: Vec<u8>,
    /// Every event with its data, in order.
    pub seen: Vec<(String, Value)>,
}

impl Events {
    /// Opens the stream of a job in the queue `local`.
    pub async fn open(server: &Deskgrid, id: &str) -> Self {
        let url = server.url(&format!("/q/local/j/{id}/stream"));
        Self::of(server.http().get(url).send().await.expect("a stream"))
    }

    /// The stream that is the body of an answer.
    pub fn of(answer: reqwest::Response) -> Self {
        assert_eq!(answer.status(), 200, "{}", answer.url());
        Self { answer, unread: Vec::new(), seen: Vec::new() }
    }

    /// A header of the answer.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.answer.headers().get(name)?.to_str().ok()
    }

    /// The next event, or `None` when the server closed the stream.
    pub async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.unread.drain(..end + 2).collect();
                if let Some(event) = parsed(&String::from_utf8(block).expect("UTF-8")) {
                    self.seen.push(event.clone());
                    return Some(event);
                }
                continue;
            }
            let piece = tokio::time::timeout(PATIENCE, self.answer.chunk()).await.expect("an event in time");
            self.unread.extend(piece.expect("the stream does not break off")?);
        }
    }

    /// Reads on until an event of this name, and returns its data.
    pub async fn until(&mut self, name: &str) -> Value {
        loop {
            let (event, data) = self.next().await.unwrap_or_else(|| panic!("no {name} in {:?}", self.seen));
            if event == name {
                return data;
            }
        }
    }

    /// Reads on to the end of the stream.
    pub async fn to_end(&mut self) {
        while self.next().await.is_some() {}
    }

    /// The text of all lines that came with events of this name.
    pub fn text_of(&self, name: &str) -> String {
        let data = self.seen.iter().filter(|(event, _)| event == name).map(|(_, data)| data);
        let lines = data.flat_map(|data| data["lines"].as_array().cloned().unwrap_or_default());
        lines.filter_map(|line| line[0].as_str().map(str::to_owned)).collect()
    }
}

/// One event; none for a comment.
fn parsed(block: &str) -> Option<(String, Value)> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let data = serde_json::from_str(field("data:")?).expect("data is JSON");
    Some((field("event:")?.to_owned(), data))
}
