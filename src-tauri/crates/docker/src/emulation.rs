//! Images that are made for another kind of processor: which of them an engine can run all the same, slower.

use std::path::Path;

use crate::engine::{Engine, EngineInfo};
use crate::image::Image;
use crate::surroundings::Platform;

/// Where Linux lists the emulators that run programs for other processors.
const HANDLERS: &str = "/proc/sys/fs/binfmt_misc";

/// The platforms beside its own for which most images are made, with the names of their emulators.
const OTHERS: [(&str, &str, &[&str]); 2] =
    [("amd64", "linux/amd64", &["qemu-x86_64", "rosetta"]), ("arm64", "linux/arm64", &["qemu-aarch64"])];

impl Engine {
    /// The platform that the image is made for, when it is none of this engine's own.
    pub fn emulates(&self, image: &Image) -> Option<String> {
        is_foreign(&image.platform, &self.info().os, &self.info().arch).then(|| image.platform.clone())
    }

    /// Its own platform, such as `linux/amd64`.
    pub fn platform(&self) -> String {
        format!("{}/{}", self.info().os, self.info().arch)
    }
}

/// Nothing is foreign of which too little is known.
fn is_foreign(platform: &str, os: &str, arch: &str) -> bool {
    let Some((image_os, image_arch)) = platform.split_once('/') else { return false };
    let runs_as_well = match arch {
        "amd64" => "386",
        "arm64" => "arm",
        _ => arch,
    };
    let is_known = [image_os, image_arch, os, arch].iter().all(|word| !word.is_empty());
    is_known && (image_os != os || (image_arch != arch && image_arch != runs_as_well))
}

/// The platforms that this engine can emulate, as far as that can be known.
pub(crate) async fn platforms(info: &EngineInfo) -> Vec<&'static str> {
    let info = info.clone();
    let look = move || emulated(&info, Platform::here(), &Path::exists);
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

fn emulated(info: &EngineInfo, here: Platform, exists: &dyn Fn(&Path) -> bool) -> Vec<&'static str> {
    // Every engine for these systems runs in a machine that comes with emulators.
    let has_all = info.is_desktop || here != Platform::Linux;
    let is_local = info.address.socket().is_some();
    let can = |names: &[&str]| {
        has_all || is_local && names.iter().any(|name| exists(&Path::new(HANDLERS).join(name)))
    };
    let others = OTHERS.iter().filter(|(arch, ..)| info.os == "linux" && *arch != info.arch);
    others.filter(|(.., names)| can(names)).map(|(_, platform, _)| *platform).collect()
}

#[cfg(test)]
mod tests {
    use bollard::models::{SystemInfo, SystemVersion};

    use super::*;
    use crate::address::Address;

    fn engine(address: &str, arch: &str, product: &str) -> EngineInfo {
        let version = SystemVersion {
            os: Some("linux".to_owned()),
            arch: Some(arch.to_owned()),
            ..SystemVersion::default()
        };
        let info = SystemInfo { operating_system: Some(product.to_owned()), ..SystemInfo::default() };
        EngineInfo::new(Address::parse(address), version, info)
    }

    #[test]
    fn an_image_for_another_processor_or_system_is_foreign() {
        let on_amd64 = |platform| is_foreign(platform, "linux", "amd64");
        assert!(on_amd64("linux/arm64") && on_amd64("windows/amd64") && on_amd64("linux/arm"));
        assert!(!on_amd64("linux/amd64") && !on_amd64("linux/386") && !on_amd64("linux/") && !on_amd64(""));
        assert!(!is_foreign("linux/arm", "linux", "arm64") && is_foreign("linux/amd64", "linux", "arm64"));
    }

    #[test]
    fn an_engine_emulates_what_its_system_has_an_emulator_for() {
        let qemu = |path: &Path| path.ends_with("qemu-aarch64");
        let docker = engine("unix:///x", "amd64", "Debian");
        assert_eq!(emulated(&docker, Platform::Linux, &qemu), ["linux/arm64"]);
        assert!(emulated(&docker, Platform::Linux, &|_| false).is_empty());
        let elsewhere = engine("tcp://lab:2375", "amd64", "Debian");
        assert!(emulated(&elsewhere, Platform::Linux, &qemu).is_empty());
        let desktop = engine("unix:///x", "arm64", "Docker Desktop");
        assert_eq!(emulated(&desktop, Platform::Linux, &|_| false), ["linux/amd64"]);
        let colima = engine("unix:///x", "arm64", "Ubuntu");
        assert_eq!(emulated(&colima, Platform::MacOs, &|_| false), ["linux/amd64"]);
    }
}
