//! Reads the text of one setting into its value. Knows neither files nor the environment.
//!
//! Every function answers with the end of a sentence when the text does not fit ("is not a number").

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use deskgrid_docker::Address;
use deskgrid_job::WorkerId;
use deskgrid_sites::Origin;
use directories::BaseDirs;

use super::Notifications;

/// The least memory that the engine accepts as a limit, in bytes.
const LEAST_MEMORY: u64 = 6 << 20;
/// The least that a size on a disk may be, in bytes: a smaller one is a mistake.
const LEAST_ON_DISK: u64 = 6_000_000;

type Read<T> = Result<T, String>;

pub(super) fn port(text: &str) -> Read<u16> {
    text.trim().parse().map_err(|_| "is not a port".to_owned())
}

/// The absolute path of a folder. A relative one counts from `base`, and `~/` is the home folder: no shell
/// replaces it in a file or behind `--flag=`.
pub(super) fn folder(text: &str, base: &Path) -> Read<PathBuf> {
    if text.trim().is_empty() {
        return Err("is empty".into());
    }
    match text.strip_prefix("~/") {
        Some(rest) => BaseDirs::new()
            .map(|dirs| dirs.home_dir().join(rest))
            .ok_or_else(|| "starts at a home folder, which this account does not have".into()),
        None => std::path::absolute(base.join(text)).map_err(|error| format!("is not a path ({error})")),
    }
}

/// Thousandths of a CPU.
pub(super) fn cpu_millis(text: &str) -> Read<u32> {
    let cpus: f64 = text.trim().parse().map_err(|_| "is not a number".to_owned())?;
    let millis = (cpus * 1000.0).round();
    if !(1.0..=f64::from(u32::MAX)).contains(&millis) {
        return Err("is not a usable number of CPUs".into());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked above")]
    Ok(millis as u32)
}

/// Bytes of memory.
pub(super) fn memory(text: &str) -> Read<u64> {
    at_least(LEAST_MEMORY, deskgrid_wire::size::parse(text))
}

/// Bytes on a disk.
pub(super) fn on_disk(text: &str) -> Read<u64> {
    at_least(LEAST_ON_DISK, deskgrid_wire::size::parse_on_disk(text))
}

fn at_least(least: u64, bytes: Option<u64>) -> Read<u64> {
    let bytes = bytes.ok_or("is not a size")?;
    if bytes < least {
        return Err(format!("is only {bytes} bytes"));
    }
    Ok(bytes)
}

/// The ids of GPUs: `2` are the first two, `device=1,3` are those.
pub(super) fn gpus(text: &str) -> Read<Vec<String>> {
    if let Some(ids) = text.trim().strip_prefix("device=") {
        let mut chosen: Vec<String> = Vec::new();
        for id in ids.split(',').map(str::trim) {
            if id.is_empty() || chosen.iter().any(|known| known == id) {
                return Err("has an empty or doubled id".into());
            }
            chosen.push(id.to_owned());
        }
        return Ok(chosen);
    }
    let count: u8 =
        text.trim().parse().map_err(|_| "is neither a small number nor a list of ids".to_owned())?;
    Ok((0..count).map(|id| id.to_string()).collect())
}

pub(super) fn duration(text: &str) -> Read<Duration> {
    // A bare number counts milliseconds in the protocol, which nobody means here.
    if text.trim().parse::<f64>().is_ok() {
        return Err("has no unit".into());
    }
    let milliseconds = deskgrid_wire::duration::parse(text).ok_or("is not a time")?;
    match Duration::try_from_secs_f64(milliseconds / 1000.0) {
        Ok(time) if time >= Duration::from_secs(1) => Ok(time),
        Ok(time) => Err(format!("is only {} milliseconds", time.as_millis())),
        Err(_) => Err("is less than nothing, or longer than anyone can wait".into()),
    }
}

pub(super) fn worker_id(text: &str) -> Read<WorkerId> {
    WorkerId::new(text).map_err(|_| "is empty, too long or has a character that is not allowed".into())
}

pub(super) fn docker_host(text: &str) -> Read<String> {
    match Address::parse(text) {
        Address::Unusable { reason, .. } => {
            Err(format!("is no usable address of an engine. {}", reason.trim_end_matches('.')))
        }
        _ => Ok(text.trim().to_owned()),
    }
}

/// One origin in the form in which browsers send it: lower case and without a default port.
pub(super) fn origin(text: &str) -> Read<Origin> {
    Origin::of_person(text).map_err(|problem| problem.to_string())
}

/// A host name with or without a port, as a client writes it.
pub(super) fn host(text: &str) -> Read<String> {
    let host = text.trim().to_ascii_lowercase();
    let is_of_host = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    match host.as_str() {
        "" => Err("is empty".into()),
        host if host.bytes().all(is_of_host) => Ok(host.to_owned()),
        _ => Err("is no name of a computer: leave out schemes, paths and wildcards".into()),
    }
}

pub(super) fn address(text: &str) -> Read<IpAddr> {
    text.trim().parse().map_err(|_| "is no address".to_owned())
}

pub(super) fn notifications(text: &str) -> Read<Notifications> {
    Notifications::parse(text.trim()).ok_or_else(|| "is none of these".to_owned())
}

/// Bytes on the disk. Less than this would not even hold one image's worth of results.
pub(super) fn cache_limit(text: &str) -> Read<u64> {
    const LEAST: u64 = 100_000_000;
    match on_disk(text)? {
        bytes if bytes < LEAST => Err("is too little".into()),
        bytes => Ok(bytes),
    }
}

/// Bytes of the disk that stay free; none may be wanted.
pub(super) fn disk_reserve(text: &str) -> Read<u64> {
    if text.trim() == "0" { Ok(0) } else { on_disk(text) }
}

/// Files of a build; without any there is nothing to build.
pub(super) fn context_files(text: &str) -> Read<u64> {
    match text.trim().parse() {
        Ok(0) => Err("is too little".to_owned()),
        Ok(count) => Ok(count),
        Err(_) => Err("is no whole number".to_owned()),
    }
}

pub(super) fn truth(text: &str) -> Read<bool> {
    text.trim().parse().map_err(|_| "is neither".to_owned())
}

/// Every value of a list, in order and without doubles; the refused one comes with its error.
pub(super) fn list<T: PartialEq>(
    texts: &[String],
    read: impl Fn(&str) -> Read<T>,
) -> Result<Vec<T>, (String, String)> {
    let mut values = Vec::new();
    for text in texts {
        let value = read(text).map_err(|problem| (text.clone(), problem))?;
        if !values.contains(&value) {
            values.push(value);
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_may_be_fractions_but_not_nothing() {
        assert_eq!(cpu_millis("1.5"), Ok(1500));
        assert_eq!(cpu_millis(" 4 "), Ok(4000));
        for bad in ["0", "-1", "nan", "inf", "1e9", "four", ""] {
            assert!(cpu_millis(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn memory_and_times_without_a_unit_are_refused() {
        assert_eq!(memory("8g"), Ok(8 << 30));
        assert_eq!(cache_limit("20 GB"), Ok(20_000_000_000));
        assert_eq!(
            (memory("6m"), disk_reserve("6m")),
            (Ok(6 << 20), Ok(6_000_000)),
            "the least that is told"
        );
        assert!(memory("5.9m").is_err() && disk_reserve("5.9m").is_err());
        assert_eq!(duration("20m"), Ok(Duration::from_secs(1200)));
        for bad in ["8", "lots", "", "-8g"] {
            assert!(memory(bad).is_err(), "{bad:?}");
        }
        for bad in ["20", "soon", "", "-5s"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn gpus_are_a_count_or_a_list() {
        assert_eq!(gpus("2").unwrap(), ["0", "1"]);
        assert_eq!(gpus("0").unwrap(), [""; 0]);
        assert_eq!(gpus("device=1,3").unwrap(), ["1", "3"]);
        for bad in ["device=", "device=1,1", "device=1,", "all", "-1", "1000"] {
            assert!(gpus(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn hosts_are_names_with_or_without_a_port() {
        assert_eq!(host(" Lab-PC:8000 "), Ok("lab-pc:8000".to_owned()));
        for bad in ["", "http://lab", "*.lab", "a b"] {
            assert!(host(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn lists_have_no_doubles_and_name_what_they_refuse() {
        let texts = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(list(&texts(&["1", "2", "1"]), port), Ok(vec![1, 2]));
        assert_eq!(list(&texts(&["1", "x"]), port).unwrap_err().0, "x");
    }

    #[test]
    fn an_engine_address_must_be_one_that_we_can_reach() {
        assert!(docker_host("unix:///run/docker.sock").is_ok());
        for bad in ["", "docker", "ssh://host", "unix://", "https://host"] {
            assert!(docker_host(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_relative_folder_counts_from_where_it_was_written() {
        let base = std::env::temp_dir();
        assert_eq!(folder("data", &base).unwrap(), base.join("data"));
        assert!(folder(" ", &base).is_err());
    }
}
