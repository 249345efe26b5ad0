//! What the administration asks of the server around it: its doors, its folders, a look at the computer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use deskgrid_http::{Check, Complaint, DoorState, FoundEngine, Move};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::checks;
use crate::porter::{Porter, complaint};
use crate::settings::SettingsSource;

/// This server, as its own site sees it.
pub(crate) struct Premises {
    porter: Arc<Porter>,
    source: SettingsSource,
    data_directory: PathBuf,
}

impl Premises {
    pub(crate) fn new(porter: Arc<Porter>, source: SettingsSource, data_directory: PathBuf) -> Self {
        Self { porter, source, data_directory }
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
        checks::check(Ok(self.source.clone())).boxed()
    }

    fn move_data(&self, _to: String) -> BoxFuture<'_, Result<(), Complaint>> {
        let words = "Stop Deskgrid, move the folder, and choose its new place in the settings.";
        async move { Err(("move-by-hand", words.to_owned())) }.boxed()
    }

    fn moving(&self) -> Option<Move> {
        None
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
