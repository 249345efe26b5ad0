//! Follows a job to its end over the server's event stream, through broken connections and server restarts.
//!
//! The server replays everything on each connection, so what was shown is told apart by its place in the log.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::AsyncWrite;
use tokio::time::timeout;

use crate::client::Client;
use crate::console::{Console, Log};
use crate::error::CliError;
use crate::job_ref::JobRef;
use crate::records::{Line, Lines, Progress, StateChange};
use deskgrid_wire::sse::{Event, Parser};

/// The server sends something at least every 15 seconds, if only a comment.
const SILENCE: Duration = Duration::from_secs(60);
/// How often in a row a connection may fail before we give up: with the pauses below, half a minute.
const ATTEMPTS: u32 = 10;

/// Shows the job's lines until it is over and gives the reason why it is.
pub(crate) async fn follow<O, E>(
    client: &Client,
    job: &JobRef,
    console: &mut Console<O, E>,
) -> Result<String, CliError>
where
    O: AsyncWrite + Unpin,
    E: AsyncWrite + Unpin,
{
    let mut shown = Shown::default();
    let mut failures = 0;
    loop {
        let before = shown.events;
        let error = match watch(client, job, console, &mut shown).await {
            Ok(reason) => return Ok(reason),
            Err(error) => error,
        };
        let is_passing = matches!(error, CliError::NoServer { .. } | CliError::Lost { .. });
        failures = if shown.events > before { 0 } else { failures + 1 };
        if !is_passing || failures >= ATTEMPTS {
            return Err(error);
        }
        tokio::time::sleep(pause(failures)).await;
    }
}

fn pause(failures: u32) -> Duration {
    Duration::from_millis(100 << failures.min(6)).min(Duration::from_secs(5))
}

/// Follows one connection. That it ends before the job does is an error too.
async fn watch<O, E>(
    client: &Client,
    job: &JobRef,
    console: &mut Console<O, E>,
    shown: &mut Shown,
) -> Result<String, CliError>
where
    O: AsyncWrite + Unpin,
    E: AsyncWrite + Unpin,
{
    let what = "Following the job";
    let mut bytes = client.stream(job).await?.bytes_stream();
    let mut parser = Parser::default();
    shown.is_running = false;
    loop {
        let piece = timeout(SILENCE, bytes.next()).await.map_err(|_| client.lost(what, "it fell silent"))?;
        let piece = piece.ok_or_else(|| client.lost(what, "the connection ended"))?;
        let piece = piece.map_err(|error| client.lost(what, error))?;
        for event in parser.push(&piece) {
            match News::read(&event).map_err(|error| client.lost(what, error))? {
                Some(News::Final(reason)) => return Ok(reason),
                Some(news) => shown.show(news, console).await?,
                None => {}
            }
        }
    }
}

/// What an event says.
#[derive(Debug)]
enum News {
    Lines(Log, Lines),
    State(String),
    Progress(Progress),
    Final(String),
}

impl News {
    /// Reads an event; none when it is of a kind that newer servers may have.
    fn read(event: &Event) -> Result<Option<Self>, serde_json::Error> {
        Ok(Some(match event.name.as_str() {
            "build-log" => Self::Lines(Log::Build, serde_json::from_str(&event.data)?),
            "run-log" => Self::Lines(Log::Run, serde_json::from_str(&event.data)?),
            "progress" => Self::Progress(serde_json::from_str(&event.data)?),
            "state" => Self::State(serde_json::from_str::<StateChange>(&event.data)?.state),
            "final" => Self::Final(
                serde_json::from_str::<StateChange>(&event.data)?
                    .reason
                    .unwrap_or_else(|| "Success".to_owned()),
            ),
            _ => return Ok(None),
        }))
    }
}

/// What was shown of a job so far.
#[derive(Debug, Default)]
struct Shown {
    build_lines: usize,
    run_lines: usize,
    /// Whether this connection said that the job runs.
    is_running: bool,
    /// All events ever.
    events: u64,
}

impl Shown {
    async fn show<O, E>(&mut self, news: News, console: &mut Console<O, E>) -> Result<(), CliError>
    where
        O: AsyncWrite + Unpin,
        E: AsyncWrite + Unpin,
    {
        self.events += 1;
        match news {
            News::Lines(log, lines) => console.lines(log, self.fresh(log, &lines)).await?,
            News::Progress(progress) => console.progress(&progress),
            News::State(state) => {
                self.note_state(&state);
                console.end_progress();
            }
            News::Final(_) => {}
        }
        Ok(())
    }

    /// The lines that were not shown yet; from now on they count as shown.
    fn fresh<'a>(&mut self, log: Log, lines: &'a Lines) -> &'a [Line] {
        let shown = match log {
            Log::Build => &mut self.build_lines,
            Log::Run => &mut self.run_lines,
        };
        let end = lines.cursor.unwrap_or(*shown + lines.lines.len());
        let start = end.saturating_sub(lines.lines.len());
        let known = shown.saturating_sub(start).min(lines.lines.len());
        *shown = end.max(*shown);
        &lines.lines[known..]
    }

    /// A job that waits again after it ran lost its container: its next run writes a log of its own.
    fn note_state(&mut self, state: &str) {
        match state {
            "Running" => self.is_running = true,
            "Queued" if self.is_running => {
                *self = Self { events: self.events, ..Self::default() };
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str], cursor: Option<usize>) -> Lines {
        let line = |text: &&str| Line { text: (*text).to_owned(), is_stderr: false };
        Lines { lines: texts.iter().map(line).collect(), cursor }
    }

    fn fresh(shown: &mut Shown, texts: &[&str], cursor: Option<usize>) -> Vec<String> {
        shown.fresh(Log::Run, &lines(texts, cursor)).iter().map(|line| line.text.clone()).collect()
    }

    #[test]
    fn replayed_lines_are_shown_once_however_they_are_grouped() {
        let mut shown = Shown::default();
        assert_eq!(fresh(&mut shown, &["1", "2"], Some(2)), ["1", "2"]);
        assert_eq!(fresh(&mut shown, &["3"], Some(3)), ["3"]);
        // The connection broke; the server starts over.
        assert_eq!(fresh(&mut shown, &["1"], Some(1)), [""; 0]);
        assert_eq!(fresh(&mut shown, &["2", "3", "4"], Some(4)), ["4"]);
        assert_eq!(fresh(&mut shown, &["5"], Some(5)), ["5"]);
    }

    #[test]
    fn lines_without_a_place_are_taken_as_the_next_ones() {
        let mut shown = Shown::default();
        assert_eq!(fresh(&mut shown, &["1"], None), ["1"]);
        assert_eq!(fresh(&mut shown, &["2"], None), ["2"]);
    }

    #[test]
    fn build_and_run_lines_are_counted_apart() {
        let mut shown = Shown::default();
        assert_eq!(shown.fresh(Log::Build, &lines(&["pulled"], Some(1))).len(), 1);
        assert_eq!(fresh(&mut shown, &["1"], Some(1)), ["1"]);
    }

    #[test]
    fn a_run_that_starts_over_is_shown_from_its_start() {
        let mut shown = Shown::default();
        shown.note_state("Queued");
        shown.note_state("Running");
        assert_eq!(fresh(&mut shown, &["1"], Some(1)), ["1"]);
        shown.note_state("Queued");
        assert_eq!(fresh(&mut shown, &["1"], Some(1)), ["1"]);
    }

    #[test]
    fn events_of_every_kind_are_read_and_unknown_kinds_skipped() {
        let read = |name: &str, data: &str| News::read(&Event { name: name.into(), data: data.into() });
        assert!(matches!(
            read("run-log", r#"{"lines":[["a",1,true]],"cursor":1}"#),
            Ok(Some(News::Lines(Log::Run, _)))
        ));
        assert!(matches!(read("build-log", r#"{"lines":[]}"#), Ok(Some(News::Lines(Log::Build, _)))));
        assert!(
            matches!(read("state", r#"{"state":"Queued"}"#), Ok(Some(News::State(state))) if state == "Queued")
        );
        let last = read("final", r#"{"state":"Finished","reason":"TimedOut"}"#);
        assert!(matches!(last, Ok(Some(News::Final(reason))) if reason == "TimedOut"));
        assert!(matches!(read("progress", r#"{"image":"x"}"#), Ok(Some(News::Progress(_)))));
        assert!(matches!(read("weather", "rain"), Ok(None)));
        assert!(read("state", "rain").is_err());
    }

    #[test]
    fn pauses_grow_to_five_seconds() {
        assert_eq!(pause(1), Duration::from_millis(200));
        assert_eq!(pause(100), Duration::from_secs(5));
    }
}
