//! Sentences about what was left out. A container decides how many there are to be and which names stand in them, so
//! both are bounded here, and no name can move a terminal's cursor.

/// More remarks than this are summed up in one.
const MOST: usize = 50;
/// Most characters of one; a name may be longer than anyone wants to read.
const LONGEST: usize = 600;

/// A bounded collection of sentences.
#[derive(Debug, Default)]
pub struct Remarks {
    sentences: Vec<String>,
    more: usize,
}

impl Remarks {
    /// Adds a sentence, which is only made when there is room for it.
    pub fn add(&mut self, sentence: impl FnOnce() -> String) {
        if self.sentences.len() < MOST {
            self.sentences.push(harmless(&sentence()));
        } else {
            self.more += 1;
        }
    }

    /// Adds all of `others` behind what is there.
    pub(crate) fn append(&mut self, others: Remarks) {
        self.more += others.more;
        for sentence in others.sentences {
            self.add(|| sentence);
        }
    }

    /// The sentences, with one more for all that found no room.
    pub(crate) fn into_sentences(mut self) -> Vec<String> {
        if self.more > 0 {
            self.sentences.push(format!(
                "Deskgrid left out {} more things in /outputs that are no regular files.",
                self.more
            ));
        }
        self.sentences
    }
}

fn harmless(sentence: &str) -> String {
    let visible = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let mut shown: String = sentence.chars().take(LONGEST).map(visible).collect();
    if sentence.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_remarks_take_no_more_room_than_fifty() {
        let mut remarks = Remarks::default();
        for number in 0..1_000_000 {
            remarks.add(|| {
                assert!(number < MOST, "this sentence is for nobody");
                number.to_string()
            });
        }
        let sentences = remarks.into_sentences();
        assert_eq!(sentences.len(), MOST + 1);
        assert!(sentences[MOST].contains("999950 more"), "{}", sentences[MOST]);
    }

    #[test]
    fn a_name_in_a_remark_is_cut_and_cannot_steer_a_terminal() {
        let mut remarks = Remarks::default();
        remarks.add(|| format!("\u{1b}[2Jred\n{}", "x".repeat(5000)));
        let sentences = remarks.into_sentences();
        assert!(!sentences[0].chars().any(char::is_control));
        assert_eq!(sentences[0].chars().count(), LONGEST + 1);
    }
}
