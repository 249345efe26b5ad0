//! Tickets to the dashboard: a browser that was opened by the person shows one and gets the key to the administration.
//!
//! The token itself never gets into an address or an answer: what is in an address ends up in histories. A ticket is
//! good once and for a short time; the key that it buys is told from the token and opens nothing but the same door.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Where tickets are redeemed; the only path of the administration that takes no token.
pub(crate) const REDEEM: &str = "/api/ticket/redeem";

/// How long a ticket is good. `make run` prints one, and people read mail before they click.
const GOOD_FOR: Duration = Duration::from_secs(15 * 60);
/// The most tickets at once; the oldest goes first.
const MOST: usize = 32;
/// Random bytes of a ticket.
const LENGTH: usize = 16;

/// The tickets that were given out and not used.
#[derive(Default)]
pub(crate) struct Tickets(Mutex<Vec<(String, Instant)>>);

impl Tickets {
    /// A new ticket.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub(crate) fn issue(&self) -> Result<String, getrandom::Error> {
        let mut bytes = [0; LENGTH];
        getrandom::fill(&mut bytes)?;
        let ticket = hex::encode(bytes);
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tickets.len() == MOST {
            tickets.remove(0);
        }
        tickets.push((ticket.clone(), Instant::now()));
        Ok(ticket)
    }

    /// Takes a ticket back; false when there is no such ticket, or no longer.
    pub(crate) fn redeem(&self, ticket: &str) -> bool {
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.retain(|(_, issued)| issued.elapsed() < GOOD_FOR);
        let place = tickets.iter().position(|(known, _)| known == ticket);
        place.map(|place| tickets.remove(place)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_ticket_is_good_once_and_not_for_ever() {
        let tickets = Tickets::default();
        let (first, second) = (tickets.issue().unwrap(), tickets.issue().unwrap());
        assert!(!tickets.redeem("") && !tickets.redeem("else"));
        assert!(tickets.redeem(&first) && !tickets.redeem(&first));
        tokio::time::advance(GOOD_FOR).await;
        assert!(!tickets.redeem(&second));
    }

    #[tokio::test]
    async fn tickets_that_nobody_uses_do_not_pile_up() {
        let tickets = Tickets::default();
        let first = tickets.issue().unwrap();
        let others: Vec<_> = (0..MOST).map(|_| tickets.issue().unwrap()).collect();
        assert!(!tickets.redeem(&first) && tickets.redeem(&others[MOST - 1]));
    }
}
