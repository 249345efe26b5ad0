//! The configuration folder of the docker command line, read only: the current context, stored credentials, and which
//! helper programs know others. Asking those is the business of `credentials`.

use std::collections::HashMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::address::Address;
use crate::surroundings::Surroundings;

/// The key under which the command line keeps credentials of the default registry.
pub(crate) const DEFAULT_REGISTRY_KEY: &str = "https://index.docker.io/v1/";

/// The parts of `config.json` that concern us.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ConfigFile {
    #[serde(rename = "currentContext")]
    current_context: Option<String>,
    auths: HashMap<String, Auth>,
    #[serde(rename = "credsStore")]
    helper_for_all: Option<String>,
    #[serde(rename = "credHelpers")]
    helpers: HashMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Auth {
    #[serde(rename = "auth")]
    encoded: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// `meta.json` of a context.
#[derive(Debug, Deserialize)]
struct ContextMeta {
    #[serde(rename = "Endpoints")]
    endpoints: HashMap<String, Endpoint>,
}

#[derive(Debug, Deserialize)]
struct Endpoint {
    #[serde(rename = "Host")]
    host: Option<String>,
}

/// The folder of the docker command line.
pub(crate) fn folder(around: &Surroundings) -> Option<PathBuf> {
    match around.var("DOCKER_CONFIG") {
        Some(folder) => Some(folder.into()),
        None => around.home.as_ref().map(|home| home.join(".docker")),
    }
}

fn read_config(around: &Surroundings) -> ConfigFile {
    try_read_config(around).unwrap_or_default()
}

/// The configuration, an empty one where there is none; or what is wrong with it, without a word of it.
fn try_read_config(around: &Surroundings) -> Result<ConfigFile, String> {
    let Some(file) = folder(around).map(|folder| folder.join("config.json")) else {
        return Ok(ConfigFile::default());
    };
    let Some(text) = (around.read)(&file) else { return Ok(ConfigFile::default()) };
    serde_json::from_str(&text).map_err(|error| {
        let (file, line) = (file.display(), error.line());
        format!(
            "The Docker configuration {file} cannot be understood at line {line} and was left out of account."
        )
    })
}

/// A context that the person chose, with the words for where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) address: Address,
    pub(crate) found_by: String,
}

/// The chosen context; none when it is the default one, which means the usual places.
pub(crate) fn current_context(around: &Surroundings) -> Option<Context> {
    let (name, chosen_by) = match around.var("DOCKER_CONTEXT") {
        Some(name) => (name.to_owned(), "the environment variable DOCKER_CONTEXT"),
        None => (read_config(around).current_context?, "`docker context use`"),
    };
    if name.is_empty() || name == "default" {
        return None;
    }
    let found_by = format!("the docker context {name:?} chosen by {chosen_by}");
    let address = context_address(around, &name).unwrap_or_else(|| Address::Unusable {
        text: format!("docker context {name:?}"),
        reason: format!(
            "There is no docker context {name:?} with an engine. See `docker context ls` and choose one with \
             `docker context use`."
        ),
    });
    Some(Context { address, found_by })
}

fn context_address(around: &Surroundings, name: &str) -> Option<Address> {
    let hash = hex::encode(Sha256::digest(name.as_bytes()));
    let file = folder(around)?.join("contexts").join("meta").join(hash).join("meta.json");
    let meta: ContextMeta = serde_json::from_str(&(around.read)(&file)?).ok()?;
    Some(Address::parse(meta.endpoints.get("docker")?.host.as_deref()?))
}

/// What the configuration says about credentials for one registry.
#[derive(Debug, Default)]
pub(crate) struct CredentialSettings {
    /// The last part of the name of the helper program that knows them.
    pub(crate) helper: Option<String>,
    /// Those that stand in the configuration itself.
    pub(crate) stored: Option<DockerCredentials>,
    /// What is wrong with the configuration.
    pub(crate) remark: Option<String>,
}

/// What the configuration says about `registry`, a host name with an optional port.
pub(crate) fn credential_settings(around: &Surroundings, registry: &str) -> CredentialSettings {
    match try_read_config(around) {
        Ok(config) => CredentialSettings {
            helper: config.helper_for(registry),
            stored: config.stored(registry),
            remark: None,
        },
        Err(why) => CredentialSettings { remark: Some(why), ..CredentialSettings::default() },
    }
}

impl ConfigFile {
    /// The helper of the registry's own, else the one for all. An empty name is none.
    fn helper_for(&self, registry: &str) -> Option<String> {
        let own = self.helpers.iter().find(|(key, _)| is_registry(key, registry)).map(|(_, name)| name);
        own.or(self.helper_for_all.as_ref()).filter(|name| !name.is_empty()).cloned()
    }

    fn stored(mut self, registry: &str) -> Option<DockerCredentials> {
        let key = self.auths.keys().find(|key| is_registry(key, registry))?.clone();
        let auth = self.auths.remove(&key)?;
        let (username, password) = match auth.encoded.as_deref().and_then(decode_auth) {
            Some((username, password)) => (Some(username), Some(password)),
            None => (auth.username, auth.password),
        };
        if username.is_none() && auth.identitytoken.is_none() {
            return None;
        }
        Some(DockerCredentials {
            username,
            password,
            identitytoken: auth.identitytoken,
            serveraddress: Some(key),
            ..DockerCredentials::default()
        })
    }
}

/// Every registry that the person has signed in to.
pub(crate) fn registries(around: &Surroundings) -> Vec<String> {
    let host = |key: &String| {
        let host = key.split_once("://").map_or(key.as_str(), |(_, rest)| rest);
        host.split('/').next().map(str::to_owned)
    };
    let named = |key: &String| {
        if key == DEFAULT_REGISTRY_KEY { Some("docker.io".to_owned()) } else { host(key) }
    };
    let config = read_config(around);
    config.auths.keys().chain(config.helpers.keys()).filter_map(named).collect()
}

/// Whether a key of `auths` means `registry`: keys are host names, at times with a scheme and a path.
fn is_registry(key: &str, registry: &str) -> bool {
    if registry == "docker.io" {
        return key == DEFAULT_REGISTRY_KEY;
    }
    let host = key.split_once("://").map_or(key, |(_, rest)| rest);
    host.split('/').next() == Some(registry)
}

fn decode_auth(text: &str) -> Option<(String, String)> {
    let decoded = String::from_utf8(BASE64_STANDARD.decode(text).ok()?).ok()?;
    let (username, password) = decoded.split_once(':')?;
    Some((username.to_owned(), password.trim_end_matches('\0').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::tests::computer;

    const CONFIG: &str = r#"{"currentContext":"lab","auths":{
        "https://index.docker.io/v1/":{"auth":"bWU6czpl"},
        "reg.example:5000":{"username":"u","password":"p"},
        "https://other.example/v2/":{"identitytoken":"t"},
        "helper.example":{}}}"#;

    #[test]
    fn the_current_context_leads_to_its_engine() {
        let meta = format!("/home/me/.docker/contexts/meta/{}/meta.json", hex::encode(Sha256::digest("lab")));
        let around = computer(
            &[],
            &[
                ("/home/me/.docker/config.json", CONFIG),
                (&meta, r#"{"Name":"lab","Endpoints":{"docker":{"Host":"tcp://lab:2375"}}}"#),
            ],
        );
        let context = current_context(&around).unwrap();
        assert_eq!(context.address, Address::Tcp("lab:2375".into()));
        assert!(context.found_by.contains("\"lab\""), "{}", context.found_by);
    }

    #[test]
    fn a_context_that_does_not_exist_is_not_replaced_by_another_engine() {
        let around = computer(&[("DOCKER_CONTEXT", "gone")], &[]);
        let context = current_context(&around).unwrap();
        assert!(matches!(context.address, Address::Unusable { .. }));
    }

    #[test]
    fn the_default_context_means_the_usual_places() {
        let around = computer(&[("DOCKER_CONTEXT", "default")], &[("/home/me/.docker/config.json", CONFIG)]);
        assert_eq!(current_context(&around), None);
    }

    #[test]
    fn credentials_are_found_in_each_form_the_command_line_writes() {
        let around = computer(&[], &[("/home/me/.docker/config.json", CONFIG)]);
        let found = |registry| credential_settings(&around, registry).stored;
        let hub = found("docker.io").unwrap();
        assert_eq!((hub.username.as_deref(), hub.password.as_deref()), (Some("me"), Some("s:e")));
        assert_eq!(found("reg.example:5000").unwrap().password.as_deref(), Some("p"));
        assert_eq!(found("other.example").unwrap().identitytoken.as_deref(), Some("t"));
        assert_eq!(found("helper.example"), None);
        assert_eq!(found("reg.example"), None);
        let mut all = registries(&around);
        all.sort();
        assert_eq!(all, ["docker.io", "helper.example", "other.example", "reg.example:5000"]);
    }
}
