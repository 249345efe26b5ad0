//! What of an archive a build is about: the folder, the Dockerfile, and what `.dockerignore` leaves of the rest.

use std::io::Write;

use deskgrid_job::FilePath;

use crate::ContextError;
use crate::archive::{Archive, Contents};
use crate::error::cut;
use crate::ignore::Ignore;
use crate::interest::Interest;
use crate::links::{End, Walker};
use crate::remarks::Remarks;
use crate::rewrite::{self, Plan};
use crate::tree::{Kind, Tree};

/// The name that a Dockerfile has when nobody says another.
const DOCKERFILE: &str = "Dockerfile";
/// Most names that an error suggests.
const MOST_SUGGESTED: usize = 5;

/// What a build block says of its context.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recipe<'a> {
    /// The text of the Dockerfile, which is written over the context's.
    pub dockerfile: Option<&'a str>,
    /// The folder of the context to build in.
    pub build_context: Option<&'a str>,
    /// The Dockerfile, below that folder.
    pub filename: Option<&'a str>,
}

/// A context that is ready to be sent.
#[derive(Debug)]
pub struct Context {
    archive: Option<Archive>,
    plan: Plan,
    dockerfile_name: FilePath,
    remarks: Vec<String>,
}

impl Context {
    /// What `recipe` wants of `archive`; without one, of an empty folder.
    ///
    /// Dockerfile and `.dockerignore` are sent even when they are ignored, as the docker command line does: the engine
    /// needs the first, and leaves them out of what `COPY` sees by the second. `<Dockerfile>.dockerignore` takes the
    /// place of `.dockerignore` when it is there.
    ///
    /// # Errors
    /// When folder or Dockerfile are not there, or a `.dockerignore` makes no sense.
    pub fn new(archive: Option<Archive>, recipe: &Recipe<'_>) -> Result<Self, ContextError> {
        let mut archive = archive;
        let Contents { mut tree, ignore_files, mut remarks } =
            archive.as_mut().map(|archive| std::mem::take(&mut archive.contents)).unwrap_or_default();
        if let Some(folder) = recipe.build_context {
            tree = build_folder(tree, folder)?;
        }
        let dockerfile_name = dockerfile_name(&tree, recipe)?;
        let interest = archive.as_ref().map(|archive| archive.interest.clone()).unwrap_or_default();
        let own_ignore = format!("{dockerfile_name}.dockerignore");
        let found = [own_ignore.as_str(), ".dockerignore"].into_iter().find_map(|name| {
            let position = file_at(&tree, name).transpose()?.map(|file| file.1);
            Some(position.map(|position| (name, position)))
        });
        if let Some((name, position)) = found.transpose()? {
            let text = ignore_files.get(&position).map(Vec::as_slice).unwrap_or_default();
            let needed = needed(&tree, &dockerfile_name, name)?;
            leave_out(&mut tree, &Ignore::parse(name, text)?, &needed, interest)?;
        }
        leave_out_links(&mut tree, &mut remarks)?;
        let plan = Plan::new(&tree, recipe.dockerfile.map(|text| (&dockerfile_name, text)))?;
        Ok(Self { archive, plan, dockerfile_name, remarks: remarks.sentences() })
    }

    /// The Dockerfile's name in what is sent.
    pub fn dockerfile_name(&self) -> &str {
        self.dockerfile_name.as_str()
    }

    /// Bytes that [`Self::write_to`] writes.
    pub fn size(&self) -> u64 {
        self.plan.size()
    }

    /// Sentences about what was left out because it could lead elsewhere, for the build log.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Writes the context as a plain tar, the same bytes for the same archive and recipe. Blocking.
    ///
    /// # Errors
    /// When `out` fails, or the archive turns out to be other than it says of itself. What was written is then useless.
    pub fn write_to(self, out: impl Write) -> Result<(), ContextError> {
        rewrite::write(self.archive, &self.plan, out)
    }
}

/// Reads a path of the build block; none for the root. Slashes at its ends and `.` mean nothing.
fn path_of(field: &'static str, text: &str) -> Result<Option<FilePath>, ContextError> {
    let parts: Vec<&str> = text.split('/').filter(|part| !["", "."].contains(part)).collect();
    if parts.is_empty() {
        return Ok(None);
    }
    let bad = |error: deskgrid_job::PathError| ContextError::BadPath {
        field,
        text: cut(text),
        problem: error.problem,
    };
    FilePath::new(&parts.join("/")).map(Some).map_err(bad)
}

fn build_folder(tree: Tree, text: &str) -> Result<Tree, ContextError> {
    let Some(path) = path_of("buildContext", text)? else { return Ok(tree) };
    let end = Walker::new(&tree).resolve(path.as_str())?;
    match end {
        End::Root => Ok(tree),
        End::At(path) if tree.get(&path).is_some_and(|node| node.kind == Kind::Folder) => {
            Ok(tree.folder(&path))
        }
        _ => Err(ContextError::NoSuchFolder { folder: cut(text), instead: suggested_folders(&tree) }),
    }
}

fn suggested_folders(tree: &Tree) -> String {
    let is_folder = |kind: &Kind| *kind == Kind::Folder;
    let names = tree.iter().filter(|(path, node)| is_folder(&node.kind) && !path.as_str().contains('/'));
    suggestion(names.map(|(path, _)| path.as_str()), "; its folders are ")
}

/// The file that `path` leads to: its name and its position.
fn file_at(tree: &Tree, path: &str) -> Result<Option<(FilePath, usize)>, ContextError> {
    let End::At(path) = Walker::new(tree).resolve(path)? else { return Ok(None) };
    match tree.get(&path).map(|node| &node.kind) {
        Some(Kind::File { position, .. }) => Ok(Some((path, *position))),
        _ => Ok(None),
    }
}

fn dockerfile_name(tree: &Tree, recipe: &Recipe<'_>) -> Result<FilePath, ContextError> {
    let wanted = recipe.filename.filter(|text| !text.trim().is_empty());
    let text = wanted.unwrap_or(DOCKERFILE);
    let no_file = || ContextError::NoDockerfile { wanted: cut(text), instead: suggested_dockerfiles(tree) };
    let path = path_of("filename", text)?.ok_or_else(no_file)?;
    if recipe.dockerfile.is_some() || file_at(tree, path.as_str())?.is_some() {
        return Ok(path);
    }
    // The docker command line is content with this spelling too.
    let small = DOCKERFILE.to_ascii_lowercase();
    if wanted.is_none() && file_at(tree, &small)?.is_some() {
        return path_of("filename", &small)?.ok_or_else(no_file);
    }
    Err(no_file())
}

fn suggested_dockerfiles(tree: &Tree) -> String {
    let is_dockerfile = |path: &FilePath| {
        path.segments().last().is_some_and(|name| name.to_ascii_lowercase().contains("dockerfile"))
    };
    let files =
        tree.iter().filter(|(path, node)| matches!(node.kind, Kind::File { .. }) && is_dockerfile(path));
    suggestion(files.map(|(path, _)| path.as_str()), ", such as ")
}

fn suggestion<'a>(names: impl Iterator<Item = &'a str>, before: &str) -> String {
    let names: Vec<_> = names.take(MOST_SUGGESTED).map(|name| format!("{:?}", cut(name))).collect();
    if names.is_empty() { String::new() } else { format!("{before}{}", names.join(", ")) }
}

/// What is sent although it is ignored: the Dockerfile and the ignore file, and what they lead to as links.
fn needed(tree: &Tree, dockerfile: &FilePath, ignore_file: &str) -> Result<Vec<FilePath>, ContextError> {
    let mut needed = Vec::new();
    for name in [dockerfile.as_str(), ignore_file, ".dockerignore"] {
        needed.extend(FilePath::new(name).ok());
        needed.extend(file_at(tree, name)?.map(|(path, _)| path));
    }
    Ok(needed)
}

fn leave_out(
    tree: &mut Tree,
    ignore: &Ignore,
    needed: &[FilePath],
    interest: Interest,
) -> Result<(), ContextError> {
    let mut verdicts = ignore.verdicts(interest);
    tree.retain(|path| Ok(!verdicts.excludes(path)? || needed.contains(path)))
}

/// Leaves out symbolic links that lead outside what is sent. Others stay, also those that lead to nothing.
fn leave_out_links(tree: &mut Tree, remarks: &mut Remarks) -> Result<(), ContextError> {
    let mut outside = Vec::new();
    let mut walker = Walker::new(tree);
    for (path, node) in tree.iter() {
        let Kind::Link(target) = &node.kind else { continue };
        if walker.link(path, target)? == End::Outside {
            let what = format!("a link to {:?}, which is outside of it", cut(target));
            remarks.left_out(path.as_str(), &what);
            outside.push(path.clone());
        }
    }
    if !outside.is_empty() {
        tree.retain(|path| Ok(outside.binary_search(path).is_err()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
