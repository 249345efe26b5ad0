//! Whole lists on their way to clients. Hundreds of pages may open at once, each of which is sent the same megabytes: they
//! are written once, and kept for as long as one of them is being sent them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use deskgrid_job::Outlook;

/// The lists that are being sent, each at its newest version; a cheap handle.
#[derive(Clone, Default)]
pub(crate) struct WholeLists(Arc<Mutex<HashMap<Outlook, Frame>>>);

struct Frame {
    version: u64,
    text: Weak<Bytes>,
}

impl WholeLists {
    /// The frame of a list at this version: the one that another client is being sent, or else what `write` makes.
    pub(super) fn frame(
        &self,
        outlook: &Outlook,
        version: u64,
        write: impl FnOnce() -> String,
    ) -> Arc<Bytes> {
        if let Some(frame) = self.find(outlook, version) {
            return frame;
        }
        // Without the lock: it takes milliseconds, and two who do it at the same time harm nobody.
        let frame = Arc::new(Bytes::from(write()));
        let mut frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        frames.retain(|_, frame| frame.text.strong_count() > 0);
        frames.insert(outlook.clone(), Frame { version, text: Arc::downgrade(&frame) });
        frame
    }

    fn find(&self, outlook: &Outlook, version: u64) -> Option<Arc<Bytes>> {
        let frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        frames.get(outlook).filter(|frame| frame.version == version)?.text.upgrade()
    }
}

#[cfg(test)]
mod tests {
    use deskgrid_job::{Caller, QueueName};

    use super::*;

    fn outlook(queue: &str) -> Outlook {
        Outlook { queue: QueueName::new(queue).unwrap(), caller: Caller::Program }
    }

    #[test]
    fn a_list_is_written_once_for_all_who_are_sent_it_at_the_same_time_and_again_when_it_changed() {
        let lists = WholeLists::default();
        let (here, there) = (outlook("here"), outlook("there"));
        let first = lists.frame(&here, 1, || "one".to_owned());
        assert_eq!(*lists.frame(&here, 1, || unreachable!("it is being sent")), *first);
        assert_eq!(**lists.frame(&there, 1, || "another".to_owned()), *b"another");
        let second = lists.frame(&here, 2, || "two".to_owned());
        assert_eq!((&**first, &**second), (&b"one"[..], &b"two"[..]));
    }

    #[test]
    fn nothing_is_kept_when_it_has_been_sent() {
        let lists = WholeLists::default();
        drop(lists.frame(&outlook("a"), 1, || "one".to_owned()));
        assert_eq!(**lists.frame(&outlook("a"), 1, || "again".to_owned()), *b"again");
        drop(lists.frame(&outlook("b"), 1, || "two".to_owned()));
        assert_eq!(lists.0.lock().unwrap().len(), 1);
    }
}
