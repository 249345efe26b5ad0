//! Credentials for a registry, found as the docker command line finds them: by the helper program that its
//! configuration names for that registry (`credHelpers`) or for all (`credsStore`), else in the configuration itself
//! (`auths`).
//!
//! Nothing of it is kept or logged. A helper that does not help is no reason not to try without: most images are open
//! to everybody. What was wrong with it is said where a person looks when access is then refused.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::cli_config::{self, DEFAULT_REGISTRY_KEY};
use crate::surroundings::{Platform, Surroundings};

/// A helper may have to ask the person, for example to unlock a keychain.
const PATIENCE: Duration = Duration::from_secs(60);
/// What helpers print when they know nothing of a registry; the protocol has no other sign.
const NOT_FOUND: &str = "credentials not found";
/// The name that stands for a token instead of a password.
const TOKEN: &str = "<token>";
/// Characters of a helper's complaint that are shown.
const LONGEST: usize = 200;

/// What is known for one registry.
#[derive(Default)]
pub(crate) struct Credentials {
    /// To be sent along; none to ask as anybody does.
    pub(crate) found: Option<DockerCredentials>,
    /// What is wrong with the configuration or its helper, as a sentence without secrets.
    pub(crate) remark: Option<String>,
}

/// Reads and asks anew each time, as people sign in after a pull has failed.
pub(crate) async fn find(registry: &str) -> Credentials {
    let name = registry.to_owned();
    let look = move || Plan::of(&Surroundings::of_this_computer(), &name);
    let Ok(plan) = tokio::task::spawn_blocking(look).await else { return Credentials::default() };
    plan.carry_out().await
}

/// Where the credentials of one registry are.
struct Plan {
    /// The registry as helpers know it.
    key: String,
    helper: Option<Helper>,
    stored: Option<DockerCredentials>,
    remark: Option<String>,
}

/// A helper program.
#[derive(Debug, PartialEq, Eq)]
struct Helper {
    name: String,
    /// Where it is; none when it was not found.
    program: Option<PathBuf>,
    /// Where it finds the programs that it calls itself.
    path: Option<String>,
}

impl Plan {
    fn of(around: &Surroundings, registry: &str) -> Self {
        let key = if registry == "docker.io" { DEFAULT_REGISTRY_KEY } else { registry };
        let settings = cli_config::credential_settings(around, registry);
        Self {
            key: key.to_owned(),
            helper: settings.helper.map(|name| Helper::find(around, &name)),
            stored: settings.stored,
            remark: settings.remark,
        }
    }

    async fn carry_out(self) -> Credentials {
        let Some(helper) = self.helper else {
            return Credentials { found: self.stored, remark: self.remark };
        };
        match tokio::time::timeout(PATIENCE, helper.ask(&self.key)).await {
            Ok(Ok(found)) => Credentials { found: found.or(self.stored), remark: self.remark },
            Ok(Err(why)) => Credentials { found: self.stored, remark: Some(why) },
            Err(_) => {
                let remark = format!("The credential helper {} did not answer within a minute.", helper.name);
                Credentials { found: self.stored, remark: Some(remark) }
            }
        }
    }
}

impl Helper {
    fn find(around: &Surroundings, suffix: &str) -> Self {
        let name = format!("docker-credential-{suffix}");
        let folders = folders(around);
        let file = if around.platform == Platform::Windows { format!("{name}.exe") } else { name.clone() };
        // It is a word of a file that the person wrote; with a slash in it, it would name any program.
        let is_plain = suffix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        let places = folders.iter().map(|folder| folder.join(&file));
        let program = places.into_iter().find(|path| is_plain && (around.exists)(path));
        let path = std::env::join_paths(&folders).ok().and_then(|path| path.into_string().ok());
        Self { name, program, path }
    }

    /// What it tells of `key`; none when it knows nothing.
    ///
    /// # Errors
    /// A sentence about what is wrong with it.
    async fn ask(&self, key: &str) -> Result<Option<DockerCredentials>, String> {
        let program = self.program.as_ref().ok_or_else(|| self.missing())?;
        let output = self.run(program, key).await.map_err(|error| self.failed(key, &error.to_string()))?;
        if output.status.success() {
            // Its words are not shown: they hold the password.
            return read(&output.stdout, key)
                .map(Some)
                .ok_or_else(|| self.failed(key, "its answer makes no sense"));
        }
        let said = [&output.stdout[..], &output.stderr[..]].map(first_line);
        if said.iter().any(|line| line.contains(NOT_FOUND)) {
            return Ok(None);
        }
        Err(self
            .failed(key, said.iter().find(|line| !line.is_empty()).map_or("it said nothing", |line| line)))
    }

    async fn run(&self, program: &Path, key: &str) -> std::io::Result<std::process::Output> {
        let mut command = Command::new(program);
        command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        without_a_window(&mut command);
        let mut process = command.spawn()?;
        if let Some(mut input) = process.stdin.take() {
            // One that reads nothing still has its say.
            let _ = input.write_all(key.as_bytes()).await;
        }
        process.wait_with_output().await
    }

    fn missing(&self) -> String {
        format!(
            "The program {}, which your Docker configuration names for credentials, was not found. Install it, or take \
             its name out of config.json in your Docker folder and sign in again with `docker login`.",
            self.name
        )
    }

    fn failed(&self, key: &str, why: &str) -> String {
        format!("The credential helper {} has told no credentials for {key}: {why}.", self.name)
    }
}

/// A console program that is started by one without a console gets a window of its own on Windows.
#[cfg(windows)]
fn without_a_window(command: &mut Command) {
    const CREATE_NO_WINDOW: u32 = 0x0800_0000;
    command.creation_flags(CREATE_NO_WINDOW);
}

/// A console program that is started by one without a console gets a window of its own on Windows.
#[cfg(not(windows))]
fn without_a_window(_: &mut Command) {}

/// Where helpers are: what a program sees that was started from a menu is often less than what a terminal does.
fn folders(around: &Surroundings) -> Vec<PathBuf> {
    let usual: &[&str] = match around.platform {
        Platform::Linux => &["/usr/local/bin", "/usr/bin"],
        Platform::MacOs => {
            &["/usr/local/bin", "/opt/homebrew/bin", "/Applications/Docker.app/Contents/Resources/bin"]
        }
        Platform::Windows => &["C:/Program Files/Docker/Docker/resources/bin"],
    };
    let mut folders: Vec<_> = around.var("PATH").map(std::env::split_paths).into_iter().flatten().collect();
    // An empty entry means the folder that we happen to be in.
    folders.retain(|folder| folder.is_absolute());
    folders.extend(usual.iter().map(PathBuf::from));
    folders.extend(cli_config::folder(around).map(|folder| folder.join("bin")));
    folders
}

fn first_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.trim().lines().next().unwrap_or_default().chars().take(LONGEST).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    secret: String,
}

fn read(text: &[u8], key: &str) -> Option<DockerCredentials> {
    let Answer { username, secret } = serde_json::from_slice(text).ok()?;
    let empty = DockerCredentials { serveraddress: Some(key.to_owned()), ..DockerCredentials::default() };
    Some(if username == TOKEN {
        DockerCredentials { identitytoken: Some(secret), ..empty }
    } else {
        DockerCredentials { username: Some(username), password: Some(secret), ..empty }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::tests::computer;

    fn plan(config: &str, programs: &[&str], registry: &str) -> Plan {
        let mut files = vec![("/home/me/.docker/config.json", config)];
        files.extend(programs.iter().map(|program| (*program, "")));
        Plan::of(&computer(&[("PATH", "/a:relative::/b")], &files), registry)
    }

    const CONFIG: &str = r#"{"credsStore":"all","credHelpers":{"one.example":"one","none.example":""},
        "auths":{"one.example":{},"plain.example":{"auth":"dTpw"}}}"#;

    #[test]
    fn a_registry_has_the_helper_that_is_named_for_it_or_else_the_one_for_all() {
        let program = |registry| {
            let plan =
                plan(CONFIG, &["/b/docker-credential-one", "/usr/bin/docker-credential-all"], registry);
            plan.helper.and_then(|helper| helper.program)
        };
        assert_eq!(program("one.example"), Some("/b/docker-credential-one".into()));
        assert_eq!(program("plain.example"), Some("/usr/bin/docker-credential-all".into()));
        assert_eq!(program("docker.io"), Some("/usr/bin/docker-credential-all".into()));
        // The command line lets an empty name switch the one for all off.
        assert_eq!(program("none.example"), None);
        assert_eq!(plan(CONFIG, &[], "docker.io").key, "https://index.docker.io/v1/");
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_no_helper() {
        let plan = plan(r#"{"credsStore":"x/../../evil"}"#, &["/a/docker-credential-x/../../evil"], "r");
        assert_eq!(plan.helper.unwrap().program, None);
    }

    #[tokio::test]
    async fn a_helper_that_is_missing_is_named_and_what_is_stored_is_used() {
        let found = plan(CONFIG, &[], "plain.example").carry_out().await;
        assert_eq!(found.found.unwrap().password.as_deref(), Some("p"));
        let remark = found.remark.unwrap();
        assert!(remark.contains("docker-credential-all") && remark.contains("was not found"), "{remark}");
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_told_without_its_words() {
        let remark = plan(r#"{"auths": {"a": {"auth": ["secret"]}}}"#, &[], "a").remark.unwrap();
        assert!(remark.contains("config.json") && !remark.contains("secret"), "{remark}");
    }

    #[test]
    fn answers_are_passwords_or_tokens() {
        let password = read(br#"{"ServerURL":"r","Username":"me","Secret":"s"}"#, "r").unwrap();
        assert_eq!((password.username.as_deref(), password.password.as_deref()), (Some("me"), Some("s")));
        let token = read(br#"{"ServerURL":"r","Username":"<token>","Secret":"t"}"#, "r").unwrap();
        assert_eq!((token.username, token.identitytoken.as_deref()), (None, Some("t")));
        assert!(read(b"no json", "r").is_none());
    }
}
