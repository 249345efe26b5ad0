//! The kernel's list of TCP sockets with their owners, `/proc/net/tcp` and `/proc/net/tcp6`. Linux only.

mod exact;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::ControlFlow;

pub(crate) use exact::find;

const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
/// The state of a socket that listens.
const LISTENING: &str = "0A";

/// A line of the table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Socket {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) listens: bool,
    pub(crate) user: u32,
    /// 0 for a socket that its program has closed; its user is then said to be 0, whoever it was.
    pub(crate) inode: u64,
}

/// Shows each socket to `see`, until that has seen enough. This blocks for about a microsecond a socket. One of a moment
/// ago may be passed over when many others come and go meanwhile.
pub(crate) fn look(mut see: impl FnMut(Socket) -> ControlFlow<()>) -> io::Result<()> {
    let mut readable = 0;
    let mut line = String::new();
    for table in TABLES {
        let Ok(file) = File::open(table) else { continue };
        readable += 1;
        let mut lines = BufReader::new(file);
        while lines.read_line(&mut line)? > 0 {
            if let Some(socket) = Socket::read(&line)
                && see(socket).is_break()
            {
                return Ok(());
            }
            line.clear();
        }
    }
    if readable == 0 { Err(io::ErrorKind::NotFound.into()) } else { Ok(()) }
}

/// An IPv4 address in IPv6 form as what it is, without what an address is besides IP and port.
pub(crate) fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl Socket {
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (local, remote) = (address(words.nth(1)?)?, address(words.next()?)?);
        let listens = words.next()? == LISTENING;
        // Between them stand the queues, the timer and the count of retries; behind the user, the timeout.
        let user = words.nth(3)?.parse().ok()?;
        let inode = words.nth(1)?.parse().ok()?;
        Some(Self { local, remote, listens, user, inode })
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
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn a_line_of_the_table_is_read() {
        let line = |state: &str| {
            format!(
                "   3: 0100007F:AC0B 0100007F:1F90 {state} 00000000:00000000 00:00000000 00000000  1000        0 \
                 600415 1 000000003c75fcdf 20 4 30 10 -1"
            )
        };
        let at = |port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        let socket =
            |listens| Socket { local: at(0xAC0B), remote: at(0x1F90), listens, user: 1000, inode: 600_415 };
        assert_eq!(Socket::read(&line("01")), Some(socket(false)));
        assert_eq!(Socket::read(&line("0A")), Some(socket(true)));
        let six = "00000000000000000000000001000000:1F90";
        assert_eq!(address(six), Some("[::1]:8080".parse().unwrap()));
        assert_eq!(address("0000000000000000FFFF00000100007F:1F90"), Some("127.0.0.1:8080".parse().unwrap()));
        for odd in ["", "0100007F", "0100007:1F90", "0100007F0100007F:1F90", "xy:1F90", "0100007F:x"] {
            assert_eq!(address(odd), None, "{odd}");
        }
        assert_eq!(Socket::read("  sl  local_address rem_address   st"), None);
    }
}
