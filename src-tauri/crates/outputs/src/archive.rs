//! Lists the archive of `/outputs` that the engine sends, and hands on the bytes of its files. Unpacks nothing.

use std::collections::BTreeMap;
use std::io::{self, Read};

use deskgrid_job::{FilePath, OutputFile};
use tar::EntryType;

use crate::measured::Measure;
use crate::{Entry, Remarks, Tree};

/// Why an archive could not be collected.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError<E> {
    /// The engine's stream broke off or made no sense.
    #[error("the engine's archive of /outputs could not be read: {0}")]
    Broken(#[from] io::Error),
    /// Whoever keeps the files refused one.
    #[error("{0}")]
    NotKept(E),
}

/// Reads the whole archive. `keep` reads a regular file to its end and says what it was. Blocking.
///
/// Memory grows with the number of entries, not with the length that the archive claims for anything.
///
/// # Errors
/// When the stream breaks off, makes no sense or lacks its end, or when `keep` refuses. What was kept so far is then
/// no job's output.
pub fn collect<E>(
    archive: impl Read,
    mut keep: impl FnMut(&mut dyn Read) -> Result<OutputFile, E>,
) -> Result<Tree, ArchiveError<E>> {
    let mut tree = Tree::default();
    let mut hard_links = BTreeMap::new();
    let (measure, archive) = Measure::of(archive);
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let mut entry = entry?;
        measure.file_ends();
        let Some(path) = path_in_outputs(&entry.path_bytes(), &mut tree.unreadable) else { continue };
        let found = match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                measure.file_begins();
                let file = keep(&mut entry).map_err(ArchiveError::NotKept)?;
                measure.file_ends();
                Entry::File(file)
            }
            EntryType::Link => {
                hard_links.insert(path, link_target(&entry));
                continue;
            }
            EntryType::Symlink => Entry::Link(link_target(&entry)),
            EntryType::Directory => Entry::Folder,
            EntryType::Fifo => Entry::Special("a pipe"),
            // No engine sends these, and a few bytes of one stand for any number of zeros.
            EntryType::GNUSparse => Entry::Special("a sparse file in a form that Deskgrid does not read"),
            _ => Entry::Special("a device"),
        };
        tree.entries.insert(path, found);
    }
    // The reader is content with an archive that stops after a whole entry; the end mark tells that nothing is missing.
    if measure.is_over() {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    resolve_hard_links(&mut tree, hard_links);
    Ok(tree)
}

fn link_target(entry: &tar::Entry<'_, impl Read>) -> String {
    entry.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned()).unwrap_or_default()
}

/// The path below `/outputs`; the archive names everything below `outputs/`.
fn path_in_outputs(name: &[u8], unreadable: &mut Remarks) -> Option<FilePath> {
    let Ok(name) = std::str::from_utf8(name) else {
        let name = String::from_utf8_lossy(name);
        unreadable.add(|| format!("Deskgrid left out /{name}: its name is not UTF-8."));
        return None;
    };
    let below = name.trim_start_matches("./").strip_prefix("outputs")?;
    if !below.starts_with('/') || below.trim_matches('/').is_empty() {
        return None;
    }
    let below = below.trim_matches('/');
    let path = FilePath::new(below).ok();
    if path.is_none() {
        unreadable.add(|| format!("Deskgrid left out /outputs/{below}: its path cannot be used."));
    }
    path
}

/// A further name of a file comes as a link to its first name in the same archive.
fn resolve_hard_links(tree: &mut Tree, links: BTreeMap<FilePath, String>) {
    for (path, target) in links {
        let first = path_in_outputs(target.as_bytes(), &mut Remarks::default());
        match first.and_then(|first| tree.entries.get(&first).cloned()) {
            Some(entry) => drop(tree.entries.insert(path, entry)),
            None => {
                tree.unreadable.add(|| format!("Deskgrid left out /outputs/{path}: its file is missing."));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use deskgrid_job::BlobHash;

    use super::*;

    fn read(archive: &[u8]) -> Result<Tree, ArchiveError<io::Error>> {
        collect(archive, |content| {
            let size = io::copy(content, &mut io::sink())?;
            Ok(OutputFile { hash: BlobHash([1; 32]), size })
        })
    }

    fn packed(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, kind, text) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            if matches!(kind, EntryType::Link | EntryType::Symlink) {
                header.set_size(0);
                archive.append_link(&mut header, name, text).unwrap();
            } else {
                header.set_size(text.len() as u64);
                archive.append_data(&mut header, name, text.as_bytes()).unwrap();
            }
        }
        archive.into_inner().unwrap()
    }

    fn sample() -> Vec<u8> {
        let long = format!("outputs/{}", vec!["x".repeat(120); 3].join("/"));
        packed(&[
            ("outputs/", EntryType::Directory, ""),
            ("outputs/a", EntryType::Regular, "text"),
            ("outputs/hard", EntryType::Link, "outputs/a"),
            ("outputs/soft", EntryType::Symlink, "a"),
            ("outputs/pipe", EntryType::Fifo, ""),
            (&long, EntryType::Regular, &"y".repeat(700)),
        ])
    }

    #[test]
    fn files_and_both_kinds_of_links_to_them_are_outputs() {
        let outputs = read(&sample()).unwrap().into_outputs();
        let names: Vec<_> =
            outputs.files.keys().map(|path| path.as_str().chars().take(4).collect::<String>()).collect();
        assert_eq!(names, ["a", "hard", "soft", "xxxx"]);
        assert_eq!(outputs.remarks, ["Deskgrid left out /outputs/pipe: it is a pipe."]);
    }

    #[test]
    fn an_archive_that_was_cut_anywhere_is_broken_and_not_merely_shorter() {
        let whole = sample();
        let end = whole.len() - 1024;
        for length in 0..=end {
            assert!(matches!(read(&whole[..length]), Err(ArchiveError::Broken(_))), "cut at {length}");
        }
        assert!(read(&whole).is_ok());
    }

    #[test]
    fn only_what_lies_below_outputs_counts() {
        let archive = packed(&[
            ("outputsx/a", EntryType::Regular, "1"),
            ("outputs", EntryType::Regular, "2"),
            ("etc/passwd", EntryType::Regular, "3"),
            ("outputs/hard", EntryType::Link, "etc/passwd"),
        ]);
        let outputs = read(&archive).unwrap().into_outputs();
        assert_eq!(outputs.files.len(), 0);
        assert_eq!(outputs.remarks, ["Deskgrid left out /outputs/hard: its file is missing."]);
    }

    #[test]
    fn a_name_of_gigabytes_is_refused_before_it_is_in_memory() {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::GNULongName);
        header.set_size(8 << 30);
        header.set_cksum();
        let counted = std::cell::Cell::new(0_u64);
        let endless = io::repeat(b'n').take(8 << 30);
        let archive = header.as_bytes().chain(Counting(endless, &counted));
        let result = collect::<Infallible>(archive, |_| unreachable!("there is no file"));
        assert!(result.unwrap_err().to_string().contains("longer than a megabyte"));
        assert!(counted.get() <= 1 << 20, "{}", counted.get());
    }

    struct Counting<'a, R>(R, &'a std::cell::Cell<u64>);

    impl<R: Read> Read for Counting<'_, R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.read(buffer)?;
            self.1.set(self.1.get() + count as u64);
            Ok(count)
        }
    }

    #[test]
    fn a_sparse_file_that_claims_a_million_terabytes_is_left_out() {
        let mut header = tar::Header::new_gnu();
        header.set_path("outputs/hole").unwrap();
        header.set_entry_type(EntryType::GNUSparse);
        header.set_size(0);
        let claimed = b"77777777777\0";
        let gnu = header.as_gnu_mut().unwrap();
        gnu.realsize.copy_from_slice(claimed);
        gnu.sparse[0].offset.copy_from_slice(claimed);
        gnu.sparse[0].numbytes.copy_from_slice(b"00000000000\0");
        header.set_cksum();
        let archive = [header.as_bytes().as_slice(), &[0; 1024]].concat();
        let outputs = read(&archive).unwrap().into_outputs();
        assert!(outputs.files.is_empty() && outputs.remarks[0].contains("sparse"), "{:?}", outputs.remarks);
    }
}
