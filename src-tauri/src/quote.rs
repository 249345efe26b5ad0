//! Writes argument words as the one text that the protocol's `command` is. The same words come out when it is split,
//! which is proven here, where both sides are known.

pub(crate) use deskgrid_job::shell::join;

#[cfg(test)]
mod tests {
    use super::*;
    use deskgrid_job::Command;
    use std::collections::BTreeMap;

    #[test]
    fn plain_words_stay_readable() {
        let words = ["python3", "/inputs/run.py", "--x=1"].map(str::to_owned);
        assert_eq!(join(&words), "python3 /inputs/run.py --x=1");
    }

    #[test]
    fn splitting_gives_the_same_words_back() {
        let hard: &[&[&str]] = &[
            &["echo", "a b", ""],
            &["it's", "'", "''", "a'b'c"],
            &["$HOME", "${X}", "`date`", "$(date)", "\\", "\\'", "a\\", "\\\\'x"],
            &["a && b", "*.txt", "?", "# no comment", "a#b", "> out", "~", "{a,b}", "\"", "\"'\""],
            &["line\nbreak", "tab\t", "ü\u{a0}\u{feff}", " ", "sh", "-c", "echo 'x' | wc -l"],
        ];
        for words in hard {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let split = deskgrid_wire::command::split(&join(&words), &BTreeMap::new());
            assert_eq!(split, Some(Command::Words(words)));
        }
    }
}
