//! Where symbolic links lead inside a context. None is followed outside of the tree.

use std::collections::VecDeque;

use deskgrid_job::FilePath;

use crate::ContextError;
use crate::tree::{Kind, Tree};

/// As many links as Linux follows for one path.
const MOST_LINKS: usize = 40;
/// Steps that all links of a context may take together: seconds of work.
const MOST_STEPS: usize = 2_000_000;

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// At the root of the tree.
    Root,
    /// At something that is there, and is no link.
    At(FilePath),
    /// Inside the tree, at nothing, or in a circle.
    Nowhere,
    /// Out of the tree.
    Outside,
}

/// Follows links of one tree, and counts what that costs.
pub(crate) struct Walker<'a> {
    tree: &'a Tree,
    steps: usize,
}

impl<'a> Walker<'a> {
    pub(crate) fn new(tree: &'a Tree) -> Self {
        Self { tree, steps: MOST_STEPS }
    }

    /// Where `path` leads when it is read from the root of the tree.
    ///
    /// # Errors
    /// When the links of this tree were made to cost time.
    pub(crate) fn resolve(&mut self, path: &str) -> Result<End, ContextError> {
        self.follow(Vec::new(), path)
    }

    /// Where the link `from`, which says `target`, leads.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub(crate) fn link(&mut self, from: &FilePath, target: &str) -> Result<End, ContextError> {
        let mut place: Vec<String> = from.segments().map(str::to_owned).collect();
        place.pop();
        self.follow(place, target)
    }

    fn follow(&mut self, mut place: Vec<String>, target: &str) -> Result<End, ContextError> {
        if is_absolute(target) {
            return Ok(End::Outside);
        }
        let mut ahead: VecDeque<String> = target.split('/').map(str::to_owned).collect();
        let mut links = 0;
        while let Some(segment) = ahead.pop_front() {
            self.steps = self.steps.checked_sub(1).ok_or_else(too_many)?;
            match segment.as_str() {
                ".." if place.pop().is_none() => return Ok(End::Outside),
                "" | "." | ".." => continue,
                _ => place.push(segment),
            }
            if let Some(Kind::Link(next)) = self.kind(&place) {
                links += 1;
                place.pop();
                if is_absolute(next) {
                    return Ok(End::Outside);
                }
                if links > MOST_LINKS {
                    return Ok(End::Nowhere);
                }
                let parts: Vec<_> = next.split('/').map(str::to_owned).collect();
                self.steps = self.steps.checked_sub(parts.len()).ok_or_else(too_many)?;
                parts.into_iter().rev().for_each(|part| ahead.push_front(part));
            }
        }
        Ok(self.end(&place))
    }

    fn end(&self, place: &[String]) -> End {
        match FilePath::new(&place.join("/")) {
            Err(_) if place.is_empty() => End::Root,
            Ok(path) if self.tree.get(&path).is_some() => End::At(path),
            _ => End::Nowhere,
        }
    }

    fn kind(&self, place: &[String]) -> Option<&'a Kind> {
        self.tree.get(&FilePath::new(&place.join("/")).ok()?).map(|node| &node.kind)
    }
}

/// Also to Windows, where a context may be looked at.
fn is_absolute(target: &str) -> bool {
    let drive = target.as_bytes();
    target.starts_with(['/', '\\']) || (drive.len() > 1 && drive[0].is_ascii_alphabetic() && drive[1] == b':')
}

fn too_many() -> ContextError {
    ContextError::too_large("its links take too long to follow", MOST_STEPS as u64, "steps")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Node;

    fn path(text: &str) -> FilePath {
        FilePath::new(text).unwrap()
    }

    fn tree(links: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        let mut insert =
            |name: &str, kind| tree.insert(path(name), Node { kind, mode: 0o644, modified: 0 }).unwrap();
        insert("a/b/file", Kind::File { position: 0, size: 0 });
        for (from, target) in links {
            insert(from, Kind::Link((*target).to_owned()));
        }
        tree
    }

    #[test]
    fn links_lead_where_a_file_system_would_lead_them() {
        let tree = tree(&[("d", "a/b"), ("up", ".."), ("a/up", ".."), ("round", "round"), ("abs", "/etc")]);
        for (from, target, end) in [
            ("l", "a/b/file", End::At(path("a/b/file"))),
            ("a/l", "b/./file", End::At(path("a/b/file"))),
            ("l", "d/file", End::At(path("a/b/file"))),
            ("l", "d/../b/file", End::At(path("a/b/file"))),
            ("l", "a/up/a/b", End::At(path("a/b"))),
            ("l", "a/..", End::Root),
            ("l", "missing/file", End::Nowhere),
            ("l", "round", End::Nowhere),
            ("l", "..", End::Outside),
            ("a/l", "../../x", End::Outside),
            ("l", "/a", End::Outside),
            ("l", "C:/x", End::Outside),
            ("l", "\\\\host\\x", End::Outside),
            ("l", "up/a", End::Outside),
            ("l", "abs/passwd", End::Outside),
            // Inside by the letter, outside for a file system.
            ("l", "a/up/../x", End::Outside),
        ] {
            assert_eq!(Walker::new(&tree).link(&path(from), target).unwrap(), end, "{from} -> {target}");
        }
    }

    #[test]
    fn links_that_are_made_to_cost_time_are_refused() {
        let long = "a/../".repeat(700);
        let tree = tree(&[("x", &format!("{long}x"))]);
        let mut walker = Walker::new(&tree);
        let mut ends = (0..100_000).map(|_| walker.resolve("x"));
        let error = ends.find_map(Result::err).unwrap();
        assert_eq!(error.code(), "context-too-large");
    }
}
