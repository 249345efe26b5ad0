//! Reads a stream of Server-Sent Events, however its bytes are cut into pieces. Knows nothing about jobs.

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its type; `message` when the server named none.
    pub name: String,
    /// Its data lines, joined by newlines.
    pub data: String,
}

/// Turns bytes into events.
#[derive(Debug, Default)]
pub struct Parser {
    /// Bytes of the line that is not complete yet.
    line: Vec<u8>,
    name: String,
    data: Option<String>,
    /// The last byte was a carriage return, which already ended its line: a newline behind it belongs to it.
    after_return: bool,
}

impl Parser {
    /// Takes the next bytes and gives the events that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        let mut rest = bytes;
        if self.after_return && !rest.is_empty() {
            self.after_return = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.line.extend_from_slice(&rest[..end]);
            events.extend(self.end_line());
            let ended_by_return = rest[end] == b'\r';
            rest = &rest[end + 1..];
            if ended_by_return {
                self.after_return = rest.is_empty();
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
        }
        self.line.extend_from_slice(rest);
        events
    }

    /// Takes the complete line; an empty one completes an event.
    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            let name = if name.is_empty() { "message".to_owned() } else { name };
            return self.data.take().map(|data| Event { name, data });
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            // A line that starts with a colon is a comment that keeps the connection alive.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.into(), data: data.into() }
    }

    const STREAM: &str = ": hello\n\nevent: run-log\ndata: {\"ü\":1}\n\nevent:state\r\ndata:a\r\ndata: b\r\n\r\nid: 7\ndata\n\n";

    fn wanted() -> Vec<Event> {
        vec![event("run-log", "{\"ü\":1}"), event("state", "a\nb"), event("message", "")]
    }

    #[test]
    fn events_are_read_and_comments_are_skipped() {
        assert_eq!(Parser::default().push(STREAM.as_bytes()), wanted());
    }

    #[test]
    fn it_does_not_matter_where_the_bytes_are_cut() {
        for size in 1..STREAM.len() {
            let mut parser = Parser::default();
            let events: Vec<_> = STREAM.as_bytes().chunks(size).flat_map(|part| parser.push(part)).collect();
            assert_eq!(events, wanted(), "pieces of {size} bytes");
        }
    }

    #[test]
    fn an_event_that_is_cut_off_does_not_count() {
        assert_eq!(Parser::default().push(b"event: final\ndata: {}\n"), []);
    }
}
