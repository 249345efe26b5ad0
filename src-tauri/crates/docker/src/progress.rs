//! The progress of a pull: the engine's messages as lines of text, worded as the docker command line words them, and
//! as counts of bytes.

use std::collections::HashMap;

use bollard::models::CreateImageInfo;

use crate::joint::Message;

/// Characters of a full progress bar.
const BAR: u64 = 50;

/// One message about a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullProgress {
    /// The message as a line, without a newline.
    pub line: String,
    /// The layer that it is about, when it tells how far that is.
    pub layer: Option<LayerProgress>,
    /// Bytes downloaded of all layers.
    pub done: u64,
    /// Bytes to download of all layers known so far; grows while the pull goes on.
    pub total: u64,
    /// Layers that are in place, and all that are known so far.
    pub layers: (u64, u64),
}

impl Message for PullProgress {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.line.len() + self.layer.as_ref().map_or(0, |layer| layer.id.len())
    }
}

/// How far one layer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerProgress {
    /// The layer's short id.
    pub id: String,
    /// Bytes downloaded or unpacked, as the line says.
    pub done: u64,
    /// Bytes to download or unpack.
    pub total: u64,
}

/// Adds up the layers of one pull.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    layers: HashMap<String, Layer>,
}

/// What is known of one layer.
#[derive(Debug, Default)]
struct Layer {
    /// Bytes downloaded, and to download.
    bytes: (u64, u64),
    /// Whether it is in place.
    is_here: bool,
}

impl Meter {
    /// Takes in the engine's next message. Messages without text, which end a pull, tell nothing.
    pub(crate) fn next(&mut self, message: CreateImageInfo) -> Option<PullProgress> {
        let status = message.status.filter(|status| !status.is_empty())?;
        let detail = message.progress_detail.unwrap_or_default();
        let counted = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
        let amounts = counted(detail.current).zip(counted(detail.total)).filter(|(_, total)| *total > 0);
        let id = message.id.filter(|id| !id.is_empty());
        if let Some(id) = &id {
            self.count(id, &status, amounts);
        }
        let layer = id.clone().zip(amounts).map(|(id, (done, total))| LayerProgress { id, done, total });
        Some(self.progress(line(id.as_deref(), &status, amounts), layer))
    }

    /// Words of ours about the pull, beside the sums so far.
    pub(crate) fn remark(&self, words: &str) -> PullProgress {
        self.progress(words.to_owned(), None)
    }

    fn progress(&self, line: String, layer: Option<LayerProgress>) -> PullProgress {
        let layers = || self.layers.values();
        PullProgress {
            line,
            layer,
            done: layers().map(|layer| layer.bytes.0).sum(),
            total: layers().map(|layer| layer.bytes.1).sum(),
            layers: (layers().filter(|layer| layer.is_here).count() as u64, self.layers.len() as u64),
        }
    }

    fn count(&mut self, id: &str, status: &str, amounts: Option<(u64, u64)>) {
        // Other messages have an id that is none of a layer, such as the tag.
        const OF_LAYERS: [&str; 8] = [
            "Pulling fs layer",
            "Waiting",
            "Downloading",
            "Verifying Checksum",
            "Download complete",
            "Extracting",
            "Pull complete",
            "Already exists",
        ];
        if !OF_LAYERS.contains(&status) {
            return;
        }
        let layer = self.layers.entry(id.to_owned()).or_default();
        match (status, amounts) {
            ("Downloading", Some(amounts)) => layer.bytes = amounts,
            ("Verifying Checksum" | "Download complete" | "Pull complete", _) => {
                layer.bytes.0 = layer.bytes.1;
            }
            _ => {}
        }
        layer.is_here |= matches!(status, "Pull complete" | "Already exists");
    }
}

fn line(id: Option<&str>, status: &str, amounts: Option<(u64, u64)>) -> String {
    let bar = amounts.map(|(done, total)| format!(" {} {}/{}", bar(done, total), size(done), size(total)));
    let prefix = id.map(|id| format!("{id}: "));
    format!("{}{status}{}", prefix.unwrap_or_default(), bar.unwrap_or_default())
}

fn bar(done: u64, total: u64) -> String {
    let full = usize::try_from(done.min(total).saturating_mul(BAR) / total).unwrap_or(0);
    let width = usize::try_from(BAR).unwrap_or(0);
    let head = if full < width { ">" } else { "" };
    format!("[{:<width$}]", "=".repeat(full) + head)
}

/// Bytes in decimal units with four digits, such as `1.235MB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut amount = bytes as f64;
    let mut unit = 0;
    while amount >= 1000.0 && unit + 1 < UNITS.len() {
        amount /= 1000.0;
        unit += 1;
    }
    let digits_after =
        if unit == 0 { 0 } else { [3, 2, 1][usize::from(amount >= 10.0) + usize::from(amount >= 100.0)] };
    let number = format!("{amount:.digits_after$}");
    // Zeros at the end say nothing.
    let short = if digits_after > 0 { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
    format!("{short}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    fn message(id: &str, status: &str, amounts: Option<(i64, i64)>) -> CreateImageInfo {
        let detail =
            amounts.map(|(current, total)| ProgressDetail { current: Some(current), total: Some(total) });
        CreateImageInfo {
            id: Some(id.to_owned()),
            status: Some(status.to_owned()),
            progress_detail: detail,
            ..CreateImageInfo::default()
        }
    }

    #[test]
    fn lines_read_as_those_of_the_docker_command_line() {
        let mut meter = Meter::default();
        let mut line = |id, status, amounts| meter.next(message(id, status, amounts)).unwrap().line;
        assert_eq!(line("latest", "Pulling from library/x", None), "latest: Pulling from library/x");
        let half = format!("a1: Downloading [{}>{}] 1.5MB/3MB", "=".repeat(25), " ".repeat(24));
        assert_eq!(line("a1", "Downloading", Some((1_500_000, 3_000_000))), half);
        let whole = format!("a1: Extracting [{}] 123B/123B", "=".repeat(50));
        assert_eq!(line("a1", "Extracting", Some((123, 123))), whole);
        assert_eq!(line("", "Digest: sha256:00", None), "Digest: sha256:00");
    }

    #[test]
    fn the_layers_add_up_and_a_finished_one_counts_in_full() {
        let mut meter = Meter::default();
        let mut sums = |id, status, amounts| {
            let progress = meter.next(message(id, status, amounts)).unwrap();
            (progress.done, progress.total)
        };
        assert_eq!(sums("a", "Downloading", Some((10, 100))), (10, 100));
        assert_eq!(sums("b", "Downloading", Some((1, 50))), (11, 150));
        assert_eq!(sums("a", "Download complete", None), (101, 150));
        assert_eq!(sums("a", "Extracting", Some((5, 100))), (101, 150));
        assert_eq!(sums("c", "Already exists", None), (101, 150));
    }

    #[test]
    fn layers_are_counted_and_those_that_are_in_place() {
        let mut meter = Meter::default();
        let mut layers = |id, status| meter.next(message(id, status, None)).unwrap().layers;
        assert_eq!(layers("latest", "Pulling from x"), (0, 0));
        assert_eq!(layers("a", "Pulling fs layer"), (0, 1));
        assert_eq!(layers("b", "Already exists"), (1, 2));
        assert_eq!(layers("a", "Download complete"), (1, 2));
        assert_eq!(layers("a", "Pull complete"), (2, 2));
        assert_eq!(layers("", "Digest: sha256:00"), (2, 2));
    }

    #[test]
    fn sizes_have_four_digits() {
        for (bytes, wanted) in [
            (0, "0B"),
            (999, "999B"),
            (1234, "1.234kB"),
            (12_345_678, "12.35MB"),
            (123_456_789_000, "123.5GB"),
        ] {
            assert_eq!(size(bytes), wanted);
        }
    }

    #[test]
    fn a_message_without_text_tells_nothing() {
        assert_eq!(Meter::default().next(CreateImageInfo::default()), None);
    }
}
