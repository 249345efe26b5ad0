//! A job that writes a long log, and reading it back.

use std::time::Instant;

use deskgrid_tests::{Deskgrid, Page, shell, unique};

use crate::Bench;
use crate::bare::Folders;
use crate::page::run;
use crate::samples::{Samples, timed};
use crate::table::{Row, megabytes};

pub(crate) async fn measure(bench: &Bench) -> Vec<Row> {
    let Bench { server, engine, scale, .. } = bench;
    let mut page = Page::open(server, "local").await;
    let mut events = server.engine().events(server).await;
    let (mut ours, mut attached) = (Samples::default(), Samples::default());
    let (mut read, mut docker_logs) = (Samples::default(), Samples::default());
    let mut bytes = 0;
    for _ in 0..scale.long_rounds {
        let script = writing(scale.lines);
        let began = Instant::now();
        let id = run(&mut page, &shell(&script)).await;
        ours.push(began.elapsed());
        events.until("destroy", &id).await;
        let folders = Folders::below(&server.data());
        let ended = engine.run(&script, &folders).await;
        attached.push(ended.took);
        let (took, count) = timed(read_back(server, &id)).await;
        // A line that came in two pieces counts as two.
        assert!(count >= scale.lines);
        read.push(took);
        let (took, written) = timed(engine.read_log(&ended)).await;
        assert_eq!(written, ended.written);
        docker_logs.push(took);
        engine.remove(&ended).await;
        bytes = written;
    }
    page.close().await;
    let what = format!("job that writes {} lines, {}", scale.lines, megabytes(bytes as f64));
    vec![
        Row::medians(what, &ours, &attached, "bare API with attach"),
        Row::medians("reading them all back", &read, &docker_logs, "docker logs by bare API"),
    ]
}

/// Each line tells where it stands and is as long as lines are.
fn writing(lines: u64) -> String {
    let line = "\"line \" i \" of a log that goes on for a while, as logs do\"";
    format!(": {}; awk 'BEGIN {{ for (i = 1; i <= {lines}; i++) print {line} }}'", unique())
}

/// All lines by the route for logs, as a client follows its cursor.
async fn read_back(server: &Deskgrid, id: &str) -> u64 {
    let mut cursor = 0;
    loop {
        let page = server.get_json(&format!("/q/local/j/{id}/run-logs.json?since={cursor}")).await;
        let next = page["nextCursor"].as_u64().expect("a cursor");
        if next == cursor {
            return next;
        }
        cursor = next;
    }
}
