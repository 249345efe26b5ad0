//! The splitting of a command text, and the quoting of the command line program that has to undo it.
#![no_main]

use std::collections::BTreeMap;

use deskgrid_job::Command;
use deskgrid_wire::command::split;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let env = BTreeMap::from(
        [("A", "x y"), ("B", ""), ("a.b", "$A"), ("1", "'\"")]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    match split(text, &env) {
        Some(Command::Shell(whole)) => assert_eq!(whole, text),
        Some(Command::Words(words)) => assert_splits_back(words),
        None => {}
    }
    assert_splits_back(text.split('|').map(str::to_owned).collect());
});

fn assert_splits_back(words: Vec<String>) {
    let joined = deskgrid_job::shell::join(&words);
    assert_eq!(split(&joined, &BTreeMap::new()), Some(Command::Words(words)), "{joined:?}");
}
