//! Where a job's lines go: the container's output to our output, its errors and everything else to our errors.

use tokio::io::{AsyncWrite, AsyncWriteExt, Stderr, Stdout};

use crate::error::CliError;
use crate::pull::PullBars;
use crate::records::{Line, Progress};

/// Which log a line belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Log {
    /// How the image came to be here.
    Build,
    /// What the container wrote.
    Run,
}

/// The two streams of this program. Writing waits without holding up Ctrl-C, even when nobody reads.
pub(crate) struct Console<O = Stdout, E = Stderr> {
    stdout: O,
    stderr: E,
    pull: PullBars,
}

impl Console {
    /// The streams of this process.
    pub(crate) fn of_process() -> Self {
        Self { stdout: tokio::io::stdout(), stderr: tokio::io::stderr(), pull: PullBars::on_stderr() }
    }
}

impl<O: AsyncWrite + Unpin, E: AsyncWrite + Unpin> Console<O, E> {
    /// Writes lines exactly as the container did.
    pub(crate) async fn lines(&mut self, log: Log, lines: &[Line]) -> Result<(), CliError> {
        if lines.is_empty() {
            return Ok(());
        }
        self.pull.clear();
        let is_stderr = |line: &Line| line.is_stderr || log == Log::Build;
        for run in lines.chunk_by(|a, b| is_stderr(a) == is_stderr(b)) {
            let text: String = run.iter().map(|line| line.text.as_str()).collect();
            let written = if is_stderr(&run[0]) {
                write(&mut self.stderr, &text).await
            } else {
                write(&mut self.stdout, &text).await
            };
            written.map_err(|_| CliError::NobodyReads)?;
        }
        Ok(())
    }

    /// Shows how far the image is.
    pub(crate) fn progress(&mut self, progress: &Progress) {
        self.pull.show(progress);
    }

    /// Takes away what is only of interest while it moves.
    pub(crate) fn end_progress(&mut self) {
        self.pull.clear();
    }
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), text: &str) -> std::io::Result<()> {
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, is_stderr: bool) -> Line {
        Line { text: text.into(), is_stderr }
    }

    #[tokio::test]
    async fn each_stream_gets_its_own_bytes_unchanged() {
        let mut console = Console { stdout: Vec::new(), stderr: Vec::new(), pull: PullBars::hidden() };
        let lines = [line("a\n", false), line("oh\n", true), line("b\r", false), line("no newline", false)];
        console.lines(Log::Run, &lines).await.unwrap();
        console.lines(Log::Build, &[line("built\n", false)]).await.unwrap();
        assert_eq!(String::from_utf8(console.stdout).unwrap(), "a\nb\rno newline");
        assert_eq!(String::from_utf8(console.stderr).unwrap(), "oh\nbuilt\n");
    }
}
