//! Image references: what a person writes, and the parts that a registry is asked for.

use crate::error::{EngineError, ImageProblem};

/// A checked reference with its tag or digest filled in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reference {
    /// Registry and path, as written.
    name: String,
    /// Tag, or digest when there is one.
    version: String,
    /// Whether the text names an image by its id, which no registry can be asked for.
    is_id: bool,
}

impl Reference {
    /// Reads `x`, `x:tag`, `registry:port/x`, `x@sha256:…`, `x:tag@sha256:…` or an image id.
    ///
    /// Everything else is refused here: the text becomes part of a path of the engine's API.
    pub(crate) fn parse(text: &str) -> Result<Self, EngineError> {
        parse(text.trim()).ok_or_else(|| EngineError::Image {
            problem: ImageProblem::BadName,
            message: format!(
                "{:?} is not a valid image name. Write it as in `docker pull`, for example python:3.13-slim.",
                text.chars().take(200).collect::<String>()
            ),
        })
    }

    /// Registry and path.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Tag or digest.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Whether no registry can be asked for it.
    pub(crate) fn is_id(&self) -> bool {
        self.is_id
    }

    /// The whole, as the engine finds it among its images.
    pub(crate) fn full(&self) -> String {
        match (self.is_id, self.version.contains(':')) {
            (true, _) => self.name.clone(),
            (false, true) => format!("{}@{}", self.name, self.version),
            (false, false) => format!("{}:{}", self.name, self.version),
        }
    }

    /// The registry's host, `docker.io` when none is written.
    pub(crate) fn registry(&self) -> &str {
        match self.name.split_once('/') {
            Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
            _ => "docker.io",
        }
    }
}

fn parse(text: &str) -> Option<Reference> {
    if let Some(digits) = text.strip_prefix("sha256:") {
        let name = text.to_owned();
        return is_hex(digits).then(|| Reference { name, version: String::new(), is_id: true });
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    // A colon before the last slash belongs to the registry's port.
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    // With a tag it would read as a broken image id.
    let fine = name != "sha256" && is_name(name) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest);
    let version = digest.or(tag).unwrap_or("latest").to_owned();
    fine.then(|| Reference { name: name.to_owned(), version, is_id: false })
}

fn is_name(name: &str) -> bool {
    let (host, path) = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (Some(host), path),
        _ => (None, name),
    };
    name.len() <= 255 && host.is_none_or(is_host) && path.split('/').all(is_path_part)
}

fn is_host(host: &str) -> bool {
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.split('.').all(is_label) && port.is_none_or(is_port)
}

/// Digits alone: the number's own reader would take a sign too.
fn is_port(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

/// Lower-case words joined by dots, underscores or hyphens: begins and ends with a letter or digit.
fn is_path_part(part: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    part.bytes().all(|byte| plain(byte) || b"._-".contains(&byte))
        && part.bytes().next().is_some_and(plain)
        && part.bytes().last().is_some_and(plain)
        && !part.contains("..")
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || b".-".contains(&byte))
}

fn is_digest(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(is_hex)
}

fn is_hex(digits: &str) -> bool {
    digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_completed_as_the_docker_command_line_does() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, full, registry) in [
            ("x", "x:latest", "docker.io"),
            (" x:1 ", "x:1", "docker.io"),
            ("lib/x:1.2-b_c", "lib/x:1.2-b_c", "docker.io"),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest", "localhost:5000"),
            ("ghcr.io/a/b:2", "ghcr.io/a/b:2", "ghcr.io"),
            (&format!("x@{digest}"), &format!("x@{digest}"), "docker.io"),
            (&format!("x:1@{digest}"), &format!("x@{digest}"), "docker.io"),
            (&digest, &digest, "docker.io"),
        ] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!((reference.full().as_str(), reference.registry()), (full, registry), "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_reference_are_refused() {
        for bad in [
            "",
            "Upper",
            "a b",
            "../containers",
            "a/../b",
            "a//b",
            "a/",
            "x:",
            "x:a/b:",
            "x@sha256:12",
            "x?y",
            "a%2fb",
            "-x",
            "x:-1",
            "host:99999/x",
            // Found by fuzzing: hosts and ports that no registry can have, and a name that its own tag makes another
            // thing.
            "host:+000/x",
            "pi.../cen",
            "-.a/x",
            "sha256",
            "sha256:zz",
        ] {
            let error = Reference::parse(bad).unwrap_err();
            assert_eq!(error.code(), "bad-image-name", "{bad}");
        }
    }
}
