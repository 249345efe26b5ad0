//! The origins of pages, as browsers send them and as people write them.
#![no_main]

use deskgrid_sites::{Origin, Sites, Verdict};

/// Written down once more, so that a fourth one does not come in unseen.
const SHIPPED: [&str; 3] = ["https://container.mtfm.io", "https://metapage.io", "https://app.metapage.io"];

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(origin) = Origin::of_browser(text) {
        assert_eq!(origin.as_str(), text, "nothing is put right");
        assert_canonical(&origin);
    }
    if let Ok(origin) = Origin::of_person(text) {
        assert_canonical(&origin);
    }
});

/// An origin that stands for one site only, and that is let in by being written exactly so.
fn assert_canonical(origin: &Origin) {
    let text = origin.as_str();
    assert!(!text.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii_graphic()), "{text:?}");
    assert!(!text.ends_with('/') && text != "null", "{text:?}");
    assert_eq!(Origin::of_browser(text).as_ref(), Ok(origin));
    assert_eq!(Origin::of_person(text).as_ref(), Ok(origin));
    let is_shipped = SHIPPED.contains(&text);
    assert_eq!(Sites::default().verdict(origin) == Verdict::Allowed, is_shipped, "{text:?}");
    let listed = Sites::new(Vec::new(), vec![origin.clone()]);
    assert_eq!(listed.verdict(origin), Verdict::Allowed);
}
