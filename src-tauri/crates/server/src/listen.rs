//! Opens the port on this computer's own addresses, 127.0.0.1 and `[::1]`, and on no other.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::net::TcpListener;

use crate::StartError;

/// How often another free port is tried when the one that the system chose is taken on the other address.
const TRIES: usize = 8;

/// Listens on `port` of both addresses; 0 takes one that is free on both. Returns the port with the listeners.
///
/// # Errors
/// [`StartError::PortTaken`] when either address has the port in use; a computer without IPv6 is fine.
pub(crate) async fn listen(port: u16) -> Result<(Vec<TcpListener>, u16), StartError> {
    let mut tries = if port == 0 { TRIES } else { 1 };
    loop {
        tries -= 1;
        match listen_on_both(port).await {
            Err(StartError::PortTaken { .. }) if tries > 0 => {}
            result => return result,
        }
    }
}

async fn listen_on_both(port: u16) -> Result<(Vec<TcpListener>, u16), StartError> {
    let first = bind(Ipv4Addr::LOCALHOST.into(), port).await.map_err(|problem| refused(port, problem))?;
    let port = first.local_addr().map_err(|problem| refused(port, problem))?.port();
    match bind(Ipv6Addr::LOCALHOST.into(), port).await {
        Ok(second) => Ok((vec![first, second], port)),
        Err(problem) if problem.kind() == io::ErrorKind::AddrInUse => Err(StartError::PortTaken { port }),
        Err(problem) => {
            tracing::debug!(%problem, "this computer has no IPv6; listening on 127.0.0.1 only");
            Ok((vec![first], port))
        }
    }
}

async fn bind(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((address, port)).await
}

fn refused(port: u16, problem: io::Error) -> StartError {
    match problem.kind() {
        io::ErrorKind::AddrInUse => StartError::PortTaken { port },
        _ => StartError::CannotListen { port, problem },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_an_error_that_names_it() {
        let (_listeners, port) = listen(0).await.unwrap();
        let error = listen(port).await.unwrap_err();
        assert_eq!(error.code(), "port-taken");
        assert!(error.to_string().contains(&port.to_string()));
    }
}
