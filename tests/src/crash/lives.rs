//! Keeps a server running that dies again and again, by a signal from outside or at a named step of its own.

use std::path::Path;
use std::time::{Duration, Instant};

use super::random::Random;
use crate::server::{Deskgrid, Options};
use crate::{deskgrid, eventually};

/// The variable that names the step at which the program dies.
const FAULT: &str = "DESKGRID_FAULT";

/// Starts a server again whenever it has died.
pub struct Keeper {
    server: Deskgrid,
    lives: u32,
}

/// The named steps of the program, as it lists them itself.
pub async fn points() -> Vec<String> {
    let listed = deskgrid(&["faults"]).await;
    assert_eq!(listed.code, 0, "the program of the tests is built with deskgrid/faults: {}", listed.stderr);
    listed.stdout.lines().map(str::to_owned).collect()
}

impl Keeper {
    /// Starts a server as `options` say.
    pub async fn start(options: Options) -> Self {
        Self::of(Deskgrid::start_with(options).await)
    }

    /// Keeps this server running.
    pub fn of(server: Deskgrid) -> Self {
        Self { server, lives: 1 }
    }

    /// The server. Its process may be dead at the moment.
    pub fn server(&self) -> &Deskgrid {
        &self.server
    }

    /// How many lives it had.
    pub fn lives(&self) -> u32 {
        self.lives
    }

    /// Kills it at once and starts it again.
    pub async fn kill(&mut self) {
        self.server.kill().await;
        self.server.start_again().await;
        self.lives += 1;
    }

    /// Kills it at once.
    pub async fn end(&mut self) {
        self.server.kill_if_alive().await;
    }

    /// Kills it, has `harm` done to its data folder, and starts it again.
    pub async fn kill_and_harm(&mut self, harm: impl FnOnce(&Path)) {
        self.server.kill_if_alive().await;
        harm(&self.server.data());
        self.server.start_again().await;
        self.lives += 1;
    }

    /// Starts it so that it dies at the step `point` before it listens.
    pub async fn die_at_start(&mut self, point: &str) {
        assert!(!self.server.try_start_again(&[(FAULT, point)]).await, "it does not come to {point}");
        self.lives += 1;
    }

    /// Starts it so that it dies at the step `point` some time later.
    pub async fn start_to_die(&mut self, point: &str) {
        assert!(self.server.try_start_again(&[(FAULT, point)]).await, "it comes to {point} too early");
        self.lives += 1;
    }

    /// Kills it at instants that chance chooses, until the time is over. It lives afterwards.
    pub async fn kill_at_random(&mut self, random: &mut Random, end: Instant) {
        while Instant::now() < end {
            tokio::time::sleep(random.time(Duration::from_millis(30), Duration::from_secs(4))).await;
            self.kill().await;
        }
    }

    /// Starts a server that dies at the step `point`.
    pub async fn start_doomed(options: Options, point: &str) -> Self {
        let (server, has_died) = Deskgrid::start_doomed(options, &[(FAULT, point)]).await;
        Self { server, lives: if has_died { 2 } else { 1 } }
    }

    /// Waits for its death at the step `point`, lets it die there once more if it comes there again, and then live on.
    /// Never ends by itself.
    pub async fn see_it_die(&mut self, point: &str) {
        if self.lives == 1 {
            self.until_dead().await;
            if self.server.try_start_again(&[(FAULT, point)]).await {
                self.server.ended().await;
            }
            self.lives += 1;
            self.server.start_again().await;
        }
        std::future::pending::<()>().await;
    }

    /// Kills it, lets it die at the step `point` of each of its next two lives, and then live on.
    pub async fn die_when_back(&mut self, point: &str) {
        self.server.kill().await;
        for _ in 0..2 {
            if self.server.try_start_again(&[(FAULT, point)]).await {
                self.server.ended().await;
            }
        }
        self.server.start_again().await;
        self.lives += 3;
    }

    /// Waits until it has died by itself.
    pub async fn until_dead(&mut self) {
        self.server.ended().await;
        self.lives += 1;
    }

    /// Ends whatever [`Keeper::see_it_die`] was at. It lives afterwards, without a step at which it dies.
    pub async fn live_on(&mut self) {
        self.server.kill_if_alive().await;
        // A start that was broken off is killed too, and may be dying yet.
        let lock = self.server.data().join("deskgrid.lock");
        let is_free = || std::fs::File::open(&lock).is_ok_and(|lock| lock.try_lock().is_ok());
        eventually("no process has the data folder", async || is_free()).await;
        self.server.start_again().await;
    }

    /// Waits until nothing of ours is left over from any life: no container, no scratch, no half file.
    pub async fn until_tidy(&self) {
        let (engine, worker) = (self.server.engine(), self.server.worker_id());
        eventually("no container is left", async || {
            engine.labelled(crate::engine::WORKER_LABEL, &worker).await.is_empty()
        })
        .await;
        for folder in ["runs", "incoming"] {
            let folder = self.server.data().join(folder);
            eventually("no temporary file is left", async || {
                let names = std::fs::read_dir(&folder).expect("it is there").flatten();
                names.into_iter().all(|entry| entry.file_name() == "CACHEDIR.TAG")
            })
            .await;
        }
    }
}
