//! What pages write as the `context` of a build.
#![no_main]

use deskgrid_contexts::{ContextError, Source};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let parsed = Source::parse(text, |_| None);
    let shown = match &parsed {
        Ok(Source::Remote(remote)) => {
            let again = Source::parse(&remote.cache_key().replace("git ", ""), |_| None);
            let is_secret = remote.cache_key().ends_with("(with a password)");
            assert!(is_secret || again.is_ok(), "{:?} is filed under what is no address", remote.cache_key());
            format!("{} {parsed:?}", remote.shown())
        }
        Ok(Source::Own(_)) => unreachable!("nothing is ours"),
        Err(ContextError::BadAddress { shown, .. }) => format!("{shown} {parsed:?}"),
        Err(other) => panic!("{other:?} is not about an address"),
    };
    assert!(shown.chars().count() < 4000, "a text that nobody reads");
    // A secret that is long enough not to be there by chance.
    if text.starts_with("https://tok3ntok3n@") && !text[19..].contains("tok3n") {
        assert!(!shown.contains("tok3n"), "{shown}");
    }
});
