//! The name of an image. A page chooses it, and it becomes part of a path of the engine's API.
#![no_main]

// Nothing outside its crate needs the reader, which stands alone in this file but for its error.
#[allow(dead_code, reason = "the target uses a part of it")]
#[path = "../../src-tauri/crates/docker/src/reference.rs"]
mod reference;

mod error {
    pub(crate) use deskgrid_docker::{EngineError, ImageProblem};
}

use reference::Reference;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(image) = Reference::parse(text) else { return };
    let full = image.full();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    assert!(full.bytes().all(is_plain), "{full:?}");
    assert!(!full.contains("..") || image.version().contains(".."), "{full:?} leads out of its place");
    assert!(!full.contains("//") && !full.starts_with('/') && full.len() < 500, "{full:?}");
    assert_eq!(Reference::parse(&full), Ok(image), "{full:?} is the same image");
});
