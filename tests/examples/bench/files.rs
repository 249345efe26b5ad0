//! Big files into the store and out of it, beside copying and hashing them on this computer.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};

use deskgrid_tests::Deskgrid;
use tempfile::TempDir;

use crate::samples::Samples;
use crate::table::{Row, megabytes, speed, time};
use crate::{Bench, command_line, hashing, plain_http};

/// A file that no compression and no earlier copy helps with; its beginning changes with each round.
pub(crate) struct BigFile {
    folder: TempDir,
    pub(crate) bytes: u64,
}

impl BigFile {
    /// Makes it on the same disk as the data of the server.
    pub(crate) fn make(server: &Deskgrid, bytes: u64) -> Self {
        let big = Self { folder: tempfile::tempdir_in(server.data()).expect("a folder"), bytes };
        let mut file = File::create(big.path()).expect("a file");
        let mut state = 88_172_645_463_325_252_u64;
        let mut piece = vec![0; 1 << 20];
        for _ in 0..bytes / piece.len() as u64 {
            for word in piece.chunks_exact_mut(8) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                word.copy_from_slice(&state.to_le_bytes());
            }
            file.write_all(&piece).expect("space");
        }
        big
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("file")
    }

    /// Makes it a file that was never stored.
    pub(crate) fn renew(&self) {
        let mut file = File::options().write(true).open(self.path()).expect("the file");
        file.rewind().and_then(|()| file.write_all(deskgrid_tests::unique().as_bytes())).expect("space");
    }

    fn copy(&self) -> PathBuf {
        self.folder.path().join("copy")
    }
}

#[derive(Default)]
struct Measured {
    put: Samples,
    get: Samples,
    copy: Samples,
    copy_in_memory: Samples,
    hash: Samples,
    /// The least time that hashing takes, with the bytes in memory.
    least_hash: Samples,
    loopback: Samples,
}

pub(crate) async fn measure(bench: &Bench) -> Vec<Row> {
    let server = &bench.server;
    let big = BigFile::make(server, bench.scale.bytes);
    let mut measured = Measured::default();
    for _ in 0..bench.scale.long_rounds {
        round(server, &big, &mut measured).await;
    }
    rows(&measured, big.bytes)
}

async fn round(server: &Deskgrid, big: &BigFile, measured: &mut Measured) {
    let (path, copy) = (big.path(), big.copy());
    big.renew();
    command_line::settle(&path).await;
    let (took, hash) = command_line::sha256sum(&path).await;
    measured.hash.push(took);
    measured.least_hash.push(hashing::least(big.bytes));
    measured.copy.push(command_line::copy(&path, &copy).await);
    std::fs::remove_file(&copy).expect("the copy goes");
    command_line::settle(&path).await;
    measured.put.push(tokio::task::block_in_place(|| plain_http::put(server, &hash, &path)));
    measured.get.push(tokio::task::block_in_place(|| plain_http::get(server, &hash, big.bytes)));
    command_line::settle(&path).await;
    measured.copy_in_memory.push(command_line::copy_in_memory(&path, &copy).await);
    std::fs::remove_file(&copy).expect("the copy goes");
    measured.loopback.push(tokio::task::block_in_place(|| plain_http::through_loopback(&path)));
}

fn rows(measured: &Measured, bytes: u64) -> Vec<Row> {
    let Measured { put, get, copy, copy_in_memory, hash, least_hash, loopback } = measured;
    let size = megabytes(bytes as f64);
    let slower = if copy.median() > least_hash.median() { copy } else { least_hash };
    let both = format!("cp+sync {}, sha256sum {}", time(copy.median()), time(hash.median()));
    let most = format!("slower of cp+sync, hashing ({})", time(least_hash.median()));
    let put_name = format!("PUT of {size} ({})", speed(bytes, put.median()));
    let get_name = format!("GET of {size} ({})", speed(bytes, get.median()));
    vec![
        Row::times(put_name.clone(), put.median(), copy.median() + hash.median(), &both),
        Row::medians(put_name, put, slower, &most).aim_time(put.median(), slower.median()),
        Row::medians(get_name.clone(), get, copy_in_memory, "cp without sync"),
        Row::medians(get_name, get, loopback, "the bytes through bare TCP"),
    ]
}

/// The kind of the file system below `place`.
pub(crate) fn disk_of(place: &Path) -> String {
    let output =
        std::process::Command::new("stat").args(["--file-system", "--format=%T"]).arg(place).output();
    let kind = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    format!("files in {} ({}); TMPDIR chooses another disk", place.display(), kind.unwrap_or_default())
}
