//! Linux: the kernel tells the number of the socket that listens; the process that has it open has the port.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::{HolderProcess, PortHolder};
use crate::socket_table;

pub(super) fn look(port: u16) -> PortHolder {
    let mut found = None;
    let looked = socket_table::look(|socket| {
        if socket.listens && socket.local.port() == port {
            found = Some(socket);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    let (Ok(()), Some(socket)) = (looked, found) else { return PortHolder::default() };
    PortHolder {
        process: process_of(socket.inode),
        is_of_another_user: socket.user != rustix::process::geteuid().as_raw(),
    }
}

/// The process that has this socket open. Those of other users cannot be looked into. Of several the one that handed
/// it to the others is meant: a server that answers in children, or a program that is just starting another one.
fn process_of(inode: u64) -> Option<HolderProcess> {
    let socket = PathBuf::from(format!("socket:[{inode}]"));
    // Beside the processes there are other folders, and links to our own.
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let processes = fs::read_dir("/proc").ok()?.flatten().filter_map(number);
    let holders: Vec<_> = processes.filter(|id| has_open(&folder_of(*id), &socket)).collect();
    let is_first = |id: &&u32| parent_of(**id).is_none_or(|parent| !holders.contains(&parent));
    let id = *holders.iter().find(is_first).or(holders.first())?;
    let name = fs::read_to_string(folder_of(id).join("comm")).unwrap_or_default();
    Some(HolderProcess { id, name: name.trim().to_owned() })
}

fn parent_of(process: u32) -> Option<u32> {
    let status = fs::read_to_string(folder_of(process).join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

fn folder_of(process: u32) -> PathBuf {
    Path::new("/proc").join(process.to_string())
}

fn has_open(process: &Path, socket: &Path) -> bool {
    let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    files.filter_map(|file| fs::read_link(file.path()).ok()).any(|open| open == socket)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_program_that_listens_is_found_with_its_name_at_either_kind_of_address() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let holder = look(listener.local_addr().unwrap().port());
            let process = holder.process.unwrap();
            assert_eq!((process.id, holder.is_of_another_user), (std::process::id(), false), "{address}");
            assert!(!process.name.is_empty());
        }
    }

    #[test]
    fn a_port_that_children_have_too_is_held_by_their_parent() {
        use std::os::fd::OwnedFd;
        use std::process::{Command, Stdio};
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut child = Command::new("sleep");
        child.arg("1000").stdin(Stdio::from(OwnedFd::from(listener.try_clone().unwrap())));
        let mut child = child.spawn().unwrap();
        let holder = look(port).process;
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(holder.map(|process| process.id), Some(std::process::id()));
    }

    #[test]
    fn a_port_on_which_nobody_listens_has_no_holder() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert_eq!(look(port), PortHolder::default());
    }
}
