//! Windows: `netstat` tells the number of the process, `tasklist` its name. Both belong to the system.

use super::HolderProcess;
#[cfg(target_os = "windows")]
use super::{PortHolder, output_of};

#[cfg(target_os = "windows")]
pub(super) fn look(port: u16) -> PortHolder {
    let table = output_of("netstat", &["-ano", "-p", "TCP"]).unwrap_or_default();
    let Some(id) = listener(&table, port) else { return PortHolder::default() };
    let filter = format!("PID eq {id}");
    let tasks = output_of("tasklist", &["/FI", &filter, "/FO", "CSV", "/NH"]).unwrap_or_default();
    PortHolder { process: Some(HolderProcess { id, name: name(&tasks) }), is_of_another_user: false }
}

/// The process that listens on `port`. The word for that depends on the language of the system; that nobody is at the
/// other end does not.
fn listener(table: &str, port: u16) -> Option<u32> {
    let end = format!(":{port}");
    table.lines().find_map(|line| {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        let (local, remote) = (words.get(1)?, words.get(2)?);
        let listens = ["0.0.0.0:0", "[::]:0"].contains(remote);
        (listens && local.ends_with(&end)).then(|| words.last()?.parse().ok())?
    })
}

/// The first field of `"nginx.exe","4711","Services","0","9,000 K"`.
fn name(tasks: &str) -> String {
    let line = tasks.lines().find(|line| line.starts_with('"')).unwrap_or_default();
    line.split('"').nth(1).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\r\nActive Connections\r\n\r\n  Proto  Local Address  Foreign Address  State  PID\r\n\
        \x20 TCP    127.0.0.1:8000    127.0.0.1:50312   ESTABLISHED     11\r\n\
        \x20 TCP    127.0.0.1:18000   0.0.0.0:0         LISTENING       12\r\n\
        \x20 TCP    127.0.0.1:8000    0.0.0.0:0         ABH\u{d6}REN   4711\r\n";

    #[test]
    fn what_netstat_and_tasklist_tell_is_understood() {
        assert_eq!(listener(TABLE, 8000), Some(4711));
        assert_eq!(listener(TABLE, 8001), None);
        assert_eq!(listener("", 8000), None);
        assert_eq!(name("\r\n\"nginx.exe\",\"4711\",\"Services\",\"0\",\"9,000 K\"\r\n"), "nginx.exe");
        assert_eq!(name("INFO: No tasks are running.\r\n"), "");
        let told = HolderProcess { id: 4711, name: name("") };
        assert_eq!(told.name, "");
    }
}
