//! Shows how far the download of an image is: bars on a terminal, two lines elsewhere.

use std::collections::HashMap;
use std::io::IsTerminal;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::records::{Layer, Progress};
use crate::words;

/// More layers than this would push the rest of the terminal away.
const MOST_BARS: usize = 12;

/// The bars of one image at a time.
pub(crate) struct PullBars {
    mode: Mode,
    bars: MultiProgress,
    total: Option<ProgressBar>,
    layers: HashMap<String, ProgressBar>,
    /// The image that was announced in words.
    announced: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Bars,
    Words,
    #[cfg(test)]
    Hidden,
}

impl PullBars {
    /// Bars when the error stream is a terminal, else words.
    pub(crate) fn on_stderr() -> Self {
        Self::of(if std::io::stderr().is_terminal() { Mode::Bars } else { Mode::Words })
    }

    #[cfg(test)]
    pub(crate) fn hidden() -> Self {
        Self::of(Mode::Hidden)
    }

    fn of(mode: Mode) -> Self {
        Self { mode, bars: MultiProgress::new(), total: None, layers: HashMap::new(), announced: None }
    }

    /// Shows the newest state.
    pub(crate) fn show(&mut self, progress: &Progress) {
        match self.mode {
            Mode::Bars => self.show_bars(progress),
            Mode::Words => self.announce(progress),
            #[cfg(test)]
            Mode::Hidden => {}
        }
    }

    /// Takes the bars away.
    pub(crate) fn clear(&mut self) {
        for bar in self.total.take().into_iter().chain(self.layers.drain().map(|(_, bar)| bar)) {
            bar.finish_and_clear();
        }
    }

    fn announce(&mut self, progress: &Progress) {
        if self.announced.as_deref() != Some(&progress.image) {
            eprintln!("Pulling {}", progress.image);
            self.announced = Some(progress.image.clone());
        }
    }

    fn show_bars(&mut self, progress: &Progress) {
        let total = self.total.get_or_insert_with(|| {
            let bar = self.bars.add(ProgressBar::new(0).with_style(style("{msg} [{bar:24}] {prefix}")));
            bar.set_message(format!("Pulling {}", progress.image));
            bar
        });
        set(total, progress.done, progress.total);
        for layer in &progress.layers {
            self.show_layer(layer);
        }
    }

    fn show_layer(&mut self, layer: &Layer) {
        let is_done = layer.total > 0 && layer.done >= layer.total;
        if let Some(bar) = self.layers.get(&layer.id) {
            bar.set_message(layer.status.clone());
            set(bar, layer.done, layer.total);
            if is_done {
                bar.finish_and_clear();
                self.layers.remove(&layer.id);
            }
        } else if !is_done && layer.total > 0 && self.layers.len() < MOST_BARS {
            let bar = self.bars.add(ProgressBar::new(0).with_style(style("  {msg:16} [{bar:24}] {prefix}")));
            bar.set_message(layer.status.clone());
            set(&bar, layer.done, layer.total);
            self.layers.insert(layer.id.clone(), bar);
        }
    }
}

fn set(bar: &ProgressBar, done: u64, total: u64) {
    bar.set_length(total);
    bar.set_position(done);
    bar.set_prefix(match total {
        0 => words::size(done),
        _ => format!("{} of {}", words::size(done), words::size(total)),
    });
}

/// A style of the template, or the plain bar should the template ever be wrong.
pub(crate) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(done: u64) -> Progress {
        let layer = Layer { id: "l".into(), status: "Downloading".into(), done, total: 10 };
        Progress { image: "busybox".into(), layers: vec![layer], done, total: 10 }
    }

    #[test]
    fn a_layers_bar_goes_when_the_layer_is_here() {
        let mut bars = PullBars::of(Mode::Bars);
        bars.show(&progress(3));
        assert_eq!(bars.layers.len(), 1);
        bars.show(&progress(10));
        assert!(bars.layers.is_empty());
        bars.clear();
        assert!(bars.total.is_none());
    }

    #[test]
    fn the_templates_are_valid() {
        for template in ["{msg} [{bar:24}] {prefix}", "  {msg:16} [{bar:24}] {prefix}"] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
