//! Archives of build contexts: strangers' bytes from the first to the last. The first byte chooses the recipe.
#![no_main]

use std::io::{Cursor, Read};

use deskgrid_contexts::{Archive, Context, Limits, Recipe};
use deskgrid_fuzz::{assert_stays_below, with_checksums};

const LIMITS: Limits = Limits { download: 1 << 20, unpacked: 1 << 20, entries: 200 };
/// Longest that a name, its folder entries and its header can get for one entry that is allowed.
const MOST_HEADERS: u64 = 200 * 12_000;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let Ok(archive) = Archive::scan(Cursor::new(with_checksums(bytes)), &LIMITS) else { return };
    let recipe = Recipe {
        dockerfile: (choice & 1 == 0).then_some("FROM scratch"),
        build_context: (choice & 2 != 0).then_some("sub"),
        filename: (choice & 4 != 0).then_some("a/Dockerfile"),
    };
    let Ok(context) = Context::new(Some(archive), &recipe) else { return };
    let size = context.size();
    assert!(size <= LIMITS.unpacked + MOST_HEADERS, "{size} bytes from a bounded archive");
    assert!(context.remarks().len() <= 51);
    assert_stays_below(context.dockerfile_name());
    let mut tar = Vec::new();
    if context.write_to(&mut tar).is_ok() {
        assert_eq!(tar.len() as u64, size, "the size is known before");
        assert_harmless(&tar);
    }
});

/// Everything in it stays in its folder, has no special permission, and lies below folders only.
fn assert_harmless(tar: &[u8]) {
    let mut seen = std::collections::HashMap::new();
    for entry in tar::Archive::new(tar).entries().expect("what we write is a tar") {
        let mut entry = entry.expect("what we write is a tar");
        let name = String::from_utf8(entry.path_bytes().into_owned()).expect("names are text");
        let name = name.trim_end_matches('/').to_owned();
        assert_stays_below(&name);
        assert!(entry.header().mode().is_ok_and(|mode| mode <= 0o777), "{name:?} has special permissions");
        let kind = entry.header().entry_type();
        let target =
            entry.link_name_bytes().map(|target| String::from_utf8(target.into_owned()).expect("text"));
        match kind {
            tar::EntryType::Regular | tar::EntryType::Directory => {}
            tar::EntryType::Symlink => {
                let target = target.expect("a link leads somewhere");
                assert!(!target.starts_with(['/', '\\']), "{name:?} leads to {target:?}");
            }
            tar::EntryType::Link => {
                let first = seen.get(&target.expect("a further name has a first one"));
                assert_eq!(first, Some(&tar::EntryType::Regular), "{name:?} is a name of nothing");
            }
            other => panic!("{name:?} is {other:?}"),
        }
        if let Some((above, _)) = name.rsplit_once('/') {
            assert!(
                seen.get(above).is_none_or(|it| *it == tar::EntryType::Directory),
                "{name:?} is behind something"
            );
        }
        std::io::copy(&mut entry.by_ref(), &mut std::io::sink()).expect("what we write is whole");
        assert!(seen.insert(name.clone(), kind).is_none(), "{name:?} comes twice");
    }
}
