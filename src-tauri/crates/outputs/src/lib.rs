//! What a container left in `/outputs`: from a listing of files, links and other things to the job's outputs.
//!
//! Everything here is a container's word and is not believed. A link counts as the file it leads to when that lies in
//! `/outputs` too; anything else is named and left out, so that no job can make us read a file of this computer.
//! This crate opens no file and writes none: [`archive`] reads the engine's archive and hands the bytes of each file
//! to its caller. Who walks a folder instead makes the same [`Tree`].

pub mod archive;
mod measured;
mod remarks;

use std::collections::{BTreeMap, VecDeque};

use deskgrid_job::{FilePath, OutputFile};

pub use remarks::Remarks;

/// As many links as Linux follows for one path.
const MOST_LINKS: usize = 40;
/// Steps that all links of a job may take together: seconds of work. Ten thousand honest links take a tenth of it.
const MOST_STEPS: usize = 2_000_000;
/// Most characters of a link that a remark repeats.
const SHOWN: usize = 200;
/// Where outputs are in the container.
const OUTPUTS: &str = "/outputs";

/// One thing below `/outputs`, by its path there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A regular file, stored already.
    File(OutputFile),
    /// A symbolic link and what it says.
    Link(String),
    /// A folder.
    Folder,
    /// A device, pipe or socket, in words.
    Special(&'static str),
}

/// Everything below `/outputs`.
#[derive(Debug, Default)]
pub struct Tree {
    /// What is there.
    pub entries: BTreeMap<FilePath, Entry>,
    /// Things whose names or contents could not be taken, in words.
    pub unreadable: Remarks,
}

/// The outputs of a job and what has to be said about the rest.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    /// Files and links to files, by their path below `/outputs`.
    pub files: BTreeMap<FilePath, OutputFile>,
    /// A bounded number of sentences.
    pub remarks: Vec<String>,
}

impl Tree {
    /// Files and resolved links, and a remark for each thing left out. Takes up to seconds where a container wants it to.
    pub fn into_outputs(self) -> Outputs {
        let mut files = BTreeMap::new();
        let mut remarks = Remarks::default();
        let mut steps = MOST_STEPS;
        for (path, entry) in &self.entries {
            match entry {
                Entry::Folder => {}
                Entry::File(file) => drop(files.insert(path.clone(), *file)),
                Entry::Special(what) => remarks.add(|| left_out(path, what)),
                Entry::Link(target) => match self.follow(path, target, &mut steps) {
                    Ok(file) => drop(files.insert(path.clone(), file)),
                    Err(why) => remarks.add(|| left_out(path, &why)),
                },
            }
        }
        remarks.append(self.unreadable);
        Outputs { files, remarks: remarks.into_sentences() }
    }

    /// The file that the link `from` leads to, as the container would see it.
    fn follow(&self, from: &FilePath, target: &str, steps: &mut usize) -> Result<OutputFile, String> {
        let mut place: Vec<&str> = from.segments().collect();
        place.pop();
        let mut links = 1;
        let mut ahead: VecDeque<&str> = VecDeque::new();
        step_into(target, target, &mut place, &mut ahead, steps)?;
        while let Some(segment) = ahead.pop_front() {
            match segment {
                ".." if place.pop().is_none() => return Err(leads_outside(target)),
                "" | "." | ".." => continue,
                name => place.push(name),
            }
            match self.at(&place) {
                Some(Entry::Link(next)) if links < MOST_LINKS => {
                    links += 1;
                    place.pop();
                    step_into(next, target, &mut place, &mut ahead, steps)?;
                }
                Some(Entry::Link(_)) => {
                    return Err(format!("{}, which leads in a circle", a_link_to(target)));
                }
                Some(Entry::File(file)) if ahead.is_empty() => return Ok(*file),
                Some(Entry::Folder) => {}
                Some(Entry::Special(what)) => return Err(format!("{}, which is {what}", a_link_to(target))),
                Some(Entry::File(_)) | None => {
                    return Err(format!("{}, which does not exist", a_link_to(target)));
                }
            }
        }
        Err(format!("{}, which is a folder", a_link_to(target)))
    }

    fn at(&self, place: &[&str]) -> Option<&Entry> {
        self.entries.get(&FilePath::new(&place.join("/")).ok()?)
    }
}

/// Puts the way that a link describes in front of what is still ahead.
fn step_into<'a>(
    link: &'a str,
    shown: &str,
    place: &mut Vec<&'a str>,
    ahead: &mut VecDeque<&'a str>,
    steps: &mut usize,
) -> Result<(), String> {
    let mut way = link;
    if link.starts_with('/') {
        place.clear();
        let inside = link.trim_start_matches('/').strip_prefix(&OUTPUTS[1..]);
        let inside = inside.filter(|rest| rest.is_empty() || rest.starts_with('/'));
        way = inside.ok_or_else(|| leads_outside(shown))?;
    }
    for segment in way.split('/').rev() {
        *steps =
            steps.checked_sub(1).ok_or_else(|| format!("{}, one too many in this job", a_link_to(shown)))?;
        ahead.push_front(segment);
    }
    Ok(())
}

fn leads_outside(target: &str) -> String {
    format!("{}, which lies outside {OUTPUTS}", a_link_to(target))
}

fn a_link_to(target: &str) -> String {
    format!("a link to {:?}", target.chars().take(SHOWN).collect::<String>())
}

fn left_out(path: &FilePath, what: &str) -> String {
    format!("Deskgrid left out {OUTPUTS}/{path}: it is {what}.")
}

#[cfg(test)]
mod tests {
    use deskgrid_job::BlobHash;

    use super::*;

    fn path(text: &str) -> FilePath {
        FilePath::new(text).unwrap()
    }

    fn file(number: u8) -> OutputFile {
        OutputFile { hash: BlobHash([number; 32]), size: u64::from(number) }
    }

    fn link(target: &str) -> Entry {
        Entry::Link(target.to_owned())
    }

    fn outputs(entries: &[(&str, Entry)]) -> Outputs {
        let entries = entries.iter().map(|(name, entry)| (path(name), entry.clone())).collect();
        Tree { entries, unreadable: Remarks::default() }.into_outputs()
    }

    /// The file that the one link `from` leads to, or the remark about it.
    fn followed(from: &str, target: &str) -> Result<OutputFile, String> {
        let mut found = outputs(&[
            ("a", Entry::Folder),
            ("a/b", Entry::Folder),
            ("a/b/file", Entry::File(file(1))),
            ("top", Entry::File(file(2))),
            ("round", link("round")),
            ("folder-link", link("a/b")),
            ("pipe", Entry::Special("a pipe")),
            (from, link(target)),
        ]);
        found.files.remove(&path(from)).ok_or_else(|| {
            let about =
                found.remarks.into_iter().find(|remark| remark.contains(&format!("/outputs/{from}:")));
            about.expect("a link is a file or has a remark")
        })
    }

    #[test]
    fn a_link_to_a_file_in_outputs_counts_as_that_file() {
        for (from, target) in [
            ("l", "a/b/file"),
            ("a/l", "b/file"),
            ("a/b/l", "../../a/b/file"),
            ("l", "/outputs/a/b/file"),
            ("l", "//outputs//a/./b/file"),
            ("l", "folder-link/file"),
            ("l", "folder-link/../b/file"),
        ] {
            assert_eq!(followed(from, target), Ok(file(1)), "{from} -> {target}");
        }
    }

    #[test]
    fn a_link_that_leaves_outputs_is_named_and_left_out() {
        for target in
            ["/etc/passwd", "../x", "a/../../etc/passwd", "/outputs/../etc/passwd", "/outputsx/top", "/"]
        {
            let remark = followed("l", target).unwrap_err();
            assert!(remark.contains("lies outside") && remark.contains("/outputs/l"), "{target}: {remark}");
        }
    }

    #[test]
    fn dangling_circular_and_folder_links_are_named_and_left_out() {
        for (target, why) in [
            ("missing", "does not exist"),
            ("top/file", "does not exist"),
            ("round", "circle"),
            ("a", "is a folder"),
            ("/outputs", "is a folder"),
            ("pipe", "is a pipe"),
        ] {
            let remark = followed("l", target).unwrap_err();
            assert!(remark.contains(why), "{target}: {remark}");
        }
    }

    #[test]
    fn pipes_and_devices_are_named_and_left_out() {
        let found = outputs(&[("p", Entry::Special("a pipe")), ("f", Entry::File(file(3)))]);
        assert_eq!(found.files.len(), 1);
        assert_eq!(found.remarks, ["Deskgrid left out /outputs/p: it is a pipe."]);
    }

    #[test]
    fn thousands_of_strange_things_do_not_flood_the_log() {
        let names: Vec<_> = (0..1000).map(|number| format!("p{number}")).collect();
        let entries: Vec<_> = names.iter().map(|name| (name.as_str(), Entry::Special("a pipe"))).collect();
        let remarks = outputs(&entries).remarks;
        assert_eq!(remarks.len(), 51);
        assert!(remarks.last().is_some_and(|last| last.contains("950 more")));
    }

    #[test]
    fn a_tree_that_is_made_to_cost_time_costs_a_bounded_number_of_steps() {
        let detour = "d/../".repeat(800);
        let mut entries = vec![(path("d"), Entry::Folder), (path("f"), Entry::File(file(1)))];
        entries.push((path("l0"), Entry::Link("f".to_owned())));
        for number in 1..3000 {
            let next = (number - 1) % 39;
            entries.push((path(&format!("l{number}")), Entry::Link(format!("{detour}l{next}"))));
        }
        let tree = Tree { entries: entries.into_iter().collect(), unreadable: Remarks::default() };
        let outputs = tree.into_outputs();
        assert!(outputs.files.contains_key(&path("l0")));
        assert!(
            outputs.remarks.iter().any(|remark| remark.contains("one too many")),
            "{:?}",
            outputs.remarks
        );
    }
}
