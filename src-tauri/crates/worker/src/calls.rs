//! Webhooks: tells a job's page that it was queued or finished (protocol section 5).
//!
//! A call that nobody takes is repeated every minute for four weeks, also after a restart: it is on disk until then.

use std::sync::Arc;
use std::time::Duration;

use deskgrid_fault::{Point, point};
use deskgrid_job::Time;
use deskgrid_store::{Change, PendingCall, Store};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::fetch::reason;
use crate::run::Kit;

const REPEATED_AFTER: Duration = Duration::from_secs(60);
const GIVEN_UP_AFTER: Duration = Duration::from_secs(4 * 7 * 24 * 3600);
/// And not before so many attempts, half a day of them: a clock that was ahead for a moment gives up nothing.
const LEAST_ATTEMPTS: u32 = 720;
/// A receiver that takes longer has not taken it.
const PATIENCE: Duration = Duration::from_secs(30);
/// Calls at the same time.
const AT_ONCE: usize = 8;

/// Makes the calls that come through `due`, which are on disk already, until the owner drops its end.
pub(crate) async fn make(kit: Arc<Kit>, mut due: mpsc::UnboundedReceiver<PendingCall>) {
    let mut waiting: Vec<PendingCall> = Vec::new();
    let mut attempts: JoinSet<Option<PendingCall>> = JoinSet::new();
    loop {
        let now = Time::now();
        for call in &mut waiting {
            call.due = at_most_a_pause_away(call.due, now);
        }
        while attempts.len() < AT_ONCE
            && let Some(place) = waiting.iter().position(|call| call.due <= now)
        {
            attempts.spawn(attempt(kit.clone(), waiting.swap_remove(place)));
        }
        let next = waiting.iter().map(|call| call.due.since(now)).min();
        tokio::select! {
            call = due.recv() => match call {
                Some(call) => waiting.push(call),
                None => return,
            },
            Some(Ok(again)) = attempts.join_next() => waiting.extend(again),
            () = tokio::time::sleep(next.unwrap_or_default()), if next.is_some() && attempts.len() < AT_ONCE => {}
        }
    }
}

/// Makes one call. Returns it when it has to be made again.
async fn attempt(kit: Arc<Kit>, mut call: PendingCall) -> Option<PendingCall> {
    let Err(why) = post(&kit, &call).await else {
        point(Point::WebhookTaken);
        note(&kit.store, Change::Called(call.id)).await;
        point(Point::WebhookNoted);
        return None;
    };
    let now = Time::now();
    call.attempts += 1;
    call.due = now.plus(REPEATED_AFTER);
    if is_given_up(&call, now) {
        tracing::warn!(url = call.url, why, "gave up a webhook after four weeks");
        note(&kit.store, Change::Called(call.id)).await;
        return None;
    }
    tracing::info!(
        url = call.url,
        why,
        attempts = call.attempts,
        "a webhook was not taken; it is repeated in a minute"
    );
    note(&kit.store, Change::Call(call.clone())).await;
    Some(call)
}

/// A call that waits longer was lined up when the clock was ahead.
fn at_most_a_pause_away(due: Time, now: Time) -> Time {
    due.min(now.plus(REPEATED_AFTER))
}

fn is_given_up(call: &PendingCall, now: Time) -> bool {
    now.since(call.first) > GIVEN_UP_AFTER && call.attempts >= LEAST_ATTEMPTS
}

async fn post(kit: &Kit, call: &PendingCall) -> Result<(), String> {
    let client = kit.fetcher.client().map_err(|error| reason(&error))?;
    let request = client
        .post(&call.url)
        .timeout(PATIENCE)
        .header("content-type", "application/json")
        .body(call.body.clone());
    let answer = request.send().await.map_err(|error| reason(&error))?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("it answered {}", answer.status())) }
}

/// What cannot be noted is at worst called once more after a restart.
async fn note(store: &Store, change: Change) {
    if let Err(error) = store.commit(vec![change]).await {
        tracing::warn!(%error, "could not note the state of a webhook");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_800_000_000_000);

    #[test]
    fn a_clock_that_was_set_back_delays_a_call_by_no_more_than_a_pause() {
        let a_year_ahead = NOW.plus(Duration::from_secs(365 * 24 * 3600));
        assert_eq!(at_most_a_pause_away(a_year_ahead, NOW), NOW.plus(REPEATED_AFTER));
        assert_eq!(at_most_a_pause_away(NOW, NOW), NOW);
    }

    #[test]
    fn a_call_is_given_up_after_four_weeks_of_attempts_and_not_because_a_clock_was_ahead() {
        let first = NOW.minus(GIVEN_UP_AFTER).minus(Duration::from_millis(1));
        let call = |first, attempts| PendingCall {
            id: 1,
            url: String::new(),
            body: String::new(),
            due: NOW,
            first,
            attempts,
            after: None,
        };
        assert!(is_given_up(&call(first, 40_000), NOW));
        assert!(!is_given_up(&call(first, 1), NOW));
        assert!(!is_given_up(&call(NOW, 40_000), NOW));
    }
}
