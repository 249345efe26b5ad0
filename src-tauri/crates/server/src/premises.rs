//! What the administration asks of the server around it: its doors, its folders, a look at the computer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use deskgrid_http::{AccessRules, Check, Complaint, DoorState, FoundEngine, Move};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::checks::{self, Reader};
use crate::porter::{Porter, complaint};
use crate::relocation::Relocation;
use crate::settings::{Key, SettingsSource};

/// This server, as its own site sees it.
pub(crate) struct Premises {
    porter: Arc<Porter>,
    /// Knows the port.
    access: watch::Receiver<AccessRules>,
    source: SettingsSource,
    data_directory: PathBuf,
    /// Told where the data folder shall go.
    moves: watch::Sender<Option<Relocation>>,
    /// The last move, if it failed.
    failed_move: watch::Sender<Option<Move>>,
}

impl Premises {
    pub(crate) fn new(
        porter: Arc<Porter>,
        access: watch::Receiver<AccessRules>,
        source: SettingsSource,
        data_directory: PathBuf,
        moves: watch::Sender<Option<Relocation>>,
        failed_move: watch::Sender<Option<Move>>,
    ) -> Self {
        Self { porter, access, source, data_directory, moves, failed_move }
    }

    /// Whether the data folder can be brought elsewhere: only the desktop app does that.
    fn moves_data(&self) -> bool {
        self.moves.receiver_count() > 0
    }

    async fn plan(&self, to: PathBuf, was_open: bool) -> Result<(), Complaint> {
        if !self.moves_data() {
            let words = "Only the desktop app can move its data folder. Stop this Deskgrid, move the folder, and name \
                         its new place with --data-directory.";
            return Err(("no-shell", words.to_owned()));
        }
        if self.source.holds(Key::DataDirectory) {
            let words = "The data folder was named with a variable or a flag. Start Deskgrid without it to move it here.";
            return Err(("settings-held", words.to_owned()));
        }
        let from = self.data_directory.clone();
        let planned = tokio::task::spawn_blocking(move || Relocation::plan(&from, &to)).await;
        let planned = planned.map_err(|error| ("broken", error.to_string()))?;
        let plan = planned.map_err(|error| (error.code(), error.to_string()))?;
        self.moves.send_replace(Some(plan.and_then_open(was_open)));
        Ok(())
    }
}

impl deskgrid_http::Premises for Premises {
    fn doors(&self) -> DoorState {
        self.porter.state().borrow().clone()
    }

    fn changed(&self) -> watch::Receiver<DoorState> {
        self.porter.state()
    }

    fn open(&self) -> BoxFuture<'_, Result<(), Complaint>> {
        async { self.porter.open().await.map_err(|error| complaint(&error)) }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.porter.close().boxed()
    }

    fn data_directory(&self) -> &Path {
        &self.data_directory
    }

    fn settings_file(&self) -> Option<&Path> {
        self.source.file()
    }

    fn engines(&self) -> BoxFuture<'_, Vec<FoundEngine>> {
        engines().boxed()
    }

    fn checks(&self) -> BoxFuture<'_, Vec<Check>> {
        let port = self.access.borrow().port;
        let reader = Reader::Window { doors: self.doors(), port, moves_data: self.moves_data() };
        checks::check_for(reader, Ok(self.source.clone())).boxed()
    }

    fn move_data(&self, to: String, was_open: bool) -> BoxFuture<'_, Result<(), Complaint>> {
        self.plan(to.into(), was_open).boxed()
    }

    fn moving(&self) -> Option<Move> {
        let begun = self.moves.borrow().as_ref().map(Relocation::begun);
        begun.or_else(|| self.failed_move.borrow().clone())
    }
}

async fn engines() -> Vec<FoundEngine> {
    let found = deskgrid_docker::engines().await.into_iter().map(|(place, state)| FoundEngine {
        address: place.address.to_string(),
        found_by: place.found_by,
        state: state.code(),
        version: state.ready().map(|engine| engine.info().version.clone()),
    });
    found.collect()
}
