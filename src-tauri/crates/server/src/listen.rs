//! Opens the port on this computer's own addresses, `127.0.0.1` and `[::1]`, and on no other but the
//! one that the settings name.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::net::TcpListener;

use crate::StartError;

/// How often another free port is tried when the one that the system chose is taken on the other address.
const TRIES: usize = 8;

/// Listens on `port` of both addresses, and of `also`; 0 takes one that is free on both. Returns the port with the
/// listeners.
///
/// # Errors
/// [`StartError::PortTaken`] when either address has the port in use; a computer without IPv6 is fine.
pub(crate) async fn listen(port: u16, also: Option<IpAddr>) -> Result<(Vec<TcpListener>, u16), StartError> {
    let mut tries = if port == 0 { TRIES } else { 1 };
    loop {
        tries -= 1;
        match listen_on_both(port).await {
            Err(StartError::PortTaken { .. }) if tries > 0 => {}
            Ok((mut listeners, port)) => {
                if let Some(address) = also {
                    listen_also(&mut listeners, address, port).await?;
                }
                return Ok((listeners, port));
            }
            refused => return refused,
        }
    }
}

/// Adds a listener on `address`. One for all addresses takes the place of those on this computer's own.
async fn listen_also(listeners: &mut Vec<TcpListener>, address: IpAddr, port: u16) -> Result<(), StartError> {
    let is_there = |listener: &TcpListener| listener.local_addr().is_ok_and(|known| known.ip() == address);
    if listeners.iter().any(is_there) {
        return Ok(());
    }
    if address.is_unspecified() {
        // The system does not give a port of one address to two. That of IPv6 may take IPv4 along.
        listeners.retain(|own| address.is_ipv4() && own.local_addr().is_ok_and(|own| own.is_ipv6()));
    }
    let refused = |problem| StartError::CannotListenAlso { address, problem };
    listeners.push(bind(address, port).await.map_err(refused)?);
    if address == Ipv6Addr::UNSPECIFIED
        && let Ok(own) = bind(Ipv4Addr::LOCALHOST.into(), port).await
    {
        listeners.push(own);
    }
    Ok(())
}

async fn listen_on_both(port: u16) -> Result<(Vec<TcpListener>, u16), StartError> {
    let first = bind(Ipv4Addr::LOCALHOST.into(), port).await.map_err(|problem| refused(port, problem))?;
    let port = first.local_addr().map_err(|problem| refused(port, problem))?.port();
    match bind(Ipv6Addr::LOCALHOST.into(), port).await {
        Ok(second) => Ok((vec![first, second], port)),
        Err(problem) if problem.kind() == io::ErrorKind::AddrInUse => Err(taken(port)),
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
        let (_listeners, port) = listen(0, None).await.unwrap();
        let error = listen(port, None).await.unwrap_err();
        assert_eq!(error.code(), "port-taken");
        assert!(error.to_string().contains(&port.to_string()));
    }

    #[tokio::test]
    async fn a_further_address_is_listened_on_beside_our_own() {
        for further in ["127.0.0.1", "0.0.0.0"] {
            let (listeners, _) = listen(0, further.parse().ok()).await.unwrap();
            let is_it = |listener: &&TcpListener| listener.local_addr().unwrap().ip().to_string() == further;
            assert_eq!(listeners.iter().filter(is_it).count(), 1, "{further}");
        }
        // A documentation address, which no computer has.
        let error = listen(0, "192.0.2.1".parse().ok()).await.unwrap_err();
        assert!(error.to_string().contains("192.0.2.1") && error.to_string().contains("listen"), "{error}");
    }
}
