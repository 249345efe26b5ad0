//! How many bytes pages of one origin have stored by uploads, so that no page fills the disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use deskgrid_job::Caller;

use super::MOST_UPLOADED;
use crate::error::HttpError;

/// The bytes of every origin since the start; a cheap handle.
#[derive(Clone, Default)]
pub(crate) struct Quota(Arc<Mutex<HashMap<Caller, u64>>>);

/// The part of the quota that one upload takes. It is given back when dropped, unless it was kept.
pub(crate) struct Allowance {
    quota: Quota,
    caller: Caller,
    taken: u64,
}

impl Quota {
    fn lock(&self) -> MutexGuard<'_, HashMap<Caller, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins an upload of which `announced` bytes are to be expected.
    ///
    /// # Errors
    /// 507 when they do not fit any more.
    pub(crate) fn begin(&self, caller: &Caller, announced: u64) -> Result<Allowance, HttpError> {
        let stored = self.lock().get(caller).copied().unwrap_or_default();
        check(caller, stored.saturating_add(announced))?;
        Ok(Allowance { quota: self.clone(), caller: caller.clone(), taken: 0 })
    }
}

impl Allowance {
    /// Takes `bytes` more.
    ///
    /// # Errors
    /// 507 when they do not fit any more.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), HttpError> {
        let mut all = self.quota.lock();
        let stored = all.entry(self.caller.clone()).or_default();
        let more = stored.saturating_add(bytes as u64);
        check(&self.caller, more)?;
        *stored = more;
        self.taken += bytes as u64;
        Ok(())
    }

    /// The upload was stored, and counts from now on.
    pub(crate) fn keep(mut self) {
        self.taken = 0;
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        if let Some(stored) = self.quota.lock().get_mut(&self.caller) {
            *stored = stored.saturating_sub(self.taken);
        }
    }
}

/// Programs are the person's own: the disk is their only limit.
fn check(caller: &Caller, bytes: u64) -> Result<(), HttpError> {
    let Caller::Page(origin) = caller else { return Ok(()) };
    if bytes <= MOST_UPLOADED {
        return Ok(());
    }
    let words = format!(
        "Pages of {origin} may upload {} GB while Deskgrid runs, and this file would be beyond that. Restart \
         Deskgrid if you trust that page, or upload the file with `deskgrid run --input`.",
        MOST_UPLOADED / 1_000_000_000
    );
    Err(HttpError::refused(StatusCode::INSUFFICIENT_STORAGE, "upload-quota", words))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: usize = (MOST_UPLOADED / 2) as usize;

    fn page() -> Caller {
        Caller::parse("https://a.example")
    }

    #[test]
    fn a_page_may_upload_up_to_the_quota_and_no_byte_more() {
        let quota = Quota::default();
        let mut first = quota.begin(&page(), 0).unwrap();
        first.take(HALF).unwrap();
        first.keep();
        let mut second = quota.begin(&page(), HALF as u64).unwrap();
        second.take(HALF).unwrap();
        assert!(second.take(1).is_err());
        second.keep();
        assert!(quota.begin(&page(), 1).is_err());
        assert!(quota.begin(&Caller::parse("https://b.example"), 1).is_ok());
    }

    #[test]
    fn an_upload_that_was_not_stored_does_not_count() {
        let quota = Quota::default();
        let mut broken_off = quota.begin(&page(), 0).unwrap();
        broken_off.take(2 * HALF).unwrap();
        drop(broken_off);
        assert!(quota.begin(&page(), MOST_UPLOADED).is_ok());
        assert!(quota.begin(&page(), MOST_UPLOADED + 1).is_err());
    }

    #[test]
    fn programs_have_no_quota() {
        let quota = Quota::default();
        let mut upload = quota.begin(&Caller::Program, u64::MAX).unwrap();
        upload.take(HALF * 3).unwrap();
        upload.keep();
        assert!(quota.begin(&Caller::Program, 1).is_ok());
    }
}
