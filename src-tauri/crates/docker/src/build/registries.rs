//! Which images a Dockerfile names, and so which registries: only those are asked with the person's credentials.

use std::collections::{BTreeMap, BTreeSet};

use bollard::auth::DockerCredentials;

use super::Credentials;
use crate::credentials;
use crate::reference::Reference;

/// `BuildKit` asks for the credentials of the default registry under this name.
const DEFAULT_HOST: &str = "registry-1.docker.io";

/// The registries of all images in the Dockerfile `text`, with `args` in the place of its `ARG`s. A word too many does
/// no harm: nothing is stored for it.
pub(super) fn named(text: &str, args: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut arguments = Arguments::new(args);
    let mut registries = BTreeSet::new();
    for image in text.lines().flat_map(|line| arguments.images(line)) {
        registries.extend(Reference::parse(&image).ok().map(|image| image.registry().to_owned()));
    }
    registries
}

/// The `ARG`s of a Dockerfile, as far as it was read.
pub(super) struct Arguments {
    given: BTreeMap<String, String>,
    known: BTreeMap<String, String>,
}

impl Arguments {
    /// At its beginning, with the values that are given for it.
    pub(super) fn new(given: &BTreeMap<String, String>) -> Self {
        Self { given: given.clone(), known: BTreeMap::new() }
    }

    /// Reads its next line, and returns the words in it that may be images.
    pub(super) fn images(&mut self, line: &str) -> Vec<String> {
        let line = line.trim();
        let (instruction, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if instruction.eq_ignore_ascii_case("arg") {
            self.note(rest.trim());
        }
        images(instruction, rest).into_iter().map(|image| filled_in(image, &self.known)).collect()
    }

    fn note(&mut self, rest: &str) {
        let (name, default) = rest.split_once('=').unwrap_or((rest, ""));
        let given = self.given.get(name).cloned();
        let value = given.unwrap_or_else(|| default.trim_matches(['"', '\'']).to_owned());
        self.known.insert(name.to_owned(), value);
    }
}

/// The words of a line that may be images.
fn images<'a>(instruction: &str, rest: &'a str) -> Vec<&'a str> {
    let is = |name: &str| instruction.eq_ignore_ascii_case(name);
    let words = rest.split_whitespace();
    if is("from") {
        words.filter(|word| !word.starts_with("--")).take(1).collect()
    } else if is("copy") || is("add") || is("run") {
        // `--from=image`, or `--mount=type=bind,from=image`.
        let options = words.filter(|word| word.starts_with("--"));
        let parts = options.flat_map(|option| option.trim_start_matches("--").split(','));
        parts.filter_map(|part| part.strip_prefix("from=")).collect()
    } else if instruction.starts_with('#') {
        // `# syntax=image` and `#syntax=image`.
        let directive = rest.trim().strip_prefix("syntax=");
        directive.into_iter().filter_map(|image| image.split_whitespace().next()).collect()
    } else {
        Vec::new()
    }
}

/// `word` with the values of `$NAME`, `${NAME}` and `${NAME:-default}`.
fn filled_in(word: &str, known: &BTreeMap<String, String>) -> String {
    let mut filled = String::new();
    let mut rest = word;
    while let Some(start) = rest.find('$') {
        filled.push_str(&rest[..start]);
        let after = &rest[start + 1..];
        let (name, end) = if let Some(inner) = after.strip_prefix('{') {
            let length = inner.find('}').unwrap_or(inner.len());
            (&inner[..length], (length + 2).min(after.len()))
        } else {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let length = after.find(|c| !is_name(c)).unwrap_or(after.len());
            (&after[..length], length)
        };
        let (name, default) = name.split_once(":-").unwrap_or((name, ""));
        let value = known.get(name).filter(|value| !value.is_empty());
        filled.push_str(value.map_or(default, String::as_str));
        rest = &after[end..];
    }
    filled + rest
}

/// What the person has stored for `registries`, by the names under which either builder looks. A helper that does not
/// help is no reason not to build: most base images are open to everybody.
pub(super) async fn credentials(registries: &BTreeSet<String>) -> Credentials {
    let mut all = Credentials::new();
    for registry in registries {
        let access = credentials::find(registry).await;
        if let Some(remark) = access.remark {
            tracing::warn!(registry, remark, "credentials for a build");
        }
        if let Some(found) = access.found {
            add(&mut all, registry, found);
        }
    }
    all
}

fn add(all: &mut Credentials, registry: &str, found: DockerCredentials) {
    if registry == "docker.io" {
        all.insert(DEFAULT_HOST.to_owned(), found.clone());
    }
    let key = found.serveraddress.clone().unwrap_or_else(|| registry.to_owned());
    all.insert(registry.to_owned(), found.clone());
    all.insert(key, found);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, args: &[(&str, &str)]) -> Vec<String> {
        let args = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        named(text, &args).into_iter().collect()
    }

    #[test]
    fn registries_are_found_wherever_a_dockerfile_names_images() {
        let text = "# syntax=front.example/dockerfile:1\nFROM --platform=linux/amd64 a.example:5000/x AS one\n\
                    from python:3\nCOPY --from=b.example/y:1 /a /b\nRUN --mount=type=bind,from=c.example/z ls\n\
                    RUN echo from=d.example/no\n";
        assert_eq!(of(text, &[]), ["a.example:5000", "b.example", "c.example", "docker.io", "front.example"]);
    }

    #[test]
    fn arguments_are_filled_in() {
        let text = "ARG HOST=\"default.example\"\nARG TAG\nFROM ${HOST}/x:${TAG:-1}\nFROM $HOST/y";
        assert_eq!(of(text, &[]), ["default.example"]);
        assert_eq!(of(text, &[("HOST", "given.example")]), ["given.example"]);
        for odd in ["FROM $", "FROM ${", "FROM ${}", "FROM", "ARG", "FROM a$é"] {
            of(odd, &[]);
        }
    }

    #[test]
    fn credentials_are_given_under_the_names_that_builders_look_for() {
        let known_as = |registry: &str, key: &str| {
            let found =
                DockerCredentials { serveraddress: Some(key.to_owned()), ..DockerCredentials::default() };
            let mut all = Credentials::new();
            add(&mut all, registry, found);
            let mut names: Vec<_> = all.into_keys().collect();
            names.sort();
            names
        };
        let default = known_as("docker.io", "https://index.docker.io/v1/");
        assert_eq!(default, ["docker.io", "https://index.docker.io/v1/", "registry-1.docker.io"]);
        assert_eq!(known_as("r.example:5000", "r.example:5000"), ["r.example:5000"]);
    }
}
