//! Keeps the cache within its limit: looks after jobs have ended and after the limit changed, and never else.

use std::time::Duration;

use tokio::time::Instant;

use super::{plan, removal, usual_limit};
use crate::{Worker, WorkerError};
use deskgrid_job::Time;
use deskgrid_store::GRACE;

/// Between looks, however many jobs end.
const PAUSE: Duration = Duration::from_secs(30);

/// Works until it is dropped.
pub(crate) async fn keep(worker: Worker) {
    let (mut changes, mut limit) = (worker.cache_changes(), worker.0.kit.cache.limit.subscribe());
    let mut next = Instant::now();
    loop {
        let is_owed = worker.0.kit.cache.has_left();
        tokio::select! {
            Ok(()) = changes.changed() => tokio::time::sleep_until(next).await,
            Ok(()) = limit.changed() => {}
            () = tokio::time::sleep(GRACE), if is_owed => {}
        }
        if let Err(error) = look(&worker).await {
            tracing::warn!(%error, "could not see whether the cache is within its limit");
        }
        next = Instant::now() + PAUSE;
        // What this look itself changed is no reason for another.
        changes.mark_unchanged();
    }
}

async fn look(worker: &Worker) -> Result<(), WorkerError> {
    removal::remove_left(worker).await?;
    let limit = match worker.cache_limit() {
        Some(limit) => limit,
        None => usual_limit(worker.store().room().await?.total),
    };
    let survey = worker.survey_cache(false).await?;
    let going = plan(&survey.items, limit, Time::now());
    if going.is_empty() {
        return Ok(());
    }
    let going: Vec<_> = going.into_iter().map(|item| (item.kind, item.id)).collect();
    let bytes = worker.remove_from_cache(&going).await?;
    tracing::info!(
        items = going.len(),
        bytes,
        limit,
        "the cache was over its limit; what was used least went"
    );
    Ok(())
}
