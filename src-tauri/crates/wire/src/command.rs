//! Splits a command text into words as the deployed clients expect it (protocol section 2, *command splitting*).
//!
//! Not a shell: text that needs one is left whole. Two steps, as in the rule: `cut` finds where words begin and
//! end, `expanded` takes quotes, backslashes and variables out of one word. Each gives up, with `None`, on text
//! that only a shell could read.

use std::collections::BTreeMap;

use deskgrid_job::Command;

use crate::ecmascript::is_white_space;

type Env = BTreeMap<String, String>;

/// Characters that, bare, make a text one for a shell.
const OPERATORS: &str = "|&;()<>";
/// Characters that a backslash takes along into the word, whatever they would do alone.
const ESCAPABLE: &str = "'\"$\\ \t|&;()<>";
/// One-character names of a shell's own variables; the job's environment has none of them.
const SPECIAL_NAMES: &str = "*@#?$!-";

/// The command that `text` stands for, with variables from `env`; none when it has no words.
pub fn split(text: &str, env: &BTreeMap<String, String>) -> Option<Command> {
    let words: Option<Vec<String>> =
        cut(text).and_then(|words| words.into_iter().map(|word| expanded(word, env)).collect());
    match words {
        Some(words) if words.is_empty() => None,
        Some(words) => Some(Command::Words(words)),
        None => Some(Command::Shell(text.to_owned())),
    }
}

/// The words of `text`, still quoted.
fn cut(text: &str) -> Option<Vec<&str>> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let (length, is_part) = match c {
            _ if is_white_space(c) => (c.len_utf8(), false),
            _ if OPERATORS.contains(c) => return None,
            '\\' => (escape_length(&text[at..]), true),
            '"' | '\'' => quoted_length(&text[at..], c).map_or((1, false), |length| (length, true)),
            _ => (c.len_utf8(), true),
        };
        if !is_part {
            words.push(&text[start..at]);
            start = at + length;
        }
        at += length;
    }
    words.push(&text[start..]);
    words.retain(|word| !word.is_empty());
    Some(words)
}

/// Bytes that the backslash at the start of `rest` takes, itself included.
fn escape_length(rest: &str) -> usize {
    let taken = rest[1..].chars().next().filter(|next| ESCAPABLE.contains(*next));
    1 + taken.map_or(0, char::len_utf8)
}

/// Bytes of the quoted part at the start of `rest`, both quotes included; none when it is never closed.
fn quoted_length(rest: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !is_escaped {
            return Some(at + 1);
        }
        is_escaped = quote == '"' && c == '\\' && !is_escaped;
    }
    None
}

/// The word without its quotes and with its variables replaced.
fn expanded(word: &str, env: &Env) -> Option<String> {
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\'' => {
                let (literal, after) = rest.split_once('\'').unwrap_or((rest, ""));
                out.push_str(literal);
                rest = after;
            }
            '"' => rest = double_quoted(&mut out, rest, env)?,
            // A backslash does not save a glob from being one; that is the rule, odd as it is.
            '\\' if rest.starts_with(['*', '?']) => return None,
            '\\' => {
                let literal = rest.chars().next();
                out.extend(literal);
                rest = &rest[literal.map_or(0, char::len_utf8)..];
            }
            '$' => rest = variable(&mut out, rest, env)?,
            '*' | '?' | '#' => return None,
            other => out.push(other),
        }
    }
    Some(out)
}

/// Appends what stands between double quotes, of which the first is gone, and gives back what follows the second.
fn double_quoted<'a>(out: &mut String, mut rest: &'a str, env: &Env) -> Option<&'a str> {
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '"' => return Some(rest),
            '\\' if rest.starts_with(['"', '\\', '$']) => {
                out.push_str(&rest[..1]);
                rest = &rest[1..];
            }
            '$' => rest = variable(out, rest, env)?,
            other => out.push(other),
        }
    }
    Some(rest)
}

/// Appends the variable whose dollar sign is gone, or the dollar sign itself, and gives back what follows.
fn variable<'a>(out: &mut String, rest: &'a str, env: &Env) -> Option<&'a str> {
    let (name, after) = if let Some(braced) = rest.strip_prefix('{') {
        braced.split_once('}').filter(|(name, _)| !name.is_empty())?
    } else if rest.starts_with(|c| SPECIAL_NAMES.contains(c)) {
        rest.split_at(1)
    } else {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len()))
    };
    if name.is_empty() {
        out.push('$');
    } else if let Some(value) = env.get(name) {
        out.push_str(value);
    }
    Some(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(serde::Deserialize)]
    struct Vector {
        command: String,
        env: Env,
        argv: Option<Vec<String>>,
    }

    fn check(vectors: &str) {
        let vectors: Vec<Vector> = serde_json::from_str(vectors).unwrap();
        assert!(vectors.len() > 30);
        for Vector { command, env, argv } in vectors {
            let split = match split(&command, &env) {
                Some(Command::Words(words)) => words,
                Some(Command::Shell(text)) => vec![text],
                None => Vec::new(),
            };
            // A command without words is the same to us as no command.
            assert_eq!(split, argv.unwrap_or_default(), "{command:?}");
        }
    }

    #[test]
    fn every_command_of_the_vectors_splits_as_the_clients_expect() {
        check(include_str!("../vectors/commands.json"));
        check(include_str!("../vectors/more-commands.json"));
    }

    #[test]
    fn a_text_for_a_shell_is_left_whole() {
        for text in ["a && b", "ls *.txt", "a # b", " a>b ", "${A:-b c}", "echo ${}", "\"${A\""] {
            assert_eq!(split(text, &Env::new()), Some(Command::Shell(text.into())), "{text}");
        }
    }

    #[test]
    fn a_text_without_words_is_no_command() {
        for text in ["", "  ", "\n", "'", "\""] {
            assert_eq!(split(text, &Env::new()), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_splitter_panic(text in "(?s).*", syntax in "[ \"'$\\\\{}a*#é\n]*") {
            let env = Env::from([("a".to_owned(), "x y".to_owned())]);
            split(&text, &env);
            split(&syntax, &env);
        }
    }
}
