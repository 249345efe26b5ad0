//! `.dockerignore`: which files of a context are not sent, by the rules of the docker command line.
//!
//! A pattern is a path from the root of the context in which `*` and `?` stop at a slash, `[...]` is a choice of
//! characters and `**` is any number of folders. It is about what it names and all that lies below. `!` takes back.
//! Of all patterns that fit, the last one counts.

use std::collections::HashMap;
use std::fmt::Write as _;

use deskgrid_job::FilePath;
use regex::Regex;

use crate::ContextError;
use crate::archive::LONGEST_IGNORE_FILE;
use crate::error::cut;
use crate::interest::Interest;

/// Most patterns that a file may have: each is tried on each path.
const MOST_PATTERNS: usize = 1000;
/// Times that patterns may be tried on paths in all: some ten seconds of work, and many times what people's need.
const MOST_TRIES: u64 = 200_000_000;
/// Largest compiled pattern, and what trying it may keep in memory, in bytes.
const LARGEST_PATTERN: usize = 64 << 10;

/// The patterns of one file, in its order.
#[derive(Debug, Default)]
pub(crate) struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    is_exception: bool,
    expression: Regex,
}

impl Ignore {
    /// Reads the text of the file called `file`.
    ///
    /// # Errors
    /// [`ContextError::BadIgnoreFile`] for a pattern that the docker command line would refuse too.
    pub(crate) fn parse(file: &str, text: &[u8]) -> Result<Self, ContextError> {
        let bad = |problem: String| ContextError::BadIgnoreFile { file: cut(file), problem };
        if text.len() as u64 > LONGEST_IGNORE_FILE {
            return Err(bad(format!("it is longer than {LONGEST_IGNORE_FILE} bytes")));
        }
        let text = String::from_utf8_lossy(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text));
        let mut patterns = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let place = |problem: &str| bad(format!("line {} {:?} {problem}", number + 1, cut(line)));
            if let Some(pattern) = Pattern::read(line).map_err(place)? {
                patterns.push(pattern);
            }
            if patterns.len() > MOST_PATTERNS {
                return Err(bad(format!("it has more than {MOST_PATTERNS} patterns")));
            }
        }
        Ok(Self { patterns })
    }

    /// Says of one path after the other whether it is left out, as long as `interest` lasts.
    pub(crate) fn verdicts(&self, interest: Interest) -> Verdicts<'_> {
        Verdicts { ignore: self, folders: HashMap::new(), tries: MOST_TRIES, interest }
    }
}

/// Verdicts on paths, which remember those on folders: what fits a folder fits all that is in it.
pub(crate) struct Verdicts<'a> {
    ignore: &'a Ignore,
    /// The number of the last pattern that fits, plus one; 0 for none.
    folders: HashMap<String, usize>,
    /// Times that patterns may still be tried.
    tries: u64,
    interest: Interest,
}

impl Verdicts<'_> {
    /// Whether `path` is left out.
    ///
    /// # Errors
    /// When so many patterns on so many paths take too long, or nobody waits any more.
    pub(crate) fn excludes(&mut self, path: &FilePath) -> Result<bool, ContextError> {
        self.interest.check()?;
        let last = self.last(path.as_str())?;
        Ok(last > 0 && !self.ignore.patterns[last - 1].is_exception)
    }

    fn last(&mut self, path: &str) -> Result<usize, ContextError> {
        // From the top down, as deep paths must not become deep calls.
        let mut last = 0;
        for (end, _) in path.match_indices('/') {
            last = self.folder(&path[..end], last)?;
        }
        self.fit(path, last)
    }

    fn folder(&mut self, folder: &str, above: usize) -> Result<usize, ContextError> {
        if let Some(last) = self.folders.get(folder) {
            return Ok(*last);
        }
        let last = self.fit(folder, above)?;
        self.folders.insert(folder.to_owned(), last);
        Ok(last)
    }

    /// The last pattern that fits `path` itself, or the one that fits a folder above when that comes later.
    fn fit(&mut self, path: &str, above: usize) -> Result<usize, ContextError> {
        let later = self.ignore.patterns.iter().enumerate().skip(above).rev();
        self.tries = self.tries.checked_sub(later.len() as u64).ok_or_else(|| {
            let what = "the patterns of its .dockerignore take too long on so many files";
            ContextError::too_large(what, MOST_TRIES, "comparisons")
        })?;
        let mut later = later.into_iter();
        let found = later.find(|(_, pattern)| pattern.expression.is_match(path));
        Ok(found.map_or(above, |(at, _)| at + 1))
    }
}

impl Pattern {
    /// Reads a line; comments and empty lines are none.
    fn read(line: &str) -> Result<Option<Self>, &'static str> {
        let text = line.trim();
        if line.starts_with('#') || text.is_empty() {
            return Ok(None);
        }
        let (is_exception, text) = match text.strip_prefix('!') {
            Some("") => return Err("is an exception from nothing"),
            Some(rest) => (true, rest.trim()),
            None => (false, text),
        };
        let path = cleaned(text);
        let expression = expression(&path)?;
        let mut expression = regex::RegexBuilder::new(&expression);
        let expression = expression.size_limit(LARGEST_PATTERN);
        let expression = expression.dfa_size_limit(LARGEST_PATTERN).build();
        let expression = expression.map_err(|_| "is too complicated")?;
        Ok(Some(Self { is_exception, expression }))
    }
}

/// The path without `.`, `..`, doubled slashes and slashes at its ends.
fn cleaned(text: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if text.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

/// The pattern as a regular expression for whole paths.
fn expression(pattern: &str) -> Result<String, &'static str> {
    let mut expression = String::from(r"(?s)\A");
    // The command line takes '**.py' for all names that end so, but '**.p?' for names that begin with a dot.
    if let Some(end) = pattern.strip_prefix("**").filter(|end| !end.starts_with('/') && is_literal(end)) {
        return Ok(format!("{expression}.*{}\\z", regex::escape(end)));
    }
    let mut ahead = pattern.chars().peekable();
    while let Some(letter) = ahead.next() {
        match letter {
            '*' if ahead.next_if_eq(&'*').is_some() => {
                // A slash after it belongs to it, so that '**/x' fits 'x' too.
                let _ = ahead.next_if_eq(&'/');
                expression.push_str(if ahead.peek().is_none() { ".*" } else { "(?:.*/)?" });
            }
            '*' => expression.push_str("[^/]*"),
            '?' => expression.push_str("[^/]"),
            '[' => choice(&mut ahead, &mut expression)?,
            '\\' => literal(ahead.next().ok_or("ends with a backslash")?, &mut expression),
            letter => literal(letter, &mut expression),
        }
    }
    expression.push_str(r"\z");
    Ok(expression)
}

fn is_literal(text: &str) -> bool {
    !text.contains(['*', '?', '[', '\\'])
}

fn literal(letter: char, expression: &mut String) {
    expression.push_str(&regex::escape(letter.encode_utf8(&mut [0; 4])));
}

/// `[abc]`, `[a-z]`, `[^a]`: after the opening bracket, to the closing one.
fn choice(
    ahead: &mut std::iter::Peekable<std::str::Chars<'_>>,
    expression: &mut String,
) -> Result<(), &'static str> {
    const PROBLEM: &str = "has a '[' that makes no sense";
    let bound = |ahead: &mut std::iter::Peekable<std::str::Chars<'_>>| match ahead.next() {
        None | Some('-' | ']') => Err(PROBLEM),
        Some('\\') => ahead.next().ok_or(PROBLEM),
        Some(letter) => Ok(letter),
    };
    expression.push('[');
    if ahead.next_if_eq(&'^').is_some() {
        expression.push('^');
    }
    let mut is_first = true;
    while is_first || ahead.next_if_eq(&']').is_none() {
        is_first = false;
        let low = bound(ahead)?;
        let high = if ahead.next_if_eq(&'-').is_some() { bound(ahead)? } else { low };
        if high < low {
            return Err(PROBLEM);
        }
        let code = |letter: char| format!("\\x{{{:x}}}", u32::from(letter));
        let _ = write!(expression, "{}-{}", code(low), code(high));
    }
    expression.push(']');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excludes(patterns: &str, path: &str) -> bool {
        let ignore = Ignore::parse(".dockerignore", patterns.as_bytes()).unwrap();
        ignore.verdicts(Interest::default()).excludes(&FilePath::new(path).unwrap()).unwrap()
    }

    #[test]
    fn patterns_fit_what_the_docker_command_line_says_they_fit() {
        for (patterns, left_out, sent) in [
            ("a", &["a", "a/b", "a/b/c"][..], &["b", "b/a", "ab"][..]),
            ("/a/", &["a", "a/b"], &["b/a"]),
            ("./a/./b/../c", &["a/c", "a/c/d"], &["a/b", "a"]),
            ("*", &["a", "a/b", ".git"], &[]),
            ("*.log", &["x.log", ".log"], &["a/x.log", "x.logs"]),
            ("*/*.log", &["a/x.log"], &["x.log", "a/b/x.log"]),
            ("**/*.log", &["x.log", "a/x.log", "a/b/x.log"], &["x.txt"]),
            ("**", &["a", "a/b", ".x"], &[]),
            ("a/**", &["a/b", "a/b/c"], &["b", "ab"]),
            ("a/**/b", &["a/b", "a/x/b", "a/x/y/b", "a/b/c"], &["b", "a/c"]),
            ("**/a", &["a", "x/a", "x/y/a/z"], &["xa", "x/ya"]),
            ("a**", &["a", "ab", "a/b"], &["b"]),
            ("**.py", &["x.py", "a/x.py"], &["x.pyc"]),
            ("**.p?", &[".py", "a/.py"], &["x.py"]),
            ("?.txt", &["a.txt"], &["ab.txt", "/.txt".trim_start_matches('/')]),
            ("a?b", &["axb"], &["a/b", "ab"]),
            ("[abc].txt", &["a.txt", "c.txt"], &["d.txt"]),
            ("[a-c]x", &["bx"], &["dx", "-x"]),
            ("[^a-c]x", &["dx"], &["bx"]),
            ("[\\]]x", &["]x"], &["x"]),
            ("a.b", &["a.b"], &["axb"]),
            ("a+(b)|{c}$^", &["a+(b)|{c}$^"], &["aab"]),
            ("\\*", &["*"], &["a"]),
            ("\\#a", &["#a"], &["a"]),
            ("# a", &[], &["a", "# a"]),
            (" a ", &["a"], &[" a"]),
            ("a\r\nb\r\n", &["a", "b"], &["c"]),
            ("\u{feff}a", &["a"], &["b"]),
            ("*\n!a", &["b", "b/a"], &["a", "a/b"]),
            ("*\n!a/b", &["a", "a/c"], &["a/b", "a/b/c"]),
            ("a\n!a/b\na/b/c", &["a/x", "a/b/c"], &["a/b", "a/b/d"]),
            ("!a\na", &["a"], &["b"]),
            (
                "*.md\n!README*.md\nREADME-secret.md",
                &["x.md", "README-secret.md"],
                &["README.md", "README-a.md"],
            ),
            ("*\n! a", &["b"], &["a"]),
            ("../a", &[], &["a"]),
            ("/../a", &["a"], &["b"]),
            ("datä/*", &["datä/x"], &["data/x"]),
            ("", &[], &["a"]),
            (".", &[], &["a"]),
        ] {
            for path in left_out {
                assert!(excludes(patterns, path), "{patterns:?} leaves out {path:?}");
            }
            for path in sent {
                assert!(!excludes(patterns, path), "{patterns:?} sends {path:?}");
            }
        }
    }

    #[test]
    fn a_pattern_that_makes_no_sense_is_named_with_its_line() {
        for bad in ["[", "[a", "[]a]", "[-a]", "[a-]", "[z-a]", "a\\", "!"] {
            let error = Ignore::parse("x/.dockerignore", format!("ok\n{bad}\n").as_bytes()).unwrap_err();
            assert_eq!(error.code(), "context-bad-ignore-file", "{bad}");
            assert!(
                error.to_string().contains("x/.dockerignore") && error.to_string().contains("line 2"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_file_that_is_made_to_cost_time_is_refused() {
        for bad in ["a\n".repeat(MOST_PATTERNS + 1), "*a".repeat(200_000), "?".repeat(100_000)] {
            assert!(Ignore::parse(".dockerignore", bad.as_bytes()).is_err(), "{}", &bad[..10]);
        }
    }

    #[test]
    fn patterns_that_are_made_to_cost_time_end_at_their_budget() {
        let ignore = Ignore::parse(".dockerignore", "*a\n".repeat(MOST_PATTERNS).as_bytes()).unwrap();
        let mut verdicts = Verdicts { tries: 2500, ..ignore.verdicts(Interest::default()) };
        let ends = (0..3).map(|name| verdicts.excludes(&FilePath::new(&name.to_string()).unwrap()));
        let ends: Vec<_> = ends.map(|end| end.map_err(|error| error.code())).collect();
        assert_eq!(ends, [Ok(false), Ok(false), Err("context-too-large")]);
    }
}
