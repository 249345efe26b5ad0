//! The configuration of the docker command line: `config.json`, and behind a NUL the `meta.json` of the context.
#![no_main]

use std::collections::HashMap;
use std::path::Path;

use deskgrid_docker::discovery::candidates;
use deskgrid_docker::{Address, Platform, Surroundings};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (config, meta) = text.split_once('\0').unwrap_or((text, text));
    let (config, meta) = (config.to_owned(), meta.to_owned());
    let read = move |path: &Path| {
        assert!(path.starts_with("/home/me/.docker"), "{} was to be read", path.display());
        Some(if path.ends_with("config.json") { config.clone() } else { meta.clone() })
    };
    let around = Surroundings {
        platform: Platform::Linux,
        env: HashMap::new(),
        home: Some("/home/me".into()),
        uid: Some(1000),
        read: Box::new(read),
        exists: Box::new(|_| true),
    };
    let found = candidates(None, &around);
    assert!(!found.is_empty());
    for address in found.into_iter().map(|candidate| candidate.address).chain([Address::parse(text)]) {
        if !matches!(address, Address::Unusable { .. }) {
            assert_eq!(Address::parse(&address.to_string()), address, "an address reads back from its text");
        }
    }
});
