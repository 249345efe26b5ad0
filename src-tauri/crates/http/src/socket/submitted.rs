//! Which namespaces one connection submitted its jobs under: a browser's cancel names none (protocol section 3).

use std::collections::{HashMap, VecDeque};

use deskgrid_job::{JobId, Namespace};

/// Jobs that are remembered; the oldest are forgotten first.
const MOST_JOBS: usize = 4096;
/// Namespaces that are remembered of one job.
const MOST_NAMESPACES: usize = 64;

/// What one connection submitted.
#[derive(Default)]
pub(super) struct Submitted {
    namespaces: HashMap<JobId, Vec<Namespace>>,
    /// The jobs in the order of their first submission.
    order: VecDeque<JobId>,
}

impl Submitted {
    /// Notes a submission.
    pub(super) fn note(&mut self, job: &JobId, namespace: &Namespace) {
        if let Some(known) = self.namespaces.get_mut(job) {
            if !known.contains(namespace) && known.len() < MOST_NAMESPACES {
                known.push(namespace.clone());
            }
            return;
        }
        if self.order.len() == MOST_JOBS
            && let Some(oldest) = self.order.pop_front()
        {
            self.namespaces.remove(&oldest);
        }
        self.order.push_back(job.clone());
        self.namespaces.insert(job.clone(), vec![namespace.clone()]);
    }

    /// The namespaces that a cancel without one stands for.
    pub(super) fn of(&self, job: &JobId) -> Vec<Namespace> {
        self.namespaces.get(job).cloned().unwrap_or_else(|| vec![Namespace::shared()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(number: usize) -> JobId {
        JobId::new(&number.to_string()).unwrap()
    }

    fn namespace(text: &str) -> Namespace {
        Namespace::new(text).unwrap()
    }

    #[test]
    fn a_job_is_let_go_of_under_all_names_it_was_submitted_with() {
        let mut submitted = Submitted::default();
        for name in ["a", "b", "a"] {
            submitted.note(&job(1), &namespace(name));
        }
        assert_eq!(submitted.of(&job(1)), [namespace("a"), namespace("b")]);
        assert_eq!(submitted.of(&job(2)), [Namespace::shared()]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut submitted = Submitted::default();
        for number in 0..MOST_JOBS + 10 {
            submitted.note(&job(number), &namespace("a"));
            submitted.note(&job(number), &namespace(&number.to_string()));
        }
        assert_eq!((submitted.namespaces.len(), submitted.order.len()), (MOST_JOBS, MOST_JOBS));
        assert_eq!(submitted.of(&job(0)), [Namespace::shared()]);
        assert_eq!(submitted.of(&job(MOST_JOBS)).len(), 2);
    }
}
