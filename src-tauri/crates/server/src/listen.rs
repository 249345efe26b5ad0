//! Opens the port on this computer's own addresses, `127.0.0.1` and `[::1]`, and on no other but the
//! one that the settings name.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::net::{TcpListener, TcpSocket};

use crate::StartError;

/// How often another free port is tried when the one that the system chose is taken on the other address.
const TRIES: usize = 8;
/// Clients that may wait to be accepted: as many as have places. The usual 128 are soon full when programs bring very
/// many files at once; the system then keeps the others waiting for seconds, and resets some.
const BACKLOG: u32 = 2048;

/// Listens on `port` of both addresses, and of `also`; 0 takes one that is free on both. Returns the port with the
/// listeners.
///
/// # Errors
/// [`StartError::PortTaken`] when either address has the port in use; a computer without IPv6 is fine.
pub(crate) fn listen(port: u16, also: Option<IpAddr>) -> Result<(Vec<TcpListener>, u16), StartError> {
    let mut tries = if port == 0 { TRIES } else { 1 };
    loop {
        tries -= 1;
        match listen_on_both(port) {
            Err(StartError::PortTaken { .. }) if tries > 0 => {}
            Ok((mut listeners, port)) => {
                if let Some(address) = also {
                    listen_also(&mut listeners, address, port)?;
                }
                return Ok((listeners, port));
            }
            refused => return refused,
        }
    }
}

/// Adds a listener on `address`. One for all addresses takes the place of those on this computer's own.
fn listen_also(listeners: &mut Vec<TcpListener>, address: IpAddr, port: u16) -> Result<(), StartError> {
    let is_there = |listener: &TcpListener| listener.local_addr().is_ok_and(|known| known.ip() == address);
    if listeners.iter().any(is_there) {
        return Ok(());
    }
    if address.is_unspecified() {
        // The system does not give a port of one address to two. That of IPv6 may take IPv4 along.
        listeners.retain(|own| address.is_ipv4() && own.local_addr().is_ok_and(|own| own.is_ipv6()));
    }
    let refused = |problem| StartError::CannotListenAlso { address, problem };
    listeners.push(bind(address, port).map_err(refused)?);
    if address == Ipv6Addr::UNSPECIFIED
        && let Ok(own) = bind(Ipv4Addr::LOCALHOST.into(), port)
    {
        listeners.push(own);
    }
    Ok(())
}

fn listen_on_both(port: u16) -> Result<(Vec<TcpListener>, u16), StartError> {
    let first = bind(Ipv4Addr::LOCALHOST.into(), port).map_err(|problem| refused(port, problem))?;
    let port = first.local_addr().map_err(|problem| refused(port, problem))?.port();
    match bind(Ipv6Addr::LOCALHOST.into(), port) {
        Ok(second) => Ok((vec![first, second], port)),
        Err(problem) if problem.kind() == io::ErrorKind::AddrInUse => Err(taken(port)),
        Err(problem) => {
            tracing::debug!(%problem, "this computer has no IPv6; listening on 127.0.0.1 only");
            Ok((vec![first], port))
        }
    }
}

fn bind(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // On Unix this frees a port with its last listener; on Windows it would let two programs share one.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind((address, port).into())?;
    socket.listen(BACKLOG)
}

fn refused(port: u16, problem: io::Error) -> StartError {
    match problem.kind() {
        io::ErrorKind::AddrInUse => taken(port),
        _ => StartError::CannotListen { port, problem },
    }
}

/// Who has it is for the porter to find out.
fn taken(port: u16) -> StartError {
    StartError::PortTaken { port, holder: Box::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_an_error_that_names_it() {
        let (_listeners, port) = listen(0, None).unwrap();
        let error = listen(port, None).unwrap_err();
        assert_eq!(error.code(), "port-taken");
        assert!(error.to_string().contains(&port.to_string()));
    }

    #[tokio::test]
    async fn five_hundred_clients_that_come_while_nobody_looks_are_not_turned_away() {
        let (_listeners, port) = listen(0, None).unwrap();
        let mut clients = Vec::new();
        for number in 0..500 {
            let client = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port));
            let client = tokio::time::timeout(std::time::Duration::from_secs(10), client).await;
            clients.push(client.unwrap_or_else(|_| panic!("client {number} is kept waiting")).unwrap());
        }
    }

    #[tokio::test]
    async fn a_further_address_is_listened_on_beside_our_own() {
        for further in ["127.0.0.1", "0.0.0.0"] {
            let (listeners, _) = listen(0, further.parse().ok()).unwrap();
            let is_it = |listener: &&TcpListener| listener.local_addr().unwrap().ip().to_string() == further;
            assert_eq!(listeners.iter().filter(is_it).count(), 1, "{further}");
        }
        // A documentation address, which no computer has.
        let error = listen(0, "192.0.2.1".parse().ok()).unwrap_err();
        assert!(error.to_string().contains("192.0.2.1") && error.to_string().contains("listen"), "{error}");
    }
}
