//! One socket by its two ends: the kernel finds it as it finds the receiver of a packet, whatever number of sockets
//! there is. See `sock_diag(7)`.

use std::io;
use std::net::SocketAddr;

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP, TCP_LISTEN};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags};
use netlink_sys::SocketAddr as Kernel;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;

use super::{Socket, plain};

/// Stands for a cookie that is not known.
const ANY: [u8; 8] = [0xff; 8];
/// Bytes; the answer about one socket has about a hundred.
const LONGEST_ANSWER: usize = 4096;

/// The connected socket with these ends. This takes the kernel some microseconds. `None` where there is no such socket
/// or where the kernel does not answer, which it does not tell apart.
pub(crate) fn find(local: SocketAddr, remote: SocketAddr) -> Option<Socket> {
    let (local, remote) = (plain(local), plain(remote));
    let answer = ask(&question(local, remote)).ok()?;
    let NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(found)) =
        NetlinkMessage::deserialize(&answer).ok()?.payload
    else {
        return None;
    };
    // Where nothing is connected the kernel names who listens on that port.
    Some(read(&found.header))
        .filter(|socket| !socket.listens && socket.local == local && socket.remote == remote)
}

fn question(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let socket_id = SocketId {
        source_port: local.port(),
        destination_port: remote.port(),
        source_address: local.ip(),
        destination_address: remote.ip(),
        interface_id: 0,
        cookie: ANY,
    };
    let request = InetRequest {
        family: if local.is_ipv4() { AF_INET } else { AF_INET6 },
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id,
    };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// The kernel has answered when sending returns, so nothing waits here.
fn ask(question: &[u8]) -> io::Result<Vec<u8>> {
    let socket = netlink_sys::Socket::new(NETLINK_SOCK_DIAG)?;
    socket.set_non_blocking(true)?;
    socket.send_to(question, &Kernel::new(0, 0), 0)?;
    let mut answer = Vec::with_capacity(LONGEST_ANSWER);
    socket.recv(&mut answer, 0)?;
    Ok(answer)
}

fn read(found: &InetResponseHeader) -> Socket {
    let id = &found.socket_id;
    Socket {
        local: plain(SocketAddr::new(id.source_address, id.source_port)),
        remote: plain(SocketAddr::new(id.destination_address, id.destination_port)),
        listens: found.state == TCP_LISTEN,
        user: found.uid,
        inode: found.inode.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::ops::ControlFlow;

    use super::*;
    use crate::socket_table::look;

    /// What the whole table has of it.
    fn in_the_table(local: SocketAddr, remote: SocketAddr) -> Option<Socket> {
        let mut found = None;
        look(|socket| {
            if (socket.local, socket.remote) == (plain(local), plain(remote)) {
                found = Some(socket);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        found
    }

    #[test]
    fn a_connected_socket_is_found_as_the_table_has_it() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let at = listener.local_addr().unwrap();
            let mapped = SocketAddr::new(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(), at.port());
            for at in if at.is_ipv4() { vec![at, mapped] } else { vec![at] } {
                let client = TcpStream::connect(at).unwrap();
                let (local, remote) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
                let found = find(local, remote);
                assert!(found.is_some(), "{at}");
                assert_eq!(found, in_the_table(local, remote));
            }
        }
    }

    #[test]
    fn a_socket_that_listens_on_the_port_of_one_that_is_gone_is_not_taken_for_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(find(listener.local_addr().unwrap(), "127.0.0.1:9".parse().unwrap()), None);
    }
}
