//! What a job costs that builds its image: nothing when the block is unchanged, and little beyond the engine's own work
//! when the files come from our store.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use deskgrid_tests::{BUSYBOX, Deskgrid, Page, sha256, unique};
use serde_json::{Value, json};

use crate::Bench;
use crate::bare::{Bare, Folders};
use crate::files::BigFile;
use crate::page::run;
use crate::samples::{Samples, timed};
use crate::table::{Row, megabytes};

/// What an image that is built already may cost more than one that is named.
const MOST_ADDED: Duration = Duration::from_millis(50);

pub(crate) async fn measure(bench: &Bench) -> Vec<Row> {
    vec![warm(bench).await, big_context(bench).await]
}

/// The same job with its image built for the block, and given by name.
async fn warm(bench: &Bench) -> Row {
    let server = &bench.server;
    let dockerfile = format!("FROM {BUSYBOX}\nLABEL bench={}\n", unique());
    let block = json!({ "dockerfile": dockerfile });
    let image = format!("deskgrid/build:{}", sha256(block.to_string()));
    let mut page = Page::open(server, "local").await;
    let (mut built, mut named) = (Samples::default(), Samples::default());
    run(&mut page, &job(json!({ "build": block }))).await;
    for _ in 0..bench.scale.rounds {
        built.push(timed(run(&mut page, &job(json!({ "build": block })))).await.0);
        named.push(timed(run(&mut page, &job(json!({ "image": image })))).await.0);
    }
    page.close().await;
    let what = "job with an unchanged build block";
    Row::medians(what, &built, &named, "the same job with its image by name")
        .aim_added(built.above(&named), MOST_ADDED)
}

/// A definition that equals no other.
fn job(mut definition: Value) -> Value {
    definition["command"] = json!(format!("/bin/sh -c ': {}'", unique()));
    definition
}

/// A context of one big file that is stored here, beside the same archive sent to the engine by its API alone.
async fn big_context(bench: &Bench) -> Row {
    let Bench { server, engine, scale, .. } = bench;
    let big = BigFile::make(server, scale.context);
    let (mut ours, mut bare) = (Samples::default(), Samples::default());
    for _ in 0..scale.long_rounds {
        ours.push(by_us(server, &big).await);
        bare.push(by_api(engine, server, &big).await);
    }
    let what = format!("build of a context of {} from /f/, and its job", megabytes(scale.context as f64));
    Row::medians(what, &ours, &bare, "the same archive by the bare API, and its container")
}

async fn by_us(server: &Deskgrid, big: &BigFile) -> Duration {
    let archive = packed(server, big);
    let (_, key) = crate::command_line::sha256sum(archive.path()).await;
    tokio::task::block_in_place(|| crate::plain_http::put(server, &key, archive.path()));
    let definition = job(json!({"build": {"context": server.url(&format!("/f/{key}"))}}));
    let mut page = Page::open(server, "local").await;
    let (took, _) = timed(run(&mut page, &definition)).await;
    page.close().await;
    took
}

async fn by_api(engine: &Bare, server: &Deskgrid, big: &BigFile) -> Duration {
    let archive = packed(server, big);
    let built = engine.build(archive.path()).await;
    let ended = engine.run(":", &Folders::below(&server.data())).await;
    engine.remove(&ended).await;
    built + ended.took
}

/// A plain tar of a Dockerfile and the big file, which no engine has seen before.
fn packed(server: &Deskgrid, big: &BigFile) -> tempfile::NamedTempFile {
    big.renew();
    let packed = tempfile::NamedTempFile::new_in(server.data()).expect("a file");
    let mut archive = tar::Builder::new(packed.as_file());
    let dockerfile = format!("FROM {BUSYBOX}\nCOPY data /data\n");
    let mut header = tar::Header::new_gnu();
    header.set_size(dockerfile.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, "Dockerfile", dockerfile.as_bytes()).expect("space");
    append(&mut archive, &big.path());
    archive.finish().expect("space");
    drop(archive);
    packed
}

fn append(archive: &mut tar::Builder<&File>, file: &Path) {
    archive.append_path_with_name(file, "data").expect("space");
}
