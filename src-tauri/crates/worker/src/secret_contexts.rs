//! Addresses of build contexts that have a token or password in them. The disk never sees these: what is kept of a
//! definition has masks in their place. So they are known from a job's submission to its end, and no longer than this
//! program lives; whoever submits the job once more brings it again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use deskgrid_job::{Definition, ImageSource, JobId, SecretAddress};

/// The addresses of jobs that are not over. Written by the queue's owner, read by runs.
#[derive(Debug, Default)]
pub(crate) struct SecretContexts(Mutex<HashMap<JobId, SecretAddress>>);

impl SecretContexts {
    fn addresses(&self) -> MutexGuard<'_, HashMap<JobId, SecretAddress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a submission of `id` brought; the latest counts.
    pub(crate) fn note(&self, id: &JobId, address: SecretAddress) {
        self.addresses().insert(id.clone(), address);
    }

    /// Forgets the addresses of all jobs but those that `is_live` knows.
    pub(crate) fn retain(&self, is_live: impl Fn(&JobId) -> bool) {
        self.addresses().retain(|id, _| is_live(id));
    }

    /// Puts into the definition of `id` what the disk does not know of it.
    pub(crate) fn put_back(&self, id: &JobId, definition: &mut Definition) {
        let ImageSource::Build(block) = &mut definition.image else { return };
        if block.lacks_secret
            && let Some(address) = self.addresses().get(id)
        {
            block.context = Some(address.reveal().to_owned());
            block.lacks_secret = false;
        }
    }
}
