//! Web addresses in what clients send. Not a full parser: it tells only what is asked here.

use deskgrid_job::BlobKey;
use percent_encoding::percent_decode_str;

/// `text` without surrounding white space when it is an absolute http or https address with a host.
pub fn http(text: &str) -> Option<&str> {
    let text = text.trim();
    let host = after_scheme(text)?.split(['/', '?', '#']).next()?;
    let is_clean = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    (is_clean && !host.is_empty()).then_some(text)
}

/// The key when the address is `/f/<key>` of some server: such files are looked for on our own disk first, since
/// the same computer goes by many host names and ports (protocol section 2, *`DataRef`*).
pub fn own_file_key(url: &str) -> Option<BlobKey> {
    let rest = after_scheme(url)?.split(['?', '#']).next()?;
    let (_host, path) = rest.split_at(rest.find('/')?);
    let key = path.strip_prefix("/f/")?;
    // The key is checked after decoding, so that an encoded slash or dot cannot pass.
    BlobKey::new(&percent_decode_str(key).decode_utf8().ok()?).ok()
}

/// The address without its user and password; none when it has none.
pub fn without_credentials(url: &str) -> Option<String> {
    split_at_credentials(url).map(|(scheme, host)| format!("{scheme}{host}"))
}

/// What comes before user and password, and what comes after them; none when there are none.
pub(crate) fn split_at_credentials(url: &str) -> Option<(&str, &str)> {
    let start = url.find("://")? + 3;
    let (scheme, rest) = url.split_at(start);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Some((scheme, &rest[rest[..end].rfind('@')? + 1..]))
}

fn after_scheme(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_web_addresses_pass() {
        assert_eq!(http(" https://h.example/a?b "), Some("https://h.example/a?b"));
        assert_eq!(http("HTTP://localhost:8000"), Some("HTTP://localhost:8000"));
        for bad in
            ["", "http://", "https:///x", "ftp://h/x", "file:///etc/passwd", "/f/a", "http://h/a b", "h/x"]
        {
            assert_eq!(http(bad), None, "{bad}");
        }
    }

    #[test]
    fn credentials_are_what_stands_before_the_host() {
        assert_eq!(without_credentials("https://u:p@h/a").as_deref(), Some("https://h/a"));
        assert_eq!(without_credentials("https://a@b@h?x").as_deref(), Some("https://h?x"));
        assert_eq!(without_credentials("https://h/a@b"), None);
        assert_eq!(without_credentials("a@b"), None);
    }

    #[test]
    fn our_own_files_are_known_under_any_host() {
        for url in ["http://localhost:8000/f/abc", "https://h.example/f/abc?x=1#y", "http://[::1]:1/f/%61bc"]
        {
            assert_eq!(own_file_key(url), Some(BlobKey::Name("abc".into())), "{url}");
        }
    }

    #[test]
    fn an_encoded_way_out_is_no_key() {
        for url in [
            "http://h/f/%2e%2e",
            "http://h/f/a%2Fb",
            "http://h/f/a/exists",
            "http://h/f/",
            "http://h/x/f/abc",
            "http://h?/f/abc",
            "http://h#/f/abc",
            "http://h/f/%ff",
            "ftp://h/f/abc",
            "abc",
        ] {
            assert_eq!(own_file_key(url), None, "{url}");
        }
    }
}
