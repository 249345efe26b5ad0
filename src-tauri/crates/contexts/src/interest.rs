//! Whether somebody still waits for what is read: looking through an archive takes minutes at times, on a thread that
//! nobody can end from outside.

use std::sync::{Arc, Weak};

use crate::ContextError;

/// Asked now and then by what reads. The default one lasts for ever.
#[derive(Clone, Debug, Default)]
pub struct Interest(Option<Weak<()>>);

/// Whoever waits. The interest ends when this is dropped.
#[derive(Debug)]
#[must_use = "nobody is interested once this is dropped"]
pub struct Waiter {
    _alive: Arc<()>,
}

impl Interest {
    /// An interest that lasts as long as the waiter.
    pub fn new() -> (Self, Waiter) {
        let alive = Arc::new(());
        (Self(Some(Arc::downgrade(&alive))), Waiter { _alive: alive })
    }

    /// # Errors
    /// [`ContextError::Unwanted`] when nobody waits any more.
    pub(crate) fn check(&self) -> Result<(), ContextError> {
        let is_over = self.0.as_ref().is_some_and(|waiter| waiter.strong_count() == 0);
        if is_over { Err(ContextError::Unwanted) } else { Ok(()) }
    }
}
