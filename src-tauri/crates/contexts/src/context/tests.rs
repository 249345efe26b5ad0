//! Archives of all kinds through to the tar that is sent.

use std::io::{Cursor, Read as _, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;
use crate::Limits;

const LIMITS: Limits = Limits { download: 1 << 20, unpacked: 1 << 20, entries: 100 };

/// A tar in the making, with names that no honest program would write.
struct Tar(Builder<Vec<u8>>);

impl Tar {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn add(mut self, kind: EntryType, mode: u32, name: &[u8], link: &[u8], content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    fn file(self, name: &str, content: &str) -> Self {
        self.add(EntryType::Regular, 0o644, name.as_bytes(), b"", content.as_bytes())
    }

    fn link(self, name: &str, target: &str) -> Self {
        self.add(EntryType::Symlink, 0o777, name.as_bytes(), target.as_bytes(), b"")
    }

    fn hard(self, name: &str, target: &str) -> Self {
        self.add(EntryType::Link, 0o644, name.as_bytes(), target.as_bytes(), b"")
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

fn tarred(files: &[(&str, &str)]) -> Vec<u8> {
    files.iter().fold(Tar::new(), |tar, (name, content)| tar.file(name, content)).bytes()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn zipped(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default().unix_permissions(0o640)).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn scan(bytes: Vec<u8>) -> Result<Archive, ContextError> {
    Archive::scan(Cursor::new(bytes), &LIMITS)
}

fn context(bytes: Vec<u8>, recipe: &Recipe<'_>) -> Result<Context, ContextError> {
    Context::new(Some(scan(bytes)?), recipe)
}

const GIVEN: Recipe<'_> = Recipe { dockerfile: Some("FROM given"), build_context: None, filename: None };

/// What is sent, one line for each thing: kind, permissions, name, and content or target.
fn sent(context: Context) -> Vec<String> {
    let size = context.size();
    let mut bytes = Vec::new();
    context.write_to(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, size, "the size is known before");
    let mut lines = Vec::new();
    for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        let (kind, mode) = (header.entry_type(), header.mode().unwrap());
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let link = entry.link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned());
        let mut text = link.unwrap_or_default();
        entry.read_to_string(&mut text).unwrap();
        let kind = char::from(kind.as_byte());
        lines.push(format!("{kind} {mode:o} {name} {text}").trim_end().to_owned());
    }
    lines
}

/// Names of what is sent.
fn names(bytes: Vec<u8>, recipe: &Recipe<'_>) -> Vec<String> {
    let lines = sent(context(bytes, recipe).unwrap());
    lines.iter().map(|line| line.split(' ').nth(2).unwrap().to_owned()).collect()
}

fn refused(bytes: Vec<u8>) -> (&'static str, String) {
    let error = context(bytes, &GIVEN).unwrap_err();
    (error.code(), error.to_string())
}

#[test]
fn gzip_tar_and_zip_wrapped_or_bare_are_the_same_context() {
    let bare = [("Dockerfile", "FROM x"), ("a/b", "b")];
    let wrapped = [("top/Dockerfile", "FROM x"), ("top/a/b", "b")];
    for files in [bare, wrapped] {
        for bytes in [tarred(&files), gzipped(&tarred(&files))] {
            let context = context(bytes, &Recipe::default()).unwrap();
            assert_eq!(context.dockerfile_name(), "Dockerfile");
            assert_eq!(sent(context), ["5 755 a/", "0 644 Dockerfile FROM x", "0 644 a/b b"]);
        }
        let context = context(zipped(&files), &Recipe::default()).unwrap();
        assert_eq!(sent(context), ["5 755 a/", "0 640 Dockerfile FROM x", "0 640 a/b b"]);
    }
}

#[test]
fn a_gzip_of_several_members_is_read_to_its_end() {
    let tar = tarred(&[("a", "1"), ("b", "2")]);
    let bytes = [gzipped(&tar[..700]), gzipped(&tar[700..])].concat();
    assert_eq!(names(bytes, &GIVEN), ["Dockerfile", "a", "b"]);
}

#[test]
fn what_is_no_archive_is_named_by_its_looks() {
    for (bytes, looks) in [
        (&b"<!DOCTYPE html><html>"[..], "web page"),
        (b"", "empty"),
        (b"{\"message\": \"Not Found\"}", "a text"),
        (b"BZh91AY", "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"hello", "unknown"),
    ] {
        let (code, words) = refused(bytes.to_vec());
        assert_eq!(code, "context-not-an-archive");
        assert!(words.contains(looks), "{words}");
    }
}

#[test]
fn damaged_archives_are_an_error() {
    let gzip = gzipped(&tarred(&[("a", "1")]));
    let mut wrong_sum = tarred(&[("a", "1")]);
    wrong_sum[0] = b'b';
    let zip = zipped(&[("a", "1")]);
    let tar = tarred(&[("a", "1")]);
    for bytes in [gzip[..gzip.len() - 9].to_vec(), wrong_sum, tar[..513].to_vec(), zip[..40].to_vec()] {
        assert_eq!(refused(bytes).0, "context-broken");
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused_in_every_kind_of_archive() {
    let long = "x".repeat(60);
    for name in ["../a", "a/../b", "/etc/passwd", "a/..", "..", "C:/x", "c:x", "..\\a", "a\\..\\..\\b", "\\x"]
    {
        for bytes in [tarred(&[(&long, ""), (name, "")]), zipped(&[(&long, ""), (name, "")])] {
            let (code, words) = refused(bytes);
            assert_eq!(code, "context-unsafe", "{name}");
            assert!(words.contains("Nothing of it was used"), "{words}");
        }
    }
    assert_eq!(refused(zipped(&[("a\0b", "")])).0, "context-unsafe");
    let mut long_name = Tar::new();
    let mut header = Header::new_gnu();
    header.set_size(1);
    long_name.0.append_data(&mut header, "n".repeat(300), &b"x"[..]).unwrap();
    assert_eq!(refused(long_name.bytes()).0, "context-unsafe");
}

#[test]
fn nothing_is_written_behind_a_link() {
    let bytes = Tar::new().link("l", "/etc").file("l/passwd", "x").bytes();
    assert_eq!(refused(bytes).0, "context-unsafe");
}

#[test]
fn links_inside_stay_and_links_that_lead_outside_are_left_out_and_named() {
    let tar = Tar::new().file("a/f", "").link("in", "a/f").link("a/up", "../in").link("abs", "/etc/passwd");
    let tar = tar.link("out", "a/../../x").link("a/chain", "../abs").link("dangling", "nothing");
    let context = context(tar.bytes(), &GIVEN).unwrap();
    assert_eq!(context.remarks().len(), 3);
    assert!(context.remarks()[1].contains("\"abs\"") && context.remarks()[1].contains("/etc/passwd"));
    let lines = sent(context);
    assert_eq!(
        lines,
        [
            "5 755 a/",
            "2 777 a/up ../in",
            "2 777 dangling nothing",
            "2 777 in a/f",
            "0 644 Dockerfile FROM given",
            "0 644 a/f"
        ]
    );
}

#[test]
fn hard_links_are_further_names_of_files_in_the_archive_only() {
    let tar = Tar::new().file("top/a", "x").hard("top/b", "top/a").hard("top/c", "top/b");
    assert_eq!(sent(context(tar.bytes(), &GIVEN).unwrap())[1..], ["0 644 a x", "1 644 b a", "1 644 c a"]);
    for target in ["/etc/passwd", "../a", "nothing", "d", "l", ""] {
        let tar = Tar::new().file("d/f", "").link("l", "d/f").hard("h", target);
        assert_eq!(refused(tar.bytes()).0, "context-unsafe", "{target}");
    }
}

#[test]
fn a_hard_link_whose_first_name_is_not_sent_has_the_bytes() {
    let tar = Tar::new()
        .file("sub/.dockerignore", "a")
        .file("sub/a", "x")
        .hard("sub/b", "sub/a")
        .hard("other", "sub/a");
    let recipe = Recipe { build_context: Some("sub"), ..GIVEN };
    assert_eq!(sent(context(tar.bytes(), &recipe).unwrap())[2..], ["0 644 b x"]);
}

#[test]
fn devices_and_pipes_and_names_that_are_no_text_are_left_out_and_named() {
    let mut tar = Tar::new().file("a", "");
    for (kind, name) in [(EntryType::Char, "c"), (EntryType::Block, "b"), (EntryType::Fifo, "p")] {
        tar = tar.add(kind, 0o666, name.as_bytes(), b"", b"");
    }
    let tar = tar.add(EntryType::Regular, 0o644, b"\xff\xfe", b"", b"");
    let context = context(tar.bytes(), &GIVEN).unwrap();
    assert_eq!(context.remarks().len(), 4, "{:?}", context.remarks());
    assert_eq!(sent(context), ["0 644 Dockerfile FROM given", "0 644 a"]);
}

#[test]
fn special_permissions_are_dropped_and_the_executable_bit_stays() {
    let tar = Tar::new().add(EntryType::Regular, 0o6755, b"run", b"", b"").add(
        EntryType::Directory,
        0o1777,
        b"d",
        b"",
        b"",
    );
    assert_eq!(
        sent(context(tar.bytes(), &GIVEN).unwrap()),
        ["5 777 d/", "0 644 Dockerfile FROM given", "0 755 run"]
    );
}

#[test]
fn of_two_entries_with_one_name_the_later_counts() {
    assert_eq!(
        sent(context(tarred(&[("a", "1"), ("b", ""), ("./a", "2")]), &GIVEN).unwrap())[1..],
        ["0 644 b", "0 644 a 2"]
    );
}

#[test]
fn bombs_are_refused_at_the_limit() {
    let zeros = "\0".repeat(2 << 20);
    let many: Vec<_> = (0..200).map(|number| format!("f{number}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "")).collect();
    let deep = format!("{}f", "d/".repeat(45));
    let deeper: Vec<_> = (0..3).map(|number| format!("{number}/{deep}")).collect();
    let deeper: Vec<_> = deeper.iter().map(|name| (name.as_str(), "")).collect();
    for bytes in [
        gzipped(&tarred(&[("bomb", &zeros)])),
        gzipped(zeros.as_bytes()),
        zipped(&[("bomb", &zeros)]),
        tarred(&many),
        zipped(&many),
        tarred(&deeper),
    ] {
        let (code, words) = refused(bytes);
        assert_eq!(code, "context-too-large");
        assert!(words.contains("the limit is"), "{words}");
    }
}

#[test]
fn a_sparse_file_counts_with_the_zeros_it_stands_for() {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GNUSparse);
    header.set_size(0);
    header.as_gnu_mut().unwrap().realsize.copy_from_slice(b"77777777777\0");
    header.as_old_mut().name[..1].copy_from_slice(b"s");
    header.set_cksum();
    let mut tar = Builder::new(Vec::new());
    tar.append(&header, std::io::empty()).unwrap();
    let code = refused(tar.into_inner().unwrap()).0;
    assert!(["context-too-large", "context-broken"].contains(&code), "{code}");
}

#[test]
fn a_name_that_is_said_to_be_gigabytes_long_costs_no_memory() {
    let name = "n".repeat(2 << 20);
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(name.len() as u64);
    header.as_old_mut().name[..1].copy_from_slice(b"L");
    header.set_cksum();
    let mut tar = Builder::new(Vec::new());
    tar.append(&header, name.as_bytes()).unwrap();
    let limits = Limits { unpacked: 1 << 30, ..LIMITS };
    let error = Archive::scan(Cursor::new(tar.into_inner().unwrap()), &limits).unwrap_err();
    assert!(error.to_string().contains("longer than a megabyte"), "{error}");
}

#[test]
fn a_zip_whose_sizes_lie_is_an_error_when_it_is_sent() {
    for lie in [2_u32, 9] {
        let mut bytes = zipped(&[("a", "12345")]);
        let directory = bytes.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
        bytes[directory + 24..directory + 28].copy_from_slice(&lie.to_le_bytes());
        let error = context(bytes, &GIVEN).unwrap().write_to(std::io::sink()).unwrap_err();
        assert_eq!(error.code(), "context-broken", "{error}");
    }
}

#[test]
fn a_zip_with_a_password_is_refused_and_says_so() {
    let mut bytes = zipped(&[("a", "12345")]);
    let directory = bytes.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    bytes[directory + 8] |= 1;
    bytes[6] |= 1;
    let (code, words) = refused(bytes);
    assert_eq!(code, "context-broken");
    assert!(words.contains("password"), "{words}");
}

#[test]
fn links_names_of_windows_and_large_fields_of_a_zip_are_understood() {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    zip.start_file("d\\f", options.large_file(true)).unwrap();
    zip.write_all(b"x").unwrap();
    zip.add_symlink("l", "d/f", options).unwrap();
    zip.add_symlink("out", "../f", options).unwrap();
    zip.start_file("__MACOSX/d/._f", options).unwrap();
    let context = context(zip.finish().unwrap().into_inner(), &GIVEN).unwrap();
    assert_eq!(context.remarks().len(), 1);
    assert_eq!(sent(context), ["5 755 d/", "2 777 l d/f", "0 644 Dockerfile FROM given", "0 644 d/f x"]);
}

#[test]
fn the_given_dockerfile_is_written_over_that_of_the_context() {
    let files = [("Dockerfile", "FROM old"), ("docker/Dockerfile", "FROM other")];
    let lines = sent(context(tarred(&files), &GIVEN).unwrap());
    assert_eq!(lines, ["5 755 docker/", "0 644 Dockerfile FROM given", "0 644 docker/Dockerfile FROM other"]);
    let recipe = Recipe { filename: Some("./docker/Dockerfile"), ..GIVEN };
    let given = context(tarred(&files), &recipe).unwrap();
    assert_eq!(given.dockerfile_name(), "docker/Dockerfile");
    assert_eq!(sent(given)[1..], ["0 644 docker/Dockerfile FROM given", "0 644 Dockerfile FROM old"]);
}

#[test]
fn a_dockerfile_alone_is_a_context() {
    let context = Context::new(None, &GIVEN).unwrap();
    assert_eq!(sent(context), ["0 644 Dockerfile FROM given"]);
    assert_eq!(Context::new(None, &Recipe::default()).unwrap_err().code(), "context-no-dockerfile");
}

#[test]
fn a_given_dockerfile_finds_no_way_through_links_files_and_folders() {
    for filename in ["l/Dockerfile", "f/Dockerfile", "d"] {
        let tar = Tar::new().file("f", "").file("d/x", "").link("l", "d");
        let error = context(tar.bytes(), &Recipe { filename: Some(filename), ..GIVEN }).unwrap_err();
        assert_eq!(error.code(), "context-bad-path", "{filename}");
    }
}

#[test]
fn the_build_folder_is_all_that_is_sent() {
    let files = [("a/sub/Dockerfile", "FROM x"), ("a/sub/f", ""), ("b", "")];
    for folder in ["a/sub", "/a/sub/", "./a//sub"] {
        let recipe = Recipe { build_context: Some(folder), ..Recipe::default() };
        assert_eq!(names(tarred(&files), &recipe), ["Dockerfile", "f"], "{folder}");
    }
    for root in ["", ".", "/"] {
        let recipe = Recipe { build_context: Some(root), ..GIVEN };
        assert_eq!(names(tarred(&files), &recipe).len(), 6, "{root}");
    }
}

#[test]
fn wrong_folders_and_files_are_named_with_what_is_there() {
    let files = [("docker/Dockerfile", "FROM x"), ("b", "")];
    let error = |build_context, filename| {
        let recipe = Recipe { build_context, filename, dockerfile: None };
        let error = context(tarred(&files), &recipe).unwrap_err();
        (error.code(), error.to_string())
    };
    let (code, words) = error(None, None);
    assert_eq!(code, "context-no-dockerfile");
    assert!(words.contains("such as \"docker/Dockerfile\""), "{words}");
    let (code, words) = error(Some("dokcer"), None);
    assert_eq!(code, "context-no-such-folder");
    assert!(words.contains("its folders are \"docker\""), "{words}");
    assert_eq!(error(Some("b"), None).0, "context-no-such-folder");
    assert_eq!(error(Some("../x"), None).0, "context-bad-path");
    assert_eq!(error(None, Some("../Dockerfile")).0, "context-bad-path");
    assert_eq!(error(None, Some("docker")).0, "context-no-dockerfile");
}

#[test]
fn a_small_dockerfile_and_one_behind_a_link_are_found() {
    let small = context(tarred(&[("dockerfile", "FROM x"), ("a", "")]), &Recipe::default()).unwrap();
    assert_eq!(small.dockerfile_name(), "dockerfile");
    let tar = Tar::new().file("docker/base", "FROM x").link("Dockerfile", "docker/base");
    assert!(context(tar.bytes(), &Recipe::default()).is_ok());
}

#[test]
fn ignored_files_are_not_sent_but_dockerfile_and_ignore_file_are() {
    let files =
        [(".dockerignore", "*\n!keep/x"), ("Dockerfile", ""), ("a", ""), ("keep/x", ""), ("keep/y", "")];
    for bytes in [tarred(&files), zipped(&files)] {
        assert_eq!(names(bytes, &Recipe::default()), ["keep/", ".dockerignore", "Dockerfile", "keep/x"]);
    }
}

#[test]
fn an_ignore_file_of_the_dockerfile_comes_first_and_a_link_to_one_counts() {
    let files = [
        ("x.Dockerfile", ""),
        ("x.Dockerfile.dockerignore", "a"),
        (".dockerignore", "b"),
        ("a", ""),
        ("b", ""),
    ];
    let recipe = Recipe { filename: Some("x.Dockerfile"), ..Recipe::default() };
    let sent = names(tarred(&files), &recipe);
    assert!(!sent.contains(&"a".to_owned()) && sent.contains(&"b".to_owned()), "{sent:?}");
    let tar =
        Tar::new().file(".gitignore", "a\n.gitignore").link(".dockerignore", ".gitignore").file("a", "");
    assert_eq!(names(tar.bytes(), &GIVEN), [".dockerignore", "Dockerfile", ".gitignore"]);
}

#[test]
fn the_ignore_file_of_the_build_folder_counts() {
    let files = [(".dockerignore", "a"), ("sub/.dockerignore", "b"), ("sub/a", ""), ("sub/b", "")];
    let recipe = Recipe { build_context: Some("sub"), ..GIVEN };
    assert_eq!(names(tarred(&files), &recipe), ["Dockerfile", ".dockerignore", "a"]);
}

#[test]
fn the_same_archive_gives_the_same_bytes() {
    let write = || {
        let mut bytes = Vec::new();
        context(zipped(&[("b", "1"), ("a/c", "2")]), &GIVEN).unwrap().write_to(&mut bytes).unwrap();
        bytes
    };
    assert_eq!(write(), write());
}

#[test]
fn long_names_and_their_size_are_as_they_were() {
    let (name, target) = (format!("{}/{}", "d".repeat(120), "f".repeat(200)), "t".repeat(150));
    let mut tar = Tar::new();
    let mut header = Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o600);
    tar.0.append_data(&mut header, &name, &b"x"[..]).unwrap();
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Symlink);
    header.set_size(0);
    tar.0.append_link(&mut header, "l", &target).unwrap();
    let lines = sent(context(tar.bytes(), &GIVEN).unwrap());
    assert!(
        lines.contains(&format!("0 600 {name} x")) && lines.contains(&format!("2 777 l {target}")),
        "{lines:?}"
    );
}

#[test]
fn reading_ends_when_nobody_waits_any_more() {
    let files = tarred(&[("Dockerfile", "FROM x"), (".dockerignore", "a"), ("a", "b")]);
    let zip = zipped(&[("Dockerfile", "FROM x")]);
    for bytes in [files.clone(), gzipped(&files), zip] {
        let (interest, waiter) = crate::Interest::new();
        drop(waiter);
        let error = Archive::scan_while(Cursor::new(bytes), &LIMITS, interest).unwrap_err();
        assert_eq!(error.code(), "context-unwanted");
    }
    let scanned = || {
        let (interest, waiter) = crate::Interest::new();
        (Archive::scan_while(Cursor::new(files.clone()), &LIMITS, interest).unwrap(), waiter)
    };
    let (archive, waiter) = scanned();
    drop(waiter);
    assert_eq!(Context::new(Some(archive), &Recipe::default()).unwrap_err().code(), "context-unwanted");
    let (archive, waiter) = scanned();
    let context = Context::new(Some(archive), &Recipe::default()).unwrap();
    drop(waiter);
    assert_eq!(context.write_to(Vec::new()).unwrap_err().code(), "context-unwanted");
}
