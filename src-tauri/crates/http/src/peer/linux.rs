//! Linux: the kernel lists all sockets with their owners in `/proc/net/tcp` and `/proc/net/tcp6`.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Peer;

const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
/// The administrator.
const ROOT: u32 = 0;

/// A line of the table.
#[derive(Debug, PartialEq, Eq)]
struct Socket {
    local: SocketAddr,
    remote: SocketAddr,
    user: u32,
    /// 0 for a socket that its program has closed; its user is then said to be 0, whoever it was.
    inode: u64,
}

/// Whose program holds the end `client` of the connection to `server`. This blocks for about a millisecond.
pub(super) fn peer(client: SocketAddr, server: SocketAddr) -> Peer {
    // A client on another computer has no socket here.
    if !is_here(client) {
        return Peer::Unknown;
    }
    match find(plain(client), plain(server)) {
        Ok(socket) => judge(socket.as_ref(), rustix::process::geteuid().as_raw()),
        Err(error) => {
            tracing::debug!(%error, "the system does not tell whose connections are");
            Peer::Unknown
        }
    }
}

/// A program that has closed its socket, perhaps right after it sent a request, is not known any more. Whoever wants
/// to be let in has to stay.
fn judge(socket: Option<&Socket>, own: u32) -> Peer {
    match socket {
        Some(socket) if socket.inode != 0 && [own, ROOT].contains(&socket.user) => Peer::SameUser,
        _ => Peer::OtherUser,
    }
}

fn find(client: SocketAddr, server: SocketAddr) -> io::Result<Option<Socket>> {
    let mut readable = 0;
    for table in TABLES {
        let Ok(file) = File::open(table) else { continue };
        readable += 1;
        for line in BufReader::new(file).lines().skip(1) {
            // A client may use an IPv6 socket to reach an IPv4 address, so both tables may have it.
            let socket = Socket::read(&line?).filter(|it| it.local == client && it.remote == server);
            if socket.is_some() {
                return Ok(socket);
            }
        }
    }
    if readable == 0 { Err(io::ErrorKind::NotFound.into()) } else { Ok(None) }
}

fn is_here(client: SocketAddr) -> bool {
    plain(client).ip().is_loopback()
}

/// An IPv4 address in IPv6 form as what it is, without what an address is besides IP and port.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl Socket {
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (local, remote) = (address(words.nth(1)?)?, address(words.next()?)?);
        // Between them stand the state, the queues, the timer and the count of retries; behind the user, the timeout.
        let user = words.nth(4)?.parse().ok()?;
        let inode = words.nth(1)?.parse().ok()?;
        Some(Self { local, remote, user, inode })
    }
}

/// `0100007F:1F90`: the address in words of four bytes, each as this computer keeps it in memory, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let words = ip.as_bytes().chunks(8).map(|word| {
        let text = std::str::from_utf8(word).ok().filter(|text| text.len() == 8)?;
        let word = u32::from_str_radix(text, 16).ok()?;
        Some(word.to_ne_bytes())
    });
    let bytes = words.collect::<Option<Vec<_>>>()?.concat();
    let ip: IpAddr = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
        _ => return None,
    };
    Some(plain(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?)))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{TcpListener, TcpStream};
    use std::process::{Child, Command, Stdio};

    use super::*;

    const LINE: &str = "   3: 0100007F:AC0B 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 \
                        600415 1 000000003c75fcdf 20 4 30 10 -1";

    fn socket(user: u32, inode: u64) -> Socket {
        let at = |port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        Socket { local: at(0xAC0B), remote: at(0x1F90), user, inode }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_line_of_the_table_is_read() {
        assert_eq!(Socket::read(LINE), Some(socket(1000, 600_415)));
        let six = "00000000000000000000000001000000:1F90";
        assert_eq!(address(six), Some("[::1]:8080".parse().unwrap()));
        assert_eq!(address("0000000000000000FFFF00000100007F:1F90"), Some("127.0.0.1:8080".parse().unwrap()));
        for odd in ["", "0100007F", "0100007:1F90", "0100007F0100007F:1F90", "xy:1F90", "0100007F:x"] {
            assert_eq!(address(odd), None, "{odd}");
        }
        assert_eq!(Socket::read("  sl  local_address rem_address   st"), None);
    }

    #[test]
    fn only_a_socket_that_somebody_holds_is_its_owners() {
        assert_eq!(judge(Some(&socket(1000, 1)), 1000), Peer::SameUser);
        assert_eq!(judge(Some(&socket(0, 1)), 1000), Peer::SameUser);
        assert_eq!(judge(Some(&socket(1001, 1)), 1000), Peer::OtherUser);
        assert_eq!(judge(Some(&socket(0, 0)), 1000), Peer::OtherUser);
        assert_eq!(judge(None, 1000), Peer::OtherUser);
    }

    fn accepted(listener: &TcpListener) -> (TcpStream, Peer) {
        let (stream, client) = listener.accept().unwrap();
        let peer = peer(client, stream.local_addr().unwrap());
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
