//! Counts of what goes on at the server's face, for the status document and the metrics.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deskgrid_job::{Caller, Outlook};

/// The counts; a cheap handle.
#[derive(Clone, Default)]
pub(crate) struct Gauges(Arc<Counts>);

#[derive(Default)]
struct Counts {
    /// Open sockets of each reader that has any.
    sockets: Mutex<HashMap<Outlook, u64>>,
    uploads_under_way: AtomicU64,
    uploads: AtomicU64,
    uploaded_bytes: AtomicU64,
}

/// Counts one socket for as long as it lives.
pub(crate) struct OpenSocket {
    gauges: Gauges,
    outlook: Outlook,
}

/// Counts one upload for as long as it lives.
pub(crate) struct UploadUnderWay(Gauges);

/// What has been uploaded, and is being.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Uploads {
    /// Bodies that are arriving.
    pub(crate) under_way: u64,
    /// Files stored since the start.
    pub(crate) files: u64,
    /// Bytes stored since the start.
    pub(crate) bytes: u64,
}

impl Gauges {
    fn sockets(&self) -> MutexGuard<'_, HashMap<Outlook, u64>> {
        self.0.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a socket of `outlook` until the answer is dropped, unless `check` objects to the number that its caller
    /// has open.
    pub(crate) fn admit<E>(
        &self,
        outlook: &Outlook,
        check: impl FnOnce(u64) -> Result<(), E>,
    ) -> Result<OpenSocket, E> {
        let mut sockets = self.sockets();
        check(
            sockets.iter().filter(|(other, _)| other.caller == outlook.caller).map(|(_, count)| count).sum(),
        )?;
        *sockets.entry(outlook.clone()).or_default() += 1;
        Ok(OpenSocket { gauges: self.clone(), outlook: outlook.clone() })
    }

    /// Open sockets in one queue that are `outlook`'s business.
    pub(crate) fn sockets_of(&self, outlook: &Outlook) -> u64 {
        self.count(|other| other.queue == outlook.queue && outlook.caller.sees(&other.caller))
    }

    /// Open sockets of all queues that are this caller's business.
    pub(crate) fn sockets_seen_by(&self, caller: &Caller) -> u64 {
        self.count(|other| caller.sees(&other.caller))
    }

    fn count(&self, is_meant: impl Fn(&Outlook) -> bool) -> u64 {
        self.sockets().iter().filter(|(outlook, _)| is_meant(outlook)).map(|(_, count)| count).sum()
    }

    /// Counts an upload as under way until the answer is dropped.
    pub(crate) fn upload(&self) -> UploadUnderWay {
        self.0.uploads_under_way.fetch_add(1, Ordering::Relaxed);
        UploadUnderWay(self.clone())
    }

    /// Counts a file that was stored.
    pub(crate) fn uploaded(&self, bytes: u64) {
        self.0.uploads.fetch_add(1, Ordering::Relaxed);
        self.0.uploaded_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The uploads so far.
    pub(crate) fn uploads(&self) -> Uploads {
        Uploads {
            under_way: self.0.uploads_under_way.load(Ordering::Relaxed),
            files: self.0.uploads.load(Ordering::Relaxed),
            bytes: self.0.uploaded_bytes.load(Ordering::Relaxed),
        }
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        let mut sockets = self.gauges.sockets();
        if let Some(count) = sockets.get_mut(&self.outlook) {
            *count -= 1;
            if *count == 0 {
                sockets.remove(&self.outlook);
            }
        }
    }
}

impl Drop for UploadUnderWay {
    fn drop(&mut self) {
        self.0.0.uploads_under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use deskgrid_job::QueueName;

    use super::*;

    #[test]
    fn sockets_are_counted_while_they_live() {
        let gauges = Gauges::default();
        let queue = |name| Outlook::whole(QueueName::new(name).unwrap());
        let page = Caller::parse("https://a.example");
        let (one, two) = (queue("one"), Outlook { caller: page.clone(), ..queue("two") });
        let socket = |outlook| gauges.admit(outlook, |_| Ok::<_, ()>(())).unwrap();
        let (first, _second) = (socket(&one), socket(&two));
        assert_eq!((gauges.sockets_of(&one), gauges.sockets_seen_by(&Caller::Program)), (1, 2));
        assert_eq!((gauges.sockets_of(&queue("two")), gauges.sockets_seen_by(&page)), (1, 1));
        drop(first);
        assert_eq!((gauges.sockets_of(&one), gauges.sockets_seen_by(&Caller::Program)), (0, 1));
    }

    #[test]
    fn a_caller_is_admitted_by_what_it_has_open_in_all_queues() {
        let gauges = Gauges::default();
        let page = Caller::parse("https://a.example");
        let queue = |name| Outlook { queue: QueueName::new(name).unwrap(), caller: page.clone() };
        let at_most_two = |open| if open < 2 { Ok(()) } else { Err(open) };
        let _first = gauges.admit(&queue("one"), at_most_two).unwrap();
        let second = gauges.admit(&queue("two"), at_most_two).unwrap();
        assert_eq!(gauges.admit(&queue("three"), at_most_two).err(), Some(2));
        assert!(gauges.admit(&Outlook::whole(QueueName::new("one").unwrap()), at_most_two).is_ok());
        drop(second);
        assert!(gauges.admit(&queue("three"), at_most_two).is_ok());
    }

    #[test]
    fn an_upload_that_was_broken_off_is_no_longer_under_way_and_not_counted_as_stored() {
        let gauges = Gauges::default();
        drop(gauges.upload());
        assert_eq!(gauges.uploads(), Uploads { under_way: 0, files: 0, bytes: 0 });
        gauges.uploaded(5);
        assert_eq!(gauges.uploads(), Uploads { under_way: 0, files: 1, bytes: 5 });
    }
}
