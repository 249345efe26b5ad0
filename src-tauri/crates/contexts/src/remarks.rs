//! Sentences about what was left out of a context: a bounded number of them, however much there is to say.

/// Most sentences that anybody reads.
const MOST: usize = 50;

/// Sentences in the order in which they came up.
#[derive(Debug, Default)]
pub(crate) struct Remarks {
    sentences: Vec<String>,
    more: usize,
}

impl Remarks {
    /// Notes that `name` is left out because it is `what`.
    pub(crate) fn left_out(&mut self, name: &str, what: &str) {
        if self.sentences.len() < MOST {
            let name = crate::error::cut(name);
            self.sentences.push(format!("Deskgrid left {name:?} out of the build context: it is {what}."));
        } else {
            self.more += 1;
        }
    }

    /// The sentences, and one that counts those that are missing.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let more = (self.more > 0).then(|| format!("Deskgrid left out {} more.", self.more));
        self.sentences.iter().cloned().chain(more).collect()
    }
}
