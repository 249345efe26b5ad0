//! The origin of a web page: scheme, host and port, in the one form in which browsers send it.

use std::fmt;
use std::sync::Arc;

/// Longer than any real host name with its scheme and port.
const LONGEST: usize = 280;

/// A checked origin, such as `https://example.org` or `http://localhost:3000`. Two are the same only when every
/// letter is: browsers write an origin in one way, so whatever differs is another origin or a trick.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(Arc<str>);

/// Why a text is no origin, as the end of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoOrigin(&'static str);

impl Origin {
    /// The origin that a browser sent. Nothing is put right: other letters are another origin, and `null` is none.
    ///
    /// # Errors
    /// [`NoOrigin`] when no browser writes an origin so.
    pub fn of_browser(text: &str) -> Result<Self, NoOrigin> {
        check(text)?;
        Ok(Self(text.into()))
    }

    /// The origin that a person wrote, who may add a slash, a default port or capitals.
    ///
    /// # Errors
    /// [`NoOrigin`] says what is wrong.
    pub fn of_person(text: &str) -> Result<Self, NoOrigin> {
        let lower = text.trim().to_ascii_lowercase();
        let lower = lower.strip_suffix('/').unwrap_or(&lower);
        let bare = default_port(lower).and_then(|port| lower.strip_suffix(port)).unwrap_or(lower);
        Self::of_browser(bare)
    }

    /// As browsers send it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn default_port(origin: &str) -> Option<&'static str> {
    match origin.split_once("://")?.0 {
        "http" => Some(":80"),
        "https" => Some(":443"),
        _ => None,
    }
}

fn check(text: &str) -> Result<(), NoOrigin> {
    let refuse = |words| Err(NoOrigin(words));
    if text.len() > LONGEST {
        return refuse("is longer than any origin");
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return refuse("has no scheme such as https://");
    };
    let is_of_scheme = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b);
    if !scheme.starts_with(|c: char| c.is_ascii_lowercase()) || !scheme.bytes().all(is_of_scheme) {
        return refuse("has no scheme such as https://");
    }
    if rest.contains(['/', '?', '#', '@', '*', ',', ' ']) {
        return refuse("is more than an origin: leave out paths, wildcards and names of users");
    }
    let (host, port) = split_port(rest);
    if !is_host(host) {
        return refuse("names no host as browsers do, in lower case and without letters beyond ASCII (xn--)");
    }
    if default_port(text).is_some_and(|port| rest.ends_with(port)) || !port.is_none_or(is_port) {
        return refuse("has a port that browsers leave out, or that is none");
    }
    Ok(())
}

/// Host and port; the colons of an IPv6 address stand in brackets.
fn split_port(rest: &str) -> (&str, Option<&str>) {
    match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (rest, None),
    }
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        // Browsers shorten an address in one way only, which is that of the standard library.
        return address.parse::<std::net::Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == address);
    }
    let is_of_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
    !host.is_empty() && !host.starts_with('.') && host.bytes().all(is_of_name)
}

fn is_port(port: &str) -> bool {
    port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browsers_origin_is_taken_as_it_is() {
        for good in [
            "https://example.org",
            "http://localhost:3000",
            "http://[::1]:8000",
            "http://127.0.0.1",
            "chrome-extension://abcdefghijklmnop",
            "https://xn--bcher-kva.example:8443",
        ] {
            assert_eq!(Origin::of_browser(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn what_no_browser_sends_is_no_origin() {
        for bad in [
            "",
            "null",
            "*",
            "https://",
            "HTTPS://example.org",
            "https://Example.org",
            "https://example.org/",
            "https://example.org:443",
            "http://example.org:80",
            "https://example.org:0443",
            "https://example.org:0",
            "https://example.org:70000",
            "https://example.org:",
            "https://u@example.org",
            "https://*.example.org",
            "https://a b",
            "https://a,https://b",
            "https://bücher.example",
            "https://.example.org",
            "http://[0:0::1]",
            "http://[::1",
            "://x",
            "1a://x",
        ] {
            assert!(Origin::of_browser(bad).is_err(), "{bad:?}");
        }
        assert!(Origin::of_browser(&format!("https://{}", "a".repeat(LONGEST))).is_err());
    }

    #[test]
    fn what_a_person_writes_is_put_into_the_browsers_form() {
        let read = |text| Origin::of_person(text).map(|origin| origin.to_string());
        assert_eq!(read(" HTTPS://Example.org:443/ ").as_deref(), Ok("https://example.org"));
        assert_eq!(read("http://localhost:3000").as_deref(), Ok("http://localhost:3000"));
        for bad in
            ["example.org", "https://", "https://*.example.org", "https://a/b", "https://u@a", "null", "*"]
        {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
