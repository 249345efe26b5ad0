//! Addresses of build contexts that have a token or password in them. The disk never sees these: what is kept of a
//! definition has masks in their place. So they are known from a job's submission to its end, and no longer than this
//! program lives; whoever submits the job once more brings it again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use deskgrid_job::{Definition, ImageSource, JobId, SecretAddress};

/// A job, and the image whose build needs the address. A job that goes on keeps its own definition, whatever another
/// submission of its name says: it gets no address that was meant for another build.
type Purpose = (JobId, String);

/// The addresses of jobs that are not over. Written by the queue's owner, read by runs.
#[derive(Debug, Default)]
pub(crate) struct SecretContexts(Mutex<HashMap<Purpose, SecretAddress>>);

impl SecretContexts {
    fn addresses(&self) -> MutexGuard<'_, HashMap<Purpose, SecretAddress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a submission of `id` brought for the build of `image`; the latest counts.
    pub(crate) fn note(&self, id: &JobId, image: String, address: SecretAddress) {
        self.addresses().insert((id.clone(), image), address);
    }

    /// Forgets the addresses of all jobs but those that `is_live` knows.
    pub(crate) fn retain(&self, is_live: impl Fn(&JobId) -> bool) {
        self.addresses().retain(|(id, _), _| is_live(id));
    }

    /// Puts into the definition of `id` what the disk does not know of it.
    pub(crate) fn put_back(&self, id: &JobId, definition: &mut Definition) {
        let ImageSource::Build(block) = &mut definition.image else { return };
        if block.lacks_secret
            && let Some(address) = self.addresses().get(&(id.clone(), block.image.clone()))
        {
            block.context = Some(address.reveal().to_owned());
            block.lacks_secret = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use deskgrid_job::{BuildBlock, Needs};

    use super::*;

    /// What is kept of a job that builds `image`.
    fn kept(image: &str) -> Definition {
        let block = BuildBlock {
            image: image.to_owned(),
            context: Some("https://h/x.tgz".to_owned()),
            lacks_secret: true,
            context_key: None,
            build_context: None,
            filename: None,
            target: None,
            dockerfile: None,
            build_args: BTreeMap::new(),
            platform: None,
        };
        Definition {
            image: ImageSource::Build(Box::new(block)),
            command: None,
            entrypoint: None,
            env: BTreeMap::new(),
            workdir: None,
            shm_size: None,
            inputs: BTreeMap::new(),
            config_files: BTreeMap::new(),
            max_duration: None,
            needs: Needs::default(),
        }
    }

    #[test]
    fn a_job_gets_the_address_of_its_own_build_back_and_no_other_that_was_sent_under_its_name() {
        let secrets = SecretContexts::default();
        let id = JobId::new("a").unwrap();
        let context = |image: &str| {
            let mut definition = kept(image);
            secrets.put_back(&id, &mut definition);
            let ImageSource::Build(block) = definition.image else { unreachable!() };
            (block.context.unwrap(), block.lacks_secret)
        };
        secrets.note(&id, "own".to_owned(), SecretAddress::new("https://own@h/x.tgz"));
        secrets.note(&id, "other".to_owned(), SecretAddress::new("https://other@g/y.tgz"));
        assert_eq!(context("own"), ("https://own@h/x.tgz".to_owned(), false));
        assert_eq!(context("third"), ("https://h/x.tgz".to_owned(), true));
        secrets.retain(|_| false);
        assert_eq!(context("own"), ("https://h/x.tgz".to_owned(), true));
    }
}
