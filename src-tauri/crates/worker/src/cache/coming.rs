//! Which images runs have on their way just now. What is on record of those is not taken for what a run left behind
//! that was broken off, however long a look at the engine takes.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The names, once for each run.
#[derive(Default)]
pub(super) struct Coming(Mutex<Vec<String>>);

impl Coming {
    pub(super) fn begin(&self, image: &str) -> OnItsWay<'_> {
        self.lock().push(image.to_owned());
        OnItsWay { all: self, image: image.to_owned() }
    }

    pub(super) fn has(&self, image: &str) -> bool {
        self.lock().iter().any(|one| one == image)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An image that a run has on its way.
pub(crate) struct OnItsWay<'a> {
    all: &'a Coming,
    image: String,
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        if let Some(place) = all.iter().position(|one| *one == self.image) {
            all.swap_remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_on_its_way_until_no_run_has_it_so() {
        let coming = Coming::default();
        let (one, other) = (coming.begin("x"), coming.begin("x"));
        drop(one);
        assert!(coming.has("x") && !coming.has("y"));
        drop(other);
        assert!(!coming.has("x"));
    }
}
