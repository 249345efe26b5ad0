//! Linux: the kernel lists all sockets with their owners.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;

use super::{Ends, Peer};
use crate::socket_table::{self, Socket, plain};

/// The administrator.
const ROOT: u32 = 0;

/// Whose programs hold the ends `client` of these connections, in their order. One look at the kernel's list does for
/// all of them; who is not found is looked for once more, since a list that changes is read with gaps.
pub(super) fn peers(ends: &[Ends]) -> Vec<Peer> {
    let mut found = HashMap::new();
    // A client on another computer has no socket here.
    let mut missing: HashSet<_> = ends.iter().filter(|ends| is_here(ends.client)).map(plain_ends).collect();
    let wanted = missing.clone();
    for _ in 0..2 {
        if let Err(error) = find(&mut missing, &mut found) {
            tracing::debug!(%error, "the system does not tell whose connections are");
            return vec![Peer::Unknown; ends.len()];
        }
    }
    let own = rustix::process::geteuid().as_raw();
    let judged = |ends: &Ends| match plain_ends(ends) {
        ends if wanted.contains(&ends) => judge(found.get(&ends), own),
        _ => Peer::Unknown,
    };
    ends.iter().map(judged).collect()
}

/// Whose program holds the end `client`, where the kernel tells by itself: the question costs microseconds and no thread.
pub(super) fn peer_at_once(ends: &Ends) -> Option<Peer> {
    if !is_here(ends.client) {
        return Some(Peer::Unknown);
    }
    let socket = socket_table::find(ends.client, ends.server)?;
    Some(judge(Some(&socket), rustix::process::geteuid().as_raw()))
}

/// Moves those that are there from `missing` to `found`.
fn find(
    missing: &mut HashSet<(SocketAddr, SocketAddr)>,
    found: &mut HashMap<(SocketAddr, SocketAddr), Socket>,
) -> io::Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    // A client may use an IPv6 socket to reach an IPv4 address, so both tables may have it.
    socket_table::look(|socket| {
        let ends = (socket.local, socket.remote);
        if missing.remove(&ends) {
            found.insert(ends, socket);
        }
        if missing.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
}

fn plain_ends(ends: &Ends) -> (SocketAddr, SocketAddr) {
    (plain(ends.client), plain(ends.server))
}

/// A program that has closed its socket, perhaps right after it sent a request, is not known any more. Whoever wants
/// to be let in has to stay.
fn judge(socket: Option<&Socket>, own: u32) -> Peer {
    match socket {
        Some(socket) if socket.inode != 0 && [own, ROOT].contains(&socket.user) => Peer::SameUser,
        _ => Peer::OtherUser,
    }
}

fn is_here(client: SocketAddr) -> bool {
    plain(client).ip().is_loopback()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn socket(user: u32, inode: u64) -> Socket {
        let at = |port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        Socket { local: at(0xAC0B), remote: at(0x1F90), listens: false, user, inode }
    }

    #[test]
    fn only_a_socket_that_somebody_holds_is_its_owners() {
        assert_eq!(judge(Some(&socket(1000, 1)), 1000), Peer::SameUser);
        assert_eq!(judge(Some(&socket(0, 1)), 1000), Peer::SameUser);
        assert_eq!(judge(Some(&socket(1001, 1)), 1000), Peer::OtherUser);
        assert_eq!(judge(Some(&socket(0, 0)), 1000), Peer::OtherUser);
        assert_eq!(judge(None, 1000), Peer::OtherUser);
    }

    fn peer(client: SocketAddr, server: SocketAddr) -> Peer {
        peers(&[Ends { client, server }])[0]
    }

    fn accepted(listener: &TcpListener) -> (TcpStream, Peer) {
        let (stream, client) = listener.accept().unwrap();
        let server = stream.local_addr().unwrap();
        let peer = peer(client, server);
        assert_eq!(peer_at_once(&Ends { client, server }), Some(peer), "both ways tell the same");
        (stream, peer)
    }

    #[test]
    fn our_own_program_is_known_by_either_kind_of_address() {
        let four = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(four.local_addr().unwrap()).unwrap();
        assert_eq!(accepted(&four).1, Peer::SameUser);
        let mapped =
            SocketAddr::new(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(), four.local_addr().unwrap().port());
        let _client = TcpStream::connect(mapped).unwrap();
        assert_eq!(accepted(&four).1, Peer::SameUser);
        if let Ok(six) = TcpListener::bind("[::1]:0") {
            let _client = TcpStream::connect(six.local_addr().unwrap()).unwrap();
            assert_eq!(accepted(&six).1, Peer::SameUser);
        }
    }

    #[test]
    fn a_program_that_closed_its_socket_at_once_is_nobody_of_ours() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        drop(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let (mut stream, client) = listener.accept().unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        assert_eq!(peer(client, stream.local_addr().unwrap()), Peer::OtherUser);
    }

    #[test]
    fn a_crowd_is_told_apart_one_by_one() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let clients: Vec<_> =
            (0..50).map(|_| TcpStream::connect(listener.local_addr().unwrap()).unwrap()).collect();
        let accepted: Vec<_> = clients.iter().map(|_| listener.accept().unwrap()).collect();
        let mut ends: Vec<_> = accepted
            .iter()
            .map(|(stream, client)| Ends { client: *client, server: stream.local_addr().unwrap() })
            .collect();
        ends.push(Ends { client: "192.0.2.1:5000".parse().unwrap(), server: ends[0].server });
        ends.push(Ends { client: "127.0.0.1:1".parse().unwrap(), server: ends[0].server });
        let mut expected = vec![Peer::SameUser; 50];
        expected.extend([Peer::Unknown, Peer::OtherUser]);
        assert_eq!(peers(&ends), expected);
    }

    #[test]
    fn a_client_elsewhere_is_not_looked_for() {
        let client = "192.0.2.1:5000".parse().unwrap();
        assert_eq!(peer(client, "192.0.2.2:8000".parse().unwrap()), Peer::Unknown);
    }

    /// A client that runs as the user 1001 and stays; none where we may not become that user.
    fn other_user(port: u16) -> Option<Child> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; cat <&3");
        let words = ["--reuid", "1001", "--regid", "1001", "--clear-groups", "bash", "-c", &script];
        Command::new("setpriv").args(words).stdin(Stdio::null()).spawn().ok()
    }

    #[test]
    fn another_user_of_this_computer_is_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let Some(mut other) = other_user(listener.local_addr().unwrap().port()) else { return };
        let (stream, peer) = accepted(&listener);
        drop(stream);
        other.wait().unwrap();
        assert_eq!(peer, Peer::OtherUser);
    }
}
