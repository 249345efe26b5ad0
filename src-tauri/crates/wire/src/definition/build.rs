//! Reads a `build` block (protocol section 7). What its Dockerfile says is for the engine to judge.

use std::collections::BTreeMap;

use deskgrid_job::{BUILT_IMAGES, BuildBlock};
use serde_json::{Map, Value};

use super::field::{DefinitionError, Field, quoted};
use crate::{context_address, job_id, url};

/// The block, or none when it says nothing.
pub(super) fn parse(build: &Field) -> Result<Option<BuildBlock>, DefinitionError> {
    let Some(members) = build.object()? else { return Ok(None) };
    let Some(hash) = job_id::build_hash(members) else { return Ok(None) };
    let text = |name: &str| Ok(build.member(members, name).text()?.map(str::to_owned));
    let context = context(build, members)?;
    let left = context.as_deref().and_then(context_address::without_masks);
    let block = BuildBlock {
        image: format!("{BUILT_IMAGES}:{hash}"),
        context_key: context.as_deref().and_then(url::own_file_key),
        lacks_secret: left.is_some(),
        context: left.or(context),
        build_context: inside(&build.member(members, "buildContext"))?,
        filename: inside(&build.member(members, "filename"))?,
        target: text("target")?,
        dockerfile: text("dockerfile")?,
        build_args: arguments(&build.member(members, "buildArgs"))?,
        platform: platform(&build.member(members, "platform"))?,
    };
    if block.dockerfile.is_none() && block.context.is_none() {
        return Err(build.error(
            "has neither dockerfile nor context",
            "give the text of a Dockerfile, or the address of a repository or an archive that has one",
        ));
    }
    Ok(Some(block))
}

fn context(build: &Field, members: &Map<String, Value>) -> Result<Option<String>, DefinitionError> {
    let field = build.member(members, "context");
    let Some(text) = field.text()? else { return Ok(None) };
    match url::http(text) {
        Some(address) => Ok(Some(address.to_owned())),
        // The text is not repeated: it may begin with a token.
        None => Err(field.error(
            "is no web address",
            "give one that begins with https://, of a repository on GitHub or of a gzip or zip archive",
        )),
    }
}

/// A path within the context.
fn inside(field: &Field) -> Result<Option<String>, DefinitionError> {
    let Some(path) = field.text()? else { return Ok(None) };
    let leads_out = path.split(['/', '\\']).any(|part| part == "..");
    if leads_out || path.contains('\0') {
        return Err(field.error(
            format_args!("is {}, which leads out of the context", quoted(path)),
            "name a path inside of it",
        ));
    }
    Ok(Some(path.to_owned()))
}

fn arguments(field: &Field) -> Result<BTreeMap<String, String>, DefinitionError> {
    let advice = "write each as NAME=value, for example [\"VERSION=1.2\"]";
    let texts = field.texts()?.unwrap_or_default();
    let pairs = texts.iter().map(|text| match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        // What stands behind the name may be secret, and without an '=' nobody knows where it begins.
        _ => Err(field.error("has an entry without a name and an '='", advice)),
    });
    pairs.collect()
}

/// `os`, `os/processor` or `os/processor/variant`, as in `docker build --platform`.
fn platform(field: &Field) -> Result<Option<String>, DefinitionError> {
    let Some(text) = field.text()?.map(str::trim) else { return Ok(None) };
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    if text.split('/').count() > 3 || !text.split('/').all(is_word) {
        return Err(
            field.error(format_args!("is {}", quoted(text)), "write it as in linux/amd64 or linux/arm64")
        );
    }
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use deskgrid_job::ImageSource;
    use serde_json::json;

    use super::super::parse;
    use super::*;

    fn block(build: &Value) -> BuildBlock {
        match parse(&json!({ "build": build })).unwrap().image {
            ImageSource::Build(block) => *block,
            ImageSource::Reference(name) => panic!("{name}"),
        }
    }

    fn refused(build: &Value) -> String {
        parse(&json!({ "build": build })).unwrap_err().to_string()
    }

    #[test]
    fn every_field_is_read() {
        let block = block(&json!({
            "context": " https://github.com/o/r ", "buildContext": "a/b", "filename": "My.Dockerfile", "target": "t",
            "dockerfile": "FROM a", "buildArgs": ["A=1=2", "B="], "platform": "linux/arm64",
        }));
        assert_eq!(block.context.as_deref(), Some("https://github.com/o/r"));
        assert_eq!(
            (block.build_context.as_deref(), block.filename.as_deref()),
            (Some("a/b"), Some("My.Dockerfile"))
        );
        assert_eq!((block.target.as_deref(), block.dockerfile.as_deref()), (Some("t"), Some("FROM a")));
        assert_eq!(block.platform.as_deref(), Some("linux/arm64"));
        let args: Vec<_> = block.build_args.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(args, [("A", "1=2"), ("B", "")]);
    }

    #[test]
    fn the_image_is_named_after_all_that_makes_a_difference_and_no_credentials() {
        let plain = block(&json!({"context": "https://github.com/o/r", "extra": 1, "target": null}));
        let hash = plain.image.strip_prefix("deskgrid/build:").unwrap();
        // SHA-256 of {"context":"https://github.com/o/r"}.
        assert_eq!(hash, "31a335c470d064ee7878ffe2fbdd4c8f0428b166ad0bff1d1c85247ca88f8a42");
        let with_token = block(&json!({"context": "https://token@github.com/o/r"}));
        assert_eq!(with_token.image, plain.image);
        assert_eq!(with_token.context.as_deref(), Some("https://token@github.com/o/r"));
        let other = block(&json!({"context": "https://github.com/o/r", "buildArgs": ["A=1"]}));
        assert_ne!(other.image, plain.image);
    }

    #[test]
    fn a_block_that_was_kept_names_the_same_image_and_says_that_its_secret_is_missing() {
        for (given, left) in [
            ("https://me:abc@h/x.tgz?a=1", "https://h/x.tgz?a=1"),
            ("https://h/x.tgz?a=1&sig=abc", "https://h/x.tgz?a=1"),
        ] {
            let masked = context_address::masked(given).unwrap();
            let (given, kept) = (block(&json!({ "context": given })), block(&json!({ "context": masked })));
            assert_eq!(kept.image, given.image);
            assert_eq!(
                (kept.context.as_deref(), kept.lacks_secret, given.lacks_secret),
                (Some(left), true, false)
            );
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        for (build, wanted) in [
            (json!({"dockerfile": 5}), "build.dockerfile is the number 5"),
            (json!({"target": "t"}), "build has neither dockerfile nor context"),
            (json!({"context": "secret@github.com/o/r"}), "build.context is no web address"),
            (json!({"dockerfile": "FROM a", "buildContext": "a/../../b"}), "build.buildContext is"),
            (json!({"dockerfile": "FROM a", "filename": "..\\x"}), "build.filename is"),
            (json!({"dockerfile": "FROM a", "buildArgs": ["SECRET"]}), "build.buildArgs has an entry"),
            (json!({"dockerfile": "FROM a", "buildArgs": "A=1"}), "build.buildArgs is no list"),
            (json!({"dockerfile": "FROM a", "platform": "linux//x"}), "build.platform is"),
        ] {
            let error = refused(&build);
            assert!(error.starts_with(wanted) && !error.contains("ecret"), "{error}");
        }
    }

    #[test]
    fn a_context_that_is_a_file_of_ours_is_known_by_its_key() {
        let key = |context: &str| block(&json!({ "context": context })).context_key;
        assert_eq!(key("http://localhost:8000/f/abc"), Some(deskgrid_job::BlobKey::Name("abc".into())));
        assert_eq!(key("https://github.com/o/r"), None);
    }

    #[test]
    fn a_debug_print_tells_no_secret() {
        let block = block(&json!({"context": "https://token@h/x.tgz", "buildArgs": ["PASSWORD=abc"]}));
        let shown = format!("{block:?}");
        assert!(!shown.contains("token") && !shown.contains("abc"), "{shown}");
    }
}
