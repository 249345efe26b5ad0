//! Trying candidates: connect, ask who is there, and judge. One look; repeating it is the watch's business.

use std::io;
use std::time::Duration;

use crate::address::Address;
use crate::discovery::{self, Candidate, Kind};
use crate::engine::{Engine, EngineInfo};
use crate::error::EngineError;
use crate::open_files;
use crate::state::{EngineState, OLDEST_API, Trouble};
use crate::surroundings::Platform;

/// For connecting; matters for TCP alone.
const CONNECT: Duration = Duration::from_secs(2);
/// For the first answers. An engine that is starting accepts connections before it answers.
const ANSWER: Duration = Duration::from_secs(5);

/// What one candidate came to. The order is that of how much there is to say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Finding {
    Absent,
    Silent,
    Closed,
    TooOld,
}

/// The first engine that works, or else the most telling trouble. `installed` is the engine whose program is here.
pub(crate) async fn look(
    candidates: &[Candidate],
    installed: Option<Kind>,
    platform: Platform,
) -> EngineState {
    let mut found = Vec::new();
    for candidate in candidates {
        match probe(candidate).await {
            Ok(engine) => return EngineState::Ready(engine),
            Err((finding, detail)) => found.push((finding, trouble(candidate, detail, platform))),
        }
    }
    judge(found, installed)
}

fn trouble(candidate: &Candidate, detail: String, platform: Platform) -> Trouble {
    let Candidate { address, found_by, kind } = candidate.clone();
    Trouble { address, found_by, detail, kind, platform }
}

/// Picks what to tell of several troubles; there is at least one candidate on every system.
fn judge(mut found: Vec<(Finding, Trouble)>, installed: Option<Kind>) -> EngineState {
    let worst = found.iter().map(|(finding, _)| *finding).max().unwrap_or(Finding::Absent);
    let is_worst = |(finding, _): &(Finding, Trouble)| *finding == worst;
    let is_installed = |(_, trouble): &(Finding, Trouble)| Some(trouble.kind) == installed;
    let was_named = found.iter().all(|(_, trouble)| trouble.found_by != discovery::USUAL);
    let telling = match worst {
        Finding::Absent => found.iter().position(is_installed).unwrap_or(0),
        _ => found.iter().position(is_worst).unwrap_or(0),
    };
    let (_, trouble) = found.swap_remove(telling);
    match worst {
        Finding::TooOld => EngineState::TooOld(trouble),
        Finding::Closed => EngineState::NoPermission(trouble),
        // Where somebody named the engine it does not matter what is installed.
        Finding::Absent if installed.is_none() && !was_named => EngineState::NotInstalled(trouble),
        Finding::Absent | Finding::Silent => EngineState::NotRunning(trouble),
    }
}

async fn probe(candidate: &Candidate) -> Result<Engine, (Finding, String)> {
    match tokio::time::timeout(CONNECT, candidate.address.reach()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err((finding(&error), error.to_string())),
        Err(_) => return Err((Finding::Silent, "it does not take the connection".to_owned())),
    }
    match tokio::time::timeout(ANSWER, ask(&candidate.address)).await {
        Ok(answer) => answer,
        Err(_) => Err((Finding::Silent, "it takes the connection but gives no answer".to_owned())),
    }
}

fn finding(error: &io::Error) -> Finding {
    match error.kind() {
        io::ErrorKind::NotFound => Finding::Absent,
        io::ErrorKind::PermissionDenied => Finding::Closed,
        _ => Finding::Silent,
    }
}

async fn ask(address: &Address) -> Result<Engine, (Finding, String)> {
    let silent = |error| (Finding::Silent, EngineError::of("asking who it is", error).to_string());
    let docker = address.client().map_err(silent)?;
    // Agrees on a version of the API that both sides know.
    let docker = docker.negotiate_version().await.map_err(silent)?;
    let (version, info) = tokio::try_join!(docker.version(), docker.info()).map_err(silent)?;
    let speaks = version.api_version.clone().unwrap_or_default();
    if api_number(&speaks).is_none_or(|number| number < OLDEST_API) {
        return Err((Finding::TooOld, format!("it speaks API {speaks:?}")));
    }
    let info = EngineInfo::new(address.clone(), version, info);
    let said = info.clone();
    let open_files = tokio::task::spawn_blocking(move || open_files::limit(&said)).await.ok().flatten();
    let info = EngineInfo { open_files, ..info };
    Ok(Engine::new(docker, info))
}

fn api_number(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(finding: Finding, kind: Kind, found_by: &str) -> (Finding, Trouble) {
        let found_by = found_by.to_owned();
        let candidate = Candidate { address: Address::parse("unix:///x"), found_by, kind };
        (finding, trouble(&candidate, String::new(), Platform::Linux))
    }

    #[test]
    fn a_missing_socket_means_not_installed_only_where_no_engine_is() {
        let code = |finding, found_by, installed| {
            judge(vec![found(finding, Kind::Docker, found_by)], installed).code()
        };
        let usual = discovery::USUAL;
        assert_eq!(code(Finding::Absent, usual, None), "engine-not-installed");
        assert_eq!(code(Finding::Absent, usual, Some(Kind::Docker)), "engine-not-running");
        assert_eq!(code(Finding::Absent, "the setting docker-host", None), "engine-not-running");
        assert_eq!(code(Finding::Closed, usual, None), "engine-no-permission");
        assert_eq!(code(Finding::TooOld, usual, None), "engine-too-old");
    }

    #[test]
    fn of_several_troubles_the_most_telling_one_is_told() {
        let several = |second| {
            vec![
                found(Finding::Absent, Kind::Docker, discovery::USUAL),
                found(second, Kind::Podman, discovery::USUAL),
                found(Finding::Absent, Kind::Colima, discovery::USUAL),
            ]
        };
        assert_eq!(judge(several(Finding::Closed), None).code(), "engine-no-permission");
        let state = judge(several(Finding::Absent), Some(Kind::Podman));
        assert!(state.explain().contains("podman.socket"), "{}", state.explain());
    }

    #[test]
    fn api_versions_are_compared_as_numbers() {
        assert!(api_number("1.9").unwrap() < OLDEST_API);
        assert!(api_number("1.40").unwrap() >= OLDEST_API);
        assert!(api_number("1.100").unwrap() > OLDEST_API);
        assert_eq!(api_number("x"), None);
    }
}
