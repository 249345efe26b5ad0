//! How often strangers ask for files that are not here. Whoever may ask for any file by the hash of its content could
//! otherwise try out which files this computer has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::{GUESSES_PER, MOST_GUESSES, MOST_GUESSES_OF_ALL};

/// Strangers that are told apart; further ones are counted as one.
const MOST_NAMES: usize = 256;

/// The misses of the present minute; a cheap handle.
#[derive(Clone)]
pub(crate) struct Guesses(Arc<Mutex<Minute>>);

struct Minute {
    began: Instant,
    misses: HashMap<String, u32>,
    all: u32,
}

impl Default for Guesses {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Minute { began: Instant::now(), misses: HashMap::new(), all: 0 })))
    }
}

impl Guesses {
    fn on<T>(&self, act: impl FnOnce(&mut Minute) -> T) -> T {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.began.elapsed() >= GUESSES_PER {
            *minute = Minute { began: Instant::now(), misses: HashMap::new(), all: 0 };
        }
        act(&mut minute)
    }

    /// Whether this stranger may ask for a file.
    pub(super) fn may_ask(&self, name: &str) -> bool {
        self.on(|minute| {
            let misses = minute.misses.get(minute.counted_as(name)).copied().unwrap_or_default();
            misses < MOST_GUESSES && minute.all < MOST_GUESSES_OF_ALL
        })
    }

    /// Counts a file that was not here.
    pub(super) fn note_miss(&self, name: &str) {
        self.on(|minute| {
            minute.all += 1;
            let name = minute.counted_as(name).to_owned();
            *minute.misses.entry(name).or_default() += 1;
        });
    }
}

impl Minute {
    fn counted_as<'a>(&self, name: &'a str) -> &'a str {
        const THE_REST: &str = "the rest";
        let has_room = self.misses.contains_key(name) || self.misses.len() < MOST_NAMES;
        if has_room { name } else { THE_REST }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stranger_who_guesses_is_refused_until_the_minute_is_over() {
        let guesses = Guesses::default();
        for _ in 0..MOST_GUESSES {
            assert!(guesses.may_ask("https://a.example"));
            guesses.note_miss("https://a.example");
        }
        assert!(!guesses.may_ask("https://a.example"));
        assert!(guesses.may_ask("https://b.example"));
        tokio::time::advance(GUESSES_PER).await;
        assert!(guesses.may_ask("https://a.example"));
    }

    #[tokio::test(start_paused = true)]
    async fn many_names_do_not_help_and_take_no_memory() {
        let guesses = Guesses::default();
        let name = |number: u32| format!("https://a{number}.example");
        let all = (0..MOST_GUESSES_OF_ALL).take_while(|number| guesses.may_ask(&name(*number)));
        let all = all.inspect(|number| guesses.note_miss(&name(*number))).count();
        assert!(all < MOST_GUESSES_OF_ALL as usize, "{all}");
        assert!(guesses.on(|minute| minute.misses.len()) <= MOST_NAMES + 1);
        for number in 0..MOST_GUESSES_OF_ALL {
            guesses.note_miss(&name(number % 100));
        }
        assert!(!guesses.may_ask("https://new.example"));
    }
}
