//! What jobs and image builds wrote, line by line, complete.
//!
//! A log is a file with one compact JSON array a line: `["text",time]`, or `["text",time,true]` for the error
//! stream. A line counts once its newline is there; a half line at the end is one that is being written, or one that
//! a crash cut off.

mod excerpt;
mod line;
mod read;
mod writer;

use std::sync::Arc;

use deskgrid_job::{JobId, LogLine};

pub use excerpt::{Cut, Excerpt};
pub use read::Place;
pub use writer::{LogWriter, Opening, Texts};

use crate::blocking;
use crate::error::StoreError;
use crate::folder::Folder;
use crate::holdings::gone;

/// The most bytes that [`Logs::read`] gives at once.
const LARGEST_SLICE: usize = 8 * 1024 * 1024;

/// Which log of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogKind {
    /// What its container wrote.
    Run,
    /// What pulling or building its image wrote.
    Build,
}

impl LogKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Build => "build",
        }
    }
}

/// Some lines of a log in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSlice {
    /// The lines.
    pub lines: Vec<LogLine>,
    /// The number of the line after the last of these, counted from 0: where to go on.
    pub next: u64,
    /// Whether there are lines from `next` on already.
    pub more: bool,
}

/// How much of a log is wanted at once.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// Lines.
    pub lines: usize,
    /// Bytes as they are stored; a single line may be longer.
    pub bytes: usize,
}

/// A handle on the logs of all jobs. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Logs {
    folder: Arc<Folder>,
}

impl Logs {
    pub(crate) fn new(folder: Arc<Folder>) -> Self {
        Self { folder }
    }

    /// Opens a log for writing; at most one writer a log. Blocks on the disk.
    pub fn writer(&self, id: &JobId, kind: LogKind, opening: Opening) -> Result<LogWriter, StoreError> {
        LogWriter::open(self.folder.log(id, kind), opening)
    }

    /// Removes the logs of a job, where there are any: looking is cheap, and asks nothing of a disk that may only be read.
    /// Blocks on the disk.
    ///
    /// # Errors
    /// Names the first that could not be removed.
    pub fn remove(&self, id: &JobId) -> Result<(), StoreError> {
        for kind in [LogKind::Run, LogKind::Build] {
            let path = self.folder.log(id, kind);
            if path.exists() {
                gone(&path)?;
            }
        }
        Ok(())
    }

    /// Lines from number `since` on: at most `most`, and no more than some megabytes of text at once. A log that
    /// was never written is empty. `next` is never before `since`, unless the log is shorter: then it is its length.
    pub async fn read(
        &self,
        id: &JobId,
        kind: LogKind,
        since: u64,
        most: usize,
    ) -> Result<LogSlice, StoreError> {
        let most = Most { lines: most, bytes: LARGEST_SLICE };
        self.read_on(id, kind, since.into(), most).await.map(|(slice, _)| slice)
    }

    /// As [`Logs::read`], from where an earlier call stopped, and says where this one does. It takes the same time
    /// however long the log is.
    pub async fn read_on(
        &self,
        id: &JobId,
        kind: LogKind,
        from: Place,
        most: Most,
    ) -> Result<(LogSlice, Place), StoreError> {
        let path = self.folder.log(id, kind);
        blocking(move || read::slice(&path, from, most)).await
    }

    /// The run log of a job, or its beginning and end when its file has more than `limit` bytes. Memory does not
    /// grow with the log.
    pub async fn excerpt(&self, id: &JobId, limit: u64) -> Result<Excerpt, StoreError> {
        let path = self.folder.log(id, LogKind::Run);
        blocking(move || excerpt::excerpt(&path, limit)).await
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;

    use deskgrid_job::Time;

    use super::*;

    struct Case {
        logs: Logs,
        id: JobId,
        _dir: tempfile::TempDir,
    }

    fn case() -> Case {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::create(dir.path()).unwrap();
        folder.prepare().unwrap();
        Case { logs: Logs::new(Arc::new(folder)), id: JobId::new("job").unwrap(), _dir: dir }
    }

    impl Case {
        fn writer(&self, opening: Opening) -> LogWriter {
            self.logs.writer(&self.id, LogKind::Run, opening).unwrap()
        }

        async fn read(&self, since: u64, most: usize) -> LogSlice {
            self.logs.read(&self.id, LogKind::Run, since, most).await.unwrap()
        }

        fn write(&self, numbers: std::ops::Range<u64>) {
            let mut writer = self.writer(Opening::Truncate);
            writer.append(&numbers.map(line).collect::<Vec<_>>()).unwrap();
        }
    }

    fn line(number: u64) -> LogLine {
        LogLine { text: format!("line {number}\n"), time: Time(number), is_stderr: number.is_multiple_of(3) }
    }

    #[tokio::test]
    async fn a_log_that_was_never_written_is_empty() {
        let case = case();
        assert_eq!(case.read(5, 10).await, LogSlice::default());
        assert_eq!(case.logs.excerpt(&case.id, 100).await.unwrap(), Excerpt::default());
    }

    #[tokio::test]
    async fn flushed_lines_are_seen_while_the_writer_goes_on() {
        let case = case();
        let mut writer = case.writer(Opening::Truncate);
        writer.append(&[line(0), line(1)]).unwrap();
        writer.flush().unwrap();
        writer.append(&[line(2)]).unwrap();
        let slice = case.read(1, 10).await;
        assert_eq!(slice, LogSlice { lines: vec![line(1)], next: 2, more: false });
        assert_eq!(writer.count(), 3);
        writer.sync().unwrap();
        assert_eq!(case.read(2, 10).await.lines, [line(2)]);
    }

    #[tokio::test]
    async fn reading_goes_on_where_it_stopped_while_the_log_grows_and_when_a_new_run_replaces_it() {
        let case = case();
        let read = |place| case.logs.read_on(&case.id, LogKind::Run, place, Most { lines: 3, bytes: 1000 });
        assert_eq!(read(Place::default()).await.unwrap(), Default::default());
        let mut writer = case.writer(Opening::Truncate);
        writer.append(&[line(0), line(1), line(2), line(3)]).unwrap();
        writer.flush().unwrap();
        let (slice, place) = read(Place::default()).await.unwrap();
        assert_eq!((slice.lines.len(), slice.more, place.line()), (3, true, 3));
        writer.append(&[line(4)]).unwrap();
        writer.flush().unwrap();
        let (slice, place) = read(place).await.unwrap();
        assert_eq!((slice.lines, place.line()), (vec![line(3), line(4)], 5));
        assert_eq!(read(place).await.unwrap(), (LogSlice { next: 5, ..LogSlice::default() }, place));
        drop(writer);
        // Times of files are as fine as the clock of the system, which moves some hundred times a second.
        std::thread::sleep(std::time::Duration::from_millis(30));
        case.write(10..12);
        let (slice, place) = read(place).await.unwrap();
        assert_eq!((slice.next, place.line()), (2, 2), "a shorter log is at its end");
    }

    #[tokio::test]
    async fn two_hundred_thousand_lines_are_read_from_any_of_them_on() {
        let case = case();
        case.write(0..200_000);
        let slice = case.read(199_990, 5).await;
        assert_eq!(slice.lines, (199_990..199_995).map(line).collect::<Vec<_>>());
        assert_eq!((slice.next, slice.more), (199_995, true));
        let beyond = case.read(300_000, 5).await;
        assert_eq!(beyond, LogSlice { lines: vec![], next: 200_000, more: false });
        let (mut next, mut seen) = (0, 0);
        loop {
            let slice = case.read(next, 60_000).await;
            assert!(slice.lines.iter().zip(next..).all(|(found, number)| *found == line(number)));
            (next, seen) = (slice.next, seen + slice.lines.len());
            if !slice.more {
                break;
            }
        }
        assert_eq!((next, seen), (200_000, 200_000));
    }

    #[tokio::test]
    async fn one_slice_holds_some_megabytes_only() {
        let case = case();
        let long = LogLine { text: "x".repeat(3_000_000), ..line(1) };
        case.writer(Opening::Truncate).append(&vec![long; 4]).unwrap();
        let slice = case.read(0, usize::MAX).await;
        assert_eq!((slice.lines.len(), slice.next, slice.more), (2, 2, true));
    }

    #[tokio::test]
    async fn a_half_line_is_not_shown_and_is_overwritten_when_the_log_goes_on() {
        let case = case();
        case.write(0..3);
        let path = case.logs.folder.log(&case.id, LogKind::Run);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"[\"cut o").unwrap();
        assert_eq!(case.read(0, 10).await.next, 3);
        let mut writer = case.writer(Opening::Append);
        assert_eq!(writer.count(), 3);
        writer.append(&[line(3)]).unwrap();
        drop(writer);
        assert_eq!(case.read(0, 10).await.lines, (0..4).map(line).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_new_run_begins_with_an_empty_log() {
        let case = case();
        case.write(0..3);
        drop(case.writer(Opening::Truncate));
        assert_eq!(case.read(0, 10).await, LogSlice::default());
    }

    #[tokio::test]
    async fn ids_that_differ_only_in_case_have_logs_of_their_own() {
        let case = case();
        for id in ["Job", "job"] {
            let id = JobId::new(id).unwrap();
            let text = LogLine { text: id.to_string(), ..line(1) };
            let mut writer = case.logs.writer(&id, LogKind::Build, Opening::Truncate).unwrap();
            writer.append(&[text]).unwrap();
        }
        for id in ["Job", "job"] {
            let slice = case.logs.read(&JobId::new(id).unwrap(), LogKind::Build, 0, 9).await.unwrap();
            assert_eq!(slice.lines[0].text, id);
        }
    }

    #[tokio::test]
    async fn a_short_log_is_shown_whole() {
        let case = case();
        case.write(0..10);
        let excerpt = case.logs.excerpt(&case.id, 10_000).await.unwrap();
        let head = (0..10).map(line).collect();
        assert_eq!(excerpt, Excerpt { head, cut: None, tail: vec![] });
    }

    #[tokio::test]
    async fn of_a_long_log_the_beginning_and_the_end_are_shown_and_the_rest_is_counted() {
        let case = case();
        case.write(0..10_000);
        let limit = 4_000;
        let excerpt = case.logs.excerpt(&case.id, limit).await.unwrap();
        let (head, tail) = (excerpt.head.len() as u64, excerpt.tail.len() as u64);
        let cut = excerpt.cut.unwrap();
        assert_eq!(head + cut.lines + tail, 10_000);
        assert_eq!(excerpt.head, (0..head).map(line).collect::<Vec<_>>());
        assert_eq!(excerpt.tail, (10_000 - tail..10_000).map(line).collect::<Vec<_>>());
        let length = fs::metadata(case.logs.folder.log(&case.id, LogKind::Run)).unwrap().len();
        assert!(length - cut.bytes <= limit && length - cut.bytes > limit - 100, "{cut:?} of {length}");
        assert!(tail > 2 * head);
    }

    #[tokio::test]
    async fn a_line_longer_than_the_limit_is_left_out() {
        let case = case();
        let long = LogLine { text: "x".repeat(1_000), ..line(1) };
        case.writer(Opening::Truncate).append(&[line(0), long, line(2)]).unwrap();
        let excerpt = case.logs.excerpt(&case.id, 200).await.unwrap();
        assert_eq!((excerpt.head, excerpt.tail), (vec![line(0)], vec![line(2)]));
        assert_eq!(excerpt.cut.unwrap().lines, 1);
    }
}
