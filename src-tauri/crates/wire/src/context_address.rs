//! The address of a build's context with and without the secrets in it: a user and password before the host, and the
//! tokens and signatures of a query.
//!
//! What is kept and shown has a mask in the place of each. A mask in a query holds a digest of what it hides: two
//! signed addresses that stand for two files have two names, which are also those of their images. It tells no more
//! than the job's id does, a digest of the whole definition.

use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use crate::secrets::is_secret;
use crate::url;

/// What stands in the place of a secret. Its length tells nothing.
pub(crate) const MASK: &str = "••••••";
/// Hexadecimal digits of the digest after a mask in a query.
const DIGITS: usize = 16;
/// Words for signatures in the names of a query's parameters: `sig`, `X-Amz-Signature`.
const SIGNATURES: [&str; 2] = ["SIG", "SIGNATURE"];

/// The address with masks; none when there is nothing to hide.
pub fn masked(address: &str) -> Option<String> {
    let (rest, fragment) = split_before(address, '#');
    let (base, query) = split_before(rest, '?');
    let base = masked_base(base);
    let query = changed(query, |name, value| {
        let is_open = !is_secret_parameter(name) || is_masked(value);
        Some(if is_open { format!("{name}={value}") } else { format!("{name}={}", mask_of(value)) })
    });
    let masked = format!("{base}{query}{fragment}");
    (masked != address).then_some(masked)
}

/// What is left of a masked address; none when it has no mask.
pub(crate) fn without_masks(address: &str) -> Option<String> {
    let (rest, fragment) = split_before(address, '#');
    let (base, query) = split_before(rest, '?');
    let user =
        url::split_at_credentials(base).map(|(scheme, host)| &base[scheme.len()..base.len() - host.len()]);
    let plain = user.filter(|user| is_masked(user)).and_then(|_| url::without_credentials(base));
    let query = changed(query, |name, value| (!is_masked(value)).then(|| format!("{name}={value}")));
    let left = format!("{}{query}{fragment}", plain.as_deref().unwrap_or(base));
    (left != address).then_some(left)
}

/// The address as the name of an image knows it: the same with masks as with what they hide.
pub(crate) fn for_name(address: &str) -> String {
    let masked = masked(address);
    let masked = masked.as_deref().unwrap_or(address);
    url::without_credentials(masked).unwrap_or_else(|| masked.to_owned())
}

/// Scheme, host and path. What is no web address may begin with a token all the same.
fn masked_base(base: &str) -> String {
    let split = url::split_at_credentials(base).or_else(|| {
        let at = base.rfind('@').filter(|_| url::http(base).is_none())?;
        let start = base.find("://").map_or(0, |end| end + 3);
        (start <= at).then(|| (&base[..start], &base[at + 1..]))
    });
    split.map_or_else(|| base.to_owned(), |(scheme, host)| format!("{scheme}{MASK}@{host}"))
}

/// The query, with its question mark, after `change` has had each of its parameters that has a value.
fn changed(query: &str, change: impl Fn(&str, &str) -> Option<String>) -> String {
    let Some(parameters) = query.strip_prefix('?') else { return query.to_owned() };
    let kept = parameters.split('&').filter_map(|parameter| match parameter.split_once('=') {
        Some((name, value)) => change(name, value),
        None => Some(parameter.to_owned()),
    });
    let kept: Vec<_> = kept.collect();
    if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) }
}

fn is_secret_parameter(name: &str) -> bool {
    let name = percent_decode_str(name).decode_utf8_lossy();
    let words = || name.split(|letter: char| !letter.is_ascii_alphanumeric());
    let is_signature = |word: &str| SIGNATURES.iter().any(|other| word.eq_ignore_ascii_case(other));
    is_secret(&name) || words().any(is_signature)
}

fn mask_of(secret: &str) -> String {
    let digest = hex::encode(Sha256::digest(secret));
    format!("{MASK}{}", &digest[..DIGITS])
}

/// Browsers write addresses with percent signs.
fn is_masked(text: &str) -> bool {
    text.contains(MASK) || percent_decode_str(text).decode_utf8_lossy().contains(MASK)
}

/// `text` before the first `mark`, and from it on.
fn split_before(text: &str, mark: char) -> (&str, &str) {
    text.split_at(text.find(mark).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_passwords_tokens_and_signatures_are_masked_wherever_they_stand() {
        for address in [
            "https://s3cret@github.com/o/r",
            "https://me:s3cret@github.com/o/r/tree/main",
            "https://a@s3cret@h/x.git#main:folder",
            "HTTP://s3cret@h:81/a.tgz?x=1",
            "https://h/a.zip?token=s3cret",
            "https://h/a.zip?x=1&access_token=s3cret&y=2#z",
            "https://h/a.zip?t%6Fken=s3cret",
            "https://h/a.zip?private_token=s3cret&sha=1",
            "https://h/a?X-Amz-Credential=s3cret&X-Amz-Signature=s3cret&X-Amz-Security-Token=s3cret",
            "https://h/a?sv=2020&sig=s3cret",
            "https://h/a?Expires=1&Signature=s3cret&Key-Pair-Id=s3cret",
            "https://h/a?api_key=s3cret=",
            "https://me:s3cret@h/a?password=s3cret",
            // None of these is ever fetched, and each is kept with the job that fails for it.
            "s3cret@github.com/o/r",
            "me:s3cret@h",
            "ftp://me:s3cret@h/x",
        ] {
            let masked = masked(address).unwrap_or_else(|| panic!("{address} is left as it is"));
            assert!(!masked.contains("s3cret") && masked.contains(MASK), "{address}: {masked}");
            assert_eq!(super::masked(&masked), None, "{masked} is masked once");
        }
    }

    #[test]
    fn an_address_without_secrets_is_left_as_it_is() {
        for address in [
            "https://github.com/o/r",
            "https://github.com/o/r/tree/feature/x#y@z",
            "https://h/a@b/c.tgz?file=1&author=me&design=2&flag",
            "https://h/x.git#v1:sub",
            "http://localhost:8000/f/abc",
            "",
            "?",
        ] {
            assert_eq!((masked(address), without_masks(address)), (None, None), "{address}");
        }
    }

    #[test]
    fn all_but_the_secret_is_still_there() {
        let masked = |address| masked(address).unwrap();
        assert_eq!(masked("https://me:t@h:1/a?x=1#y"), format!("https://{MASK}@h:1/a?x=1#y"));
        let digest = hex::encode(Sha256::digest("t"));
        assert_eq!(
            masked("https://h/a?x&token=t&y=2"),
            format!("https://h/a?x&token={MASK}{}&y=2", &digest[..16])
        );
    }

    #[test]
    fn what_is_left_of_a_masked_address_is_the_address_without_its_secrets() {
        for (address, left) in [
            ("https://me:t@h:1/a?x=1#y", "https://h:1/a?x=1#y"),
            ("https://h/a?token=t", "https://h/a"),
            ("https://h/a?x=1&sig=t&y=2", "https://h/a?x=1&y=2"),
        ] {
            let masked = masked(address).unwrap();
            assert_eq!(without_masks(&masked).as_deref(), Some(left));
        }
        let by_a_browser = "https://%E2%80%A2%E2%80%A2%E2%80%A2%E2%80%A2%E2%80%A2%E2%80%A2@h/a";
        assert_eq!(without_masks(by_a_browser).as_deref(), Some("https://h/a"));
        assert_eq!(without_masks("https://me:t@h/a"), None);
    }

    #[test]
    fn an_image_has_the_same_name_with_masks_and_with_what_they_hide() {
        for address in ["https://me:t@h/a?x=1", "https://h/a?token=t&x=1", "https://h/a?x=1"] {
            let kept = masked(address).unwrap_or_else(|| address.to_owned());
            assert_eq!(for_name(&kept), for_name(address));
        }
        assert_eq!(for_name("https://me:t@h/a?x=1#y"), "https://h/a?x=1#y");
        assert_ne!(for_name("https://h/a?key=1"), for_name("https://h/a?key=2"));
    }
}
