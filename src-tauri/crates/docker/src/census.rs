//! Every engine of this computer, for a person who wants to choose. Which one is used without a choice is up to
//! [`crate::discovery`].

use std::time::Duration;

use futures_util::future::join_all;

use crate::discovery::{self, Candidate, Kind, all_places};
use crate::probe;
use crate::state::EngineState;
use crate::surroundings::{Platform, Surroundings};

/// An engine that takes longer to answer is shown as one that does not.
const PATIENCE: Duration = Duration::from_secs(5);

/// The places where an engine answers or at least has put up its socket, best first, with what was found there.
pub async fn engines() -> Vec<(Candidate, EngineState)> {
    let look = || {
        let around = Surroundings::of_this_computer();
        let places = all_places(&around).into_iter().filter(is_worth_a_look);
        (places.collect::<Vec<_>>(), discovery::installed(&around))
    };
    let Ok((places, installed)) = tokio::task::spawn_blocking(look).await else { return Vec::new() };
    let found = join_all(places.into_iter().map(|place| ask(place, installed))).await;
    found.into_iter().flatten().collect()
}

/// A socket that nobody put up need not be asked.
fn is_worth_a_look(place: &Candidate) -> bool {
    place.address.socket().is_none_or(std::path::Path::exists)
}

async fn ask(place: Candidate, installed: Option<Kind>) -> Option<(Candidate, EngineState)> {
    let candidates = [place];
    let state =
        tokio::time::timeout(PATIENCE, probe::look(&candidates, installed, Platform::here())).await.ok()?;
    let [place] = candidates;
    Some((place, state))
}
