//! What the classic builder writes: text in pieces, steps by their number, and the messages of pulls.

use std::collections::BTreeMap;

use bollard::models::{BuildInfo, CreateImageInfo};

use super::registries::Arguments;
use super::{Base, BuildProgress, LONGEST_LINE, Reader};
use crate::holdings::full_name;
use crate::progress::Meter;

/// The builder paints what a step writes to its standard error in this colour.
const RED: &str = "\u{1b}[91m";
const PLAIN: &str = "\u{1b}[0m";
/// How a pull that has brought something ends.
const NEWER: &str = "Status: Downloaded newer image for ";

/// How a pull begins.
const PULLING: &str = "Pulling from ";

/// Reads the messages of one build.
pub(super) struct Text {
    stdout: String,
    stderr: String,
    step: Option<Step>,
    arguments: Arguments,
    /// The image that the step begins with or copies from.
    base: Option<String>,
    meter: Meter,
}

struct Step {
    number: u64,
    total: u64,
    words: String,
}

impl Step {
    /// Reads `Step 2/3 : RUN make`, or `STEP 2/3: RUN make` as Podman writes it.
    fn parse(line: &str) -> Option<Self> {
        let rest = line.strip_prefix("Step ").or_else(|| line.strip_prefix("STEP "))?;
        let (numbers, words) = rest.split_once(':')?;
        let (number, total) = numbers.trim().split_once('/')?;
        Some(Self {
            number: number.parse().ok()?,
            total: total.parse().ok()?,
            words: words.trim().to_owned(),
        })
    }
}

impl Text {
    /// Of a build with these values for its `ARG`s.
    pub(super) fn new(args: &BTreeMap<String, String>) -> Self {
        Self {
            stdout: String::new(),
            stderr: String::new(),
            step: None,
            arguments: Arguments::new(args),
            base: None,
            meter: Meter::default(),
        }
    }

    fn line(&mut self, line: &str, is_stderr: bool) -> BuildProgress {
        if !is_stderr && let Some(step) = Step::parse(line) {
            self.base = self.arguments.images(&step.words).into_iter().next();
            self.step = Some(step);
        }
        let (done, total) =
            self.step.as_ref().map_or((0, 0), |step| (step.number.saturating_sub(1), step.total));
        BuildProgress { line: line.trim_end_matches('\r').to_owned(), is_stderr, done, total, base: None }
    }

    fn text(&mut self, piece: &str, told: &mut Vec<BuildProgress>) {
        let is_stderr = piece.starts_with(RED);
        let piece = piece.strip_prefix(RED).unwrap_or(piece);
        let piece = piece.strip_suffix(PLAIN).unwrap_or(piece);
        let waiting = if is_stderr { &mut self.stderr } else { &mut self.stdout };
        let before = waiting.len();
        waiting.push_str(piece);
        let whole = match piece.rfind('\n') {
            Some(end) => before + end + 1,
            // A step may write without an end of line for as long as it likes.
            None if waiting.len() >= LONGEST_LINE => waiting.len(),
            None => 0,
        };
        let lines: String = waiting.drain(..whole).collect();
        // Empty lines stand between the step's words and what follows in pieces of their own.
        told.extend(lines.lines().map(|line| self.line(line, is_stderr)));
    }

    /// A message about the pull of an image that the build begins with.
    fn pull(&mut self, message: BuildInfo, told: &mut Vec<BuildProgress>) {
        let status = message.status.unwrap_or_default();
        let base = match status.strip_prefix(NEWER) {
            Some(name) => Some(Base::Here(full_name(name))),
            None if status.starts_with(PULLING) => {
                self.base.as_deref().map(|name| Base::Coming(full_name(name)))
            }
            None => None,
        };
        let message = CreateImageInfo {
            id: message.id,
            status: Some(status),
            progress_detail: message.progress_detail,
            ..CreateImageInfo::default()
        };
        // Counts of a layer's bytes come many times a second: `docker build` tells of them in a terminal only.
        if let Some(progress) = self.meter.next(message)
            && progress.layer.is_none()
        {
            told.push(BuildProgress { base, ..self.line(&progress.line, false) });
        }
    }
}

impl Reader for Text {
    fn take(&mut self, message: BuildInfo, told: &mut Vec<BuildProgress>) {
        if let Some(piece) = &message.stream {
            self.text(piece, told);
        } else if message.status.is_some() {
            self.pull(message, told);
        }
    }

    fn finish(&mut self, told: &mut Vec<BuildProgress>) {
        for (rest, is_stderr) in
            [(std::mem::take(&mut self.stdout), false), (std::mem::take(&mut self.stderr), true)]
        {
            told.extend(rest.lines().map(|line| self.line(line, is_stderr)).collect::<Vec<_>>());
        }
    }

    fn step(&self) -> Option<String> {
        self.step.as_ref().map(|step| format!("{}/{} ({})", step.number, step.total, step.words))
    }

    fn missing(&self) -> Option<String> {
        let words = &self.step.as_ref()?.words;
        let (from, rest) = words.split_once(' ')?;
        let mut words = rest.split_whitespace().filter(|word| !word.starts_with("--"));
        words.next().filter(|_| from.eq_ignore_ascii_case("from")).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&str]) -> (Vec<BuildProgress>, Text) {
        let (mut text, mut told) = (Text::new(&BTreeMap::new()), Vec::new());
        for piece in pieces {
            text.take(BuildInfo { stream: Some((*piece).to_owned()), ..BuildInfo::default() }, &mut told);
        }
        text.finish(&mut told);
        (told, text)
    }

    #[test]
    fn pieces_become_lines_and_steps_are_counted() {
        let (told, text) = read(&[
            "Step 1/2 : FROM a",
            "\n",
            " ---> 1234\n",
            "Step 2/2 : RUN echo x:y",
            "\n",
            "out\r\n",
            "\u{1b}[91merr\n\u{1b}[0m",
            "no end",
        ]);
        let lines: Vec<_> = told.iter().map(|told| (told.line.as_str(), told.is_stderr, told.done)).collect();
        let wanted = [
            ("Step 1/2 : FROM a", false, 0),
            (" ---> 1234", false, 0),
            ("Step 2/2 : RUN echo x:y", false, 1),
            ("out", false, 1),
            ("err", true, 1),
            ("no end", false, 1),
        ];
        assert_eq!(lines, wanted);
        assert!(told.iter().all(|told| told.total == 2));
        assert_eq!(text.step().as_deref(), Some("2/2 (RUN echo x:y)"));
    }

    #[test]
    fn a_line_without_end_is_told_in_parts() {
        let piece = "x".repeat(LONGEST_LINE / 2);
        let (told, _) = read(&[&piece, &piece, &piece, "\nnext\n"]);
        let lengths: Vec<_> = told.iter().map(|told| told.line.len()).collect();
        assert_eq!(lengths, [LONGEST_LINE, LONGEST_LINE / 2, 4]);
    }

    #[test]
    fn an_image_that_is_pulled_is_named_before_it_comes_and_when_it_is_here() {
        let given = BTreeMap::from([("BASE".to_owned(), "r.example/x".to_owned())]);
        let (mut text, mut told) = (Text::new(&given), Vec::new());
        let stream = |words: &str| BuildInfo { stream: Some(words.to_owned()), ..BuildInfo::default() };
        let status = |status: &str| BuildInfo { status: Some(status.to_owned()), ..BuildInfo::default() };
        for message in [
            stream("Step 1/4 : ARG BASE=y\n"),
            stream("Step 2/4 : FROM ${BASE} AS one\n"),
            BuildInfo { id: Some("latest".to_owned()), ..status("Pulling from x") },
            status("Status: Downloaded newer image for r.example/x:latest"),
            stream("Step 3/4 : COPY --from=busybox:1 /a /b\n"),
            BuildInfo { id: Some("1".to_owned()), ..status("Pulling from library/busybox") },
            stream("Step 4/4 : RUN echo Status: Downloaded newer image for z\n"),
        ] {
            text.take(message, &mut told);
        }
        let bases: Vec<_> = told.into_iter().filter_map(|told| told.base).collect();
        let x = || "r.example/x:latest".to_owned();
        assert_eq!(bases, [Base::Coming(x()), Base::Here(x()), Base::Coming("busybox:1".to_owned())]);
    }

    #[test]
    fn podmans_steps_are_read_as_well() {
        let (told, _) = read(&["STEP 1/3: FROM a\n"]);
        assert_eq!(told[0].total, 3);
    }

    #[test]
    fn the_image_that_a_stage_begins_with_is_known() {
        let missing = |line: &str| read(&[line]).1.missing();
        assert_eq!(missing("Step 1/2 : FROM --platform=linux/amd64 x:1 AS a\n").as_deref(), Some("x:1"));
        assert_eq!(missing("Step 2/2 : RUN echo FROM\n"), None);
    }
}
