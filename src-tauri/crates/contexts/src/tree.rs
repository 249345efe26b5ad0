//! The files of a context by name: a tree that a file system could hold, whatever order an archive has them in.
//!
//! Later entries of an archive take the place of earlier ones, as they would when it is unpacked. Nothing lies below a
//! link or a file.

use std::collections::BTreeMap;

use deskgrid_job::FilePath;

use crate::{ContextError, Limits};

/// Bytes of names and of what links say, for each entry that is allowed: many times what people's have on average. They
/// are all kept in memory.
const TEXT_BYTES: u64 = 256;
/// What they may have besides.
const TEXT_REST: u64 = 1 << 20;
/// Permissions of folders that an archive does not mention.
const FOLDER_MODE: u32 = 0o755;

/// One thing in a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Permissions: the lowest nine bits, never more.
    pub(crate) mode: u32,
    /// Seconds since 1970.
    pub(crate) modified: u64,
}

/// What it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file: where its bytes are. Two names with the same place are one file.
    File {
        /// Which entry of the archive has its bytes.
        position: usize,
        /// Length in bytes.
        size: u64,
    },
    /// A symbolic link and what it says.
    Link(String),
    /// A folder.
    Folder,
}

/// Everything in a context, by its path there.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: BTreeMap<FilePath, Node>,
    /// Bytes of all names and of what links say, as they were put in.
    text: u64,
}

impl Tree {
    /// Puts `node` at `path`, in the place of what was there.
    ///
    /// # Errors
    /// When `path` lies below a link, or when something is in the way.
    pub(crate) fn insert(&mut self, path: FilePath, node: Node) -> Result<(), ContextError> {
        self.insert_folders_above(&path)?;
        let is_folder = node.kind == Kind::Folder;
        match self.nodes.get(&path).map(|there| &there.kind) {
            Some(Kind::Folder) if !is_folder && self.below(&path).next().is_some() => {
                Err(ContextError::Broken(format!("{:?} is a folder and something else", shown(&path))))
            }
            _ => {
                self.count(&path, &node);
                self.nodes.insert(path, node);
                Ok(())
            }
        }
    }

    fn count(&mut self, path: &FilePath, node: &Node) {
        let target = if let Kind::Link(target) = &node.kind { target.len() } else { 0 };
        let name = if self.nodes.contains_key(path) { 0 } else { path.as_str().len() };
        self.text += (name + target) as u64;
    }

    /// Refuses a tree with more in it than `limits` allow, folders that nobody mentioned included.
    ///
    /// # Errors
    /// [`ContextError::TooLarge`]
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), ContextError> {
        let text = limits.entries.saturating_mul(TEXT_BYTES).saturating_add(TEXT_REST);
        if self.nodes.len() as u64 > limits.entries {
            Err(too_many(limits))
        } else if self.text > text {
            Err(ContextError::too_large("the names in it are too long for so many", text, "bytes"))
        } else {
            Ok(())
        }
    }

    /// Stops at the first folder that is there, above which there can be folders only.
    fn insert_folders_above(&mut self, path: &FilePath) -> Result<(), ContextError> {
        let mut missing = Vec::new();
        for (end, _) in path.as_str().rmatch_indices('/') {
            let Ok(above) = FilePath::new(&path.as_str()[..end]) else { continue };
            match self.nodes.get(&above).map(|node| &node.kind) {
                None => missing.push(above),
                Some(Kind::Folder) => break,
                Some(Kind::Link(_)) => {
                    return Err(ContextError::unsafe_name(path.as_str(), "lies behind a link"));
                }
                Some(Kind::File { .. }) => {
                    let text = format!("{:?} lies below a file", shown(path));
                    return Err(ContextError::Broken(text));
                }
            }
        }
        self.text += missing.iter().map(|above| above.as_str().len() as u64).sum::<u64>();
        self.nodes.extend(missing.into_iter().map(|above| (above, folder())));
        Ok(())
    }

    /// What is at `path`, links not followed.
    pub(crate) fn get(&self, path: &FilePath) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Everything, folders before what is in them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&FilePath, &Node)> {
        self.nodes.iter()
    }

    /// Everything below the folder `path`.
    fn below(&self, path: &FilePath) -> impl Iterator<Item = (&FilePath, &Node)> {
        // All that lies below begins with the name and a slash; names such as 'a-b' sort between 'a' and 'a/b'.
        let first = FilePath::new(&format!("{path}/\u{1}")).ok();
        let nodes = first.map(|first| self.nodes.range(first..));
        nodes.into_iter().flatten().take_while(move |(other, _)| path.is_above(other))
    }

    /// The tree without its one folder at the top, when it has one and nothing beside it.
    pub(crate) fn hoisted(self) -> Self {
        let mut top = self.nodes.iter().filter(|(path, _)| !path.as_str().contains('/'));
        let sole = match (top.next(), top.next()) {
            (Some((path, Node { kind: Kind::Folder, .. })), None) => Some(path.clone()),
            _ => None,
        };
        match sole {
            Some(path) => self.folder(&path),
            None => self,
        }
    }

    /// The folder `root` as a tree of its own.
    pub(crate) fn folder(self, root: &FilePath) -> Self {
        let cut = root.as_str().len() + 1;
        let nodes = self.nodes.into_iter().filter(|(path, _)| root.is_above(path));
        let nodes = nodes.filter_map(|(path, node)| Some((FilePath::new(&path.as_str()[cut..]).ok()?, node)));
        Self { nodes: nodes.collect(), text: self.text }
    }

    /// Keeps what `wanted` says, and the folders above it.
    ///
    /// # Errors
    /// The first of `wanted`; nothing is changed then.
    pub(crate) fn retain(
        &mut self,
        mut wanted: impl FnMut(&FilePath) -> Result<bool, ContextError>,
    ) -> Result<(), ContextError> {
        let mut kept = BTreeMap::new();
        for (path, node) in &self.nodes {
            if wanted(path)? {
                self.keep_folders_above(path, &mut kept);
                kept.insert(path.clone(), node.clone());
            }
        }
        self.nodes = kept;
        Ok(())
    }

    fn keep_folders_above(&self, path: &FilePath, kept: &mut BTreeMap<FilePath, Node>) {
        for (end, _) in path.as_str().rmatch_indices('/') {
            let Ok(above) = FilePath::new(&path.as_str()[..end]) else { continue };
            if kept.contains_key(&above) {
                return;
            }
            let node = self.nodes.get(&above).cloned().unwrap_or_else(folder);
            kept.insert(above, node);
        }
    }
}

/// What is said when there are more entries than the limit allows.
pub(crate) fn too_many(limits: &Limits) -> ContextError {
    ContextError::too_large("it has too many files and folders", limits.entries, "of them")
}

fn folder() -> Node {
    Node { kind: Kind::Folder, mode: FOLDER_MODE, modified: 0 }
}

fn shown(path: &FilePath) -> String {
    crate::error::cut(path.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> FilePath {
        FilePath::new(text).unwrap()
    }

    fn node(kind: Kind) -> Node {
        Node { kind, mode: 0o644, modified: 0 }
    }

    fn file() -> Node {
        node(Kind::File { position: 0, size: 1 })
    }

    fn tree(names: &[&str]) -> Tree {
        let mut tree = Tree::default();
        for name in names {
            tree.insert(path(name), file()).unwrap();
        }
        tree
    }

    fn names(tree: &Tree) -> Vec<&str> {
        tree.iter().map(|(path, _)| path.as_str()).collect()
    }

    #[test]
    fn folders_that_nobody_mentioned_are_there() {
        assert_eq!(names(&tree(&["a/b/c", "a/d"])), ["a", "a/b", "a/b/c", "a/d"]);
    }

    #[test]
    fn one_folder_at_the_top_is_hoisted_and_two_are_not() {
        assert_eq!(names(&tree(&["top/a/b", "top/c"]).hoisted()), ["a", "a/b", "c"]);
        assert_eq!(names(&tree(&["top/a", "c"]).hoisted()), ["c", "top", "top/a"]);
        assert_eq!(names(&tree(&["top-x/a", "top/a"]).hoisted()), ["top", "top-x", "top-x/a", "top/a"]);
        assert_eq!(names(&tree(&["only"]).hoisted()), ["only"]);
    }

    #[test]
    fn nothing_lies_behind_a_link_or_below_a_file() {
        let mut tree = tree(&["f"]);
        tree.insert(path("l"), node(Kind::Link("/etc".into()))).unwrap();
        let behind = tree.insert(path("l/passwd"), file()).unwrap_err();
        assert_eq!(behind.code(), "context-unsafe");
        assert!(tree.insert(path("f/x"), file()).is_err());
        assert!(tree.insert(path("f/x/y/z"), file()).is_err());
    }

    #[test]
    fn a_folder_with_something_in_it_does_not_become_a_link() {
        let mut tree = tree(&["d/f", "d-e"]);
        assert!(tree.insert(path("d"), node(Kind::Link("..".into()))).is_err());
        tree.insert(path("d"), node(Kind::Folder)).unwrap();
        tree.insert(path("e"), node(Kind::Folder)).unwrap();
        tree.insert(path("e"), node(Kind::Link("d".into()))).unwrap();
        assert_eq!(names(&tree), ["d", "d-e", "d/f", "e"]);
    }

    #[test]
    fn folders_that_nobody_mentioned_and_long_names_and_targets_count() {
        let limits = Limits { entries: 1000, ..Limits::default() };
        let deep = |first: usize| path(&format!("{first}{}", "/d".repeat(1500)));
        let mut tree = Tree::default();
        tree.insert(deep(1), file()).unwrap();
        assert_eq!(tree.check(&limits).unwrap_err().code(), "context-too-large");
        let long =
            |first: usize| path(&format!("{first:03}{}/f", format!("/{}", "x".repeat(250)).repeat(14)));
        let mut tree = Tree::default();
        let refused = (0..).find_map(|first| {
            tree.insert(long(first), file()).unwrap();
            tree.check(&limits).err()
        });
        assert!(refused.unwrap().to_string().contains("names in it are too long"));
        assert!(tree.text < 2 << 20, "{}", tree.text);
        let mut tree = Tree::default();
        tree.insert(path("l"), node(Kind::Link("x".repeat(2 << 20)))).unwrap();
        assert!(tree.check(&limits).is_err());
        tree = Tree::default();
        (0..10_000).for_each(|_| tree.insert(path("again-and-again"), file()).unwrap());
        assert_eq!(tree.text, 15, "a name that comes again costs nothing");
    }
}
