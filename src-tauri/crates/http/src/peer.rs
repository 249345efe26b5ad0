//! Which user of this computer is at the other end of a connection.
//!
//! Every user of a computer can connect to its own addresses, so a port there is no door of one person's. The system
//! knows whose a socket is; it is asked at most once a connection, when somebody wants to know.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::OnceCell;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(not(target_os = "linux"))]
use elsewhere::peer;
#[cfg(target_os = "linux")]
use linux::peer;

/// Whose program is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "other systems do not tell"))]
pub(crate) enum Peer {
    /// One of the user that we run as, or of the administrator, whom nothing keeps out anyway.
    SameUser,
    /// Another user's, or one that did not stay until we looked.
    OtherUser,
    /// The system does not tell.
    Unknown,
}

/// The other end of a connection; each request has it among its extensions. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Remote(Arc<Ends>);

#[derive(Debug)]
struct Ends {
    client: SocketAddr,
    server: SocketAddr,
    found: OnceCell<Peer>,
}

impl Remote {
    /// The connection from `client` to our own end `server`.
    pub(crate) fn new(client: SocketAddr, server: SocketAddr) -> Self {
        Self(Arc::new(Ends { client, server, found: OnceCell::new() }))
    }

    /// Whose it is. The first call asks the system, on a thread that may block; what it said holds for the connection.
    pub(crate) async fn user(&self) -> Peer {
        let Ends { client, server, found } = &*self.0;
        let (client, server) = (*client, *server);
        let look = || async move {
            let found = tokio::task::spawn_blocking(move || peer(client, server)).await;
            // It breaks off only when the server ends.
            found.unwrap_or(Peer::Unknown)
        };
        *found.get_or_init(look).await
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn what_was_found_at_first_holds_for_the_whole_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, from) = listener.accept().await.unwrap();
        let remote = Remote::new(from, stream.local_addr().unwrap());
        let found = remote.user().await;
        #[cfg(target_os = "linux")]
        assert_eq!(found, Peer::SameUser);
        drop((client, stream));
        assert_eq!(remote.clone().user().await, found);
    }
}
