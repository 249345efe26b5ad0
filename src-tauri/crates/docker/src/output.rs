//! What a container writes to its output and error streams, in pieces as the engine hands them on. Putting the
//! pieces together to lines and characters is the worker's.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error as Bollard;
use bollard::query_parameters::{AttachContainerOptionsBuilder, LogsOptionsBuilder};
use bytes::{Buf, Bytes};
use deskgrid_fault::{Point, point};
use deskgrid_job::Time;
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::container::ContainerId;
use crate::engine::{Engine, QUESTION, WORK};
use crate::error::EngineError;

/// The pieces in the order of their arrival. Ends with the container; an error ends it too.
pub type LogStream = BoxStream<'static, Result<Chunk, EngineError>>;

/// A piece of output: part of a line, a line, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The bytes as the container wrote them.
    pub bytes: Bytes,
    /// Whether they came by the error stream.
    pub is_stderr: bool,
    /// When the engine received them; known from [`Engine::logs`] only.
    pub time: Option<Time>,
}

impl Engine {
    /// Listens to a container that has not been started yet, so that nothing is missed. Listening is on when this
    /// returns. Read it without pause: the container stands still while nobody does.
    pub async fn attach(&self, id: &ContainerId) -> Result<LogStream, EngineError> {
        let options = AttachContainerOptionsBuilder::new().stream(true).stdout(true).stderr(true).build();
        let call = self.docker().attach_container(id.as_str(), Some(options));
        let attached = self.call("listening to a container", QUESTION, call).await?;
        point(Point::ContainerAttached);
        Ok(self.until_over(attached.output.map(|piece| piece.map(|piece| chunk(piece, false))), None))
    }

    /// All that a container has written from its start, and then what it goes on to write, with the engine's times.
    ///
    /// Of a container that ends meanwhile the very last words may be missing, if no newline ends them: the engine closes
    /// the stream before it has read them itself. [`Engine::whole_log`] has them.
    pub fn logs(&self, id: &ContainerId) -> LogStream {
        self.record(id, true)
    }

    /// All that a container has written until now, with the engine's times.
    pub fn whole_log(&self, id: &ContainerId) -> LogStream {
        self.record(id, false)
    }

    fn record(&self, id: &ContainerId, follow: bool) -> LogStream {
        let options = LogsOptionsBuilder::new()
            .follow(follow)
            .stdout(true)
            .stderr(true)
            .timestamps(true)
            .tail("all")
            .build();
        let pieces = self.docker().logs(id.as_str(), Some(options));
        // A container may say nothing for days; of what it has said already, the engine has the next piece at hand.
        let limit = (!follow).then_some(WORK);
        self.until_over(pieces.map(|piece| piece.map(|piece| chunk(piece, true))), limit)
    }

    /// The last line of what an ended container wrote, if it wrote anything.
    pub(crate) async fn last_words(&self, id: &ContainerId) -> Result<Option<String>, EngineError> {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail("1").build();
        let pieces = self.docker().logs(id.as_str(), Some(options));
        let mut pieces =
            self.until_over(pieces.map(|piece| piece.map(|piece| chunk(piece, false))), Some(QUESTION));
        let last = pieces.next().await.transpose()?;
        Ok(last.map(|chunk| String::from_utf8_lossy(&chunk.bytes).into_owned()))
    }

    /// Puts the stream into our terms and ends it with the engine's life, or when it says nothing for longer than `limit`.
    fn until_over(
        &self,
        pieces: impl Stream<Item = Result<Chunk, Bollard>> + Send + 'static,
        limit: Option<Duration>,
    ) -> LogStream {
        const DOING: &str = "listening to a container";
        let engine = self.clone();
        let stream = stream::unfold(Some(pieces.boxed()), move |pieces| {
            let engine = engine.clone();
            async move {
                let mut pieces = pieces?;
                let next = async { pieces.next().await.transpose() };
                let next = match limit {
                    Some(limit) => engine.while_alive(DOING, engine.call(DOING, limit, next)).await,
                    None => engine
                        .while_alive(DOING, next)
                        .await
                        .map(|next| next.map_err(|error| EngineError::of(DOING, error))),
                };
                match next.and_then(|next| next).transpose()? {
                    Ok(chunk) => Some((Ok(chunk), Some(pieces))),
                    Err(error) => Some((Err(error), None)),
                }
            }
        });
        stream.boxed()
    }
}

fn chunk(piece: LogOutput, has_time: bool) -> Chunk {
    let is_stderr = matches!(piece, LogOutput::StdErr { .. });
    let bytes = piece.into_bytes();
    match has_time.then(|| split_time(&bytes)).flatten() {
        Some((time, bytes)) => Chunk { bytes, is_stderr, time: Some(time) },
        None => Chunk { bytes, is_stderr, time: None },
    }
}

/// Takes the time and one space off the front of a piece, where the engine put them.
fn split_time(bytes: &Bytes) -> Option<(Time, Bytes)> {
    let space = bytes.iter().take(40).position(|byte| *byte == b' ')?;
    let time = time_of(std::str::from_utf8(&bytes[..space]).ok()?)?;
    let mut rest = bytes.clone();
    rest.advance(space + 1);
    Some((time, rest))
}

/// Reads a time of the engine's; none for its "never", which is the year 1.
pub(crate) fn time_of(text: &str) -> Option<Time> {
    time_at(OffsetDateTime::parse(text, &Rfc3339).ok()?)
}

pub(crate) fn time_at(time: OffsetDateTime) -> Option<Time> {
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok().map(Time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_time_is_taken_off_the_front_of_a_line() {
        let message = Bytes::from_static(b"2026-11-22T10:14:03.123456789Z a b\n");
        let piece = chunk(LogOutput::StdErr { message }, true);
        assert_eq!(piece.bytes, "a b\n");
        assert_eq!(piece.time, Some(Time(1_795_342_443_123)));
        assert!(piece.is_stderr);
    }

    #[test]
    fn a_line_without_time_stays_whole() {
        for text in ["hello world", "2026 x", ""] {
            let piece = chunk(LogOutput::StdOut { message: Bytes::from_static(text.as_bytes()) }, true);
            assert_eq!((&piece.bytes[..], piece.time), (text.as_bytes(), None));
        }
        let live = Bytes::from_static(b"2026-11-22T10:14:03Z x");
        assert_eq!(chunk(LogOutput::StdOut { message: live.clone() }, false).bytes, live);
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_whole_log_the_engine_owes_the_next_piece_in_time_and_of_a_running_container_it_does_not() {
        let engine = Engine::that_never_answers();
        let mut whole = engine.until_over(stream::pending(), Some(WORK));
        let end = whole.next().await.unwrap();
        assert!(matches!(end, Err(EngineError::TimedOut { limit: WORK, .. })), "{end:?}");
        assert!(whole.next().await.is_none());
        let mut live = engine.until_over(stream::pending(), None);
        assert!(tokio::time::timeout(WORK * 100, live.next()).await.is_err());
    }

    #[test]
    fn never_is_no_time() {
        assert_eq!(time_of("0001-01-01T00:00:00Z"), None);
        assert_eq!(time_of("1970-01-01T00:00:01+00:00"), Some(Time(1000)));
    }
}
