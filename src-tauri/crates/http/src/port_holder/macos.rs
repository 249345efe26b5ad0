//! macOS: `lsof`, which belongs to the system, tells of the programs of its own user.

use super::HolderProcess;
#[cfg(target_os = "macos")]
use super::{PortHolder, output_of};

#[cfg(target_os = "macos")]
pub(super) fn look(port: u16) -> PortHolder {
    let wanted = format!("-iTCP:{port}");
    let words = ["-nP", &wanted, "-sTCP:LISTEN", "-Fpc"];
    let process = output_of("/usr/sbin/lsof", &words).and_then(|told| process(&told));
    PortHolder { process, is_of_another_user: false }
}

/// The first process of `p4711` and `cnginx`, each on a line.
fn process(told: &str) -> Option<HolderProcess> {
    let id = told.lines().find_map(|line| line.strip_prefix('p')?.parse().ok())?;
    let name = told.lines().find_map(|line| line.strip_prefix('c')).unwrap_or_default();
    Some(HolderProcess { id, name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lsof_tells_is_understood() {
        let told = process("p4711\ncpython3.12\nf3\n");
        assert_eq!(told, Some(HolderProcess { id: 4711, name: "python3.12".to_owned() }));
        assert_eq!(process(""), None);
        assert_eq!(process("lsof: no such thing\n"), None);
    }
}
