//! Whether hashing uses the processor's own instructions for SHA-256.

use std::io::Write as _;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::Bench;
use crate::table::{Row, ratio, speed};

/// Pieces of the size that the store hashes.
const PIECE: usize = 256 * 1024;
const ROUNDS: usize = 5;

/// `sha2` as it is built into this program and into `deskgrid`, beside `sha256sum`.
pub(crate) fn measure(bench: &Bench) -> Vec<Row> {
    let bytes = bench.scale.bytes;
    let (mut ours, mut theirs) = (f64::MAX, f64::MAX);
    let mut file = tempfile::NamedTempFile::new_in(bench.server.data()).expect("a file");
    let piece = vec![7; PIECE];
    (0..bytes / PIECE as u64).for_each(|_| file.write_all(&piece).expect("space"));
    // The best of some rounds: nothing but the processor is measured.
    for _ in 0..ROUNDS {
        ours = ours.min(hash(&piece, bytes));
        theirs = theirs.min(sha256sum(file.path()));
    }
    let in_time = |seconds: f64| speed(bytes, Duration::from_secs_f64(seconds));
    let row = Row::new(format!("SHA-256 in deskgrid ({})", instructions()), in_time(ours));
    vec![row.against(in_time(theirs), "sha256sum").apart(format!("{} as fast", ratio(theirs, ours)))]
}

/// How long the hashing of so many bytes takes that are in memory.
pub(crate) fn least(bytes: u64) -> Duration {
    Duration::from_secs_f64(hash(&vec![7; PIECE], bytes))
}

fn hash(piece: &[u8], bytes: u64) -> f64 {
    let began = Instant::now();
    let mut hasher = Sha256::new();
    (0..bytes / PIECE as u64).for_each(|_| hasher.update(piece));
    std::hint::black_box(hasher.finalize());
    began.elapsed().as_secs_f64()
}

fn sha256sum(file: &std::path::Path) -> f64 {
    let began = Instant::now();
    let output = std::process::Command::new("sha256sum").arg(file).output().expect("sha256sum is installed");
    assert!(output.status.success());
    began.elapsed().as_secs_f64()
}

/// Which way the crate takes on this processor: it looks for the instructions when it runs.
fn instructions() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    let has = std::arch::is_x86_feature_detected!("sha");
    #[cfg(target_arch = "aarch64")]
    let has = std::arch::is_aarch64_feature_detected!("sha2");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let has = false;
    if has { "hardware path" } else { "no hardware path here" }
}
