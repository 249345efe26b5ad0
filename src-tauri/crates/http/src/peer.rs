//! Which user of this computer is at the other end of a connection.
//!
//! Every user of a computer can connect to its own addresses, so a port there is no door of one person's. The system
//! knows whose a socket is; it is asked at most once a connection, when somebody wants to know.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OnceCell, oneshot};

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(not(target_os = "linux"))]
use elsewhere::{peer_at_once, peers};
#[cfg(target_os = "linux")]
use linux::{peer_at_once, peers};

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

/// The two ends of a connection. Nobody but Linux asks for them.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code))]
struct Ends {
    client: SocketAddr,
    server: SocketAddr,
}

/// Looks for those of whom the system does not tell at once, for all who wait at the same time: each look goes through
/// all sockets of this computer, and a thousand clients that come at once would keep a thousand threads busy. A cheap
/// handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clerk(Arc<Mutex<Line>>);

#[derive(Debug, Default)]
struct Line {
    waiting: Vec<(Ends, oneshot::Sender<Peer>)>,
    /// Whether a thread serves those who wait.
    is_served: bool,
}

impl Clerk {
    fn lock(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn peer(&self, ends: Ends) -> Peer {
        let (reply, answer) = oneshot::channel();
        let was_served = {
            let mut line = self.lock();
            line.waiting.push((ends, reply));
            std::mem::replace(&mut line.is_served, true)
        };
        if !was_served {
            let clerk = self.clone();
            tokio::task::spawn_blocking(move || clerk.serve());
        }
        // It breaks off only when the server ends.
        answer.await.unwrap_or(Peer::Unknown)
    }

    /// Serves until nobody waits. Whoever comes during a look is in the next one, which sees his connection.
    fn serve(&self) {
        loop {
            let waiting = {
                let mut line = self.lock();
                line.is_served = !line.waiting.is_empty();
                std::mem::take(&mut line.waiting)
            };
            if waiting.is_empty() {
                return;
            }
            let (ends, replies): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
            for (peer, reply) in peers(&ends).into_iter().zip(replies) {
                // He may have gone.
                let _ = reply.send(peer);
            }
        }
    }
}

/// The other end of a connection; each request has it among its extensions. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Remote(Arc<Connected>);

#[derive(Debug)]
struct Connected {
    ends: Ends,
    clerk: Clerk,
    found: OnceCell<Peer>,
}

impl Remote {
    /// The connection from `client` to our own end `server`; `clerk` finds out whose it is.
    pub(crate) fn new(client: SocketAddr, server: SocketAddr, clerk: Clerk) -> Self {
        Self(Arc::new(Connected { ends: Ends { client, server }, clerk, found: OnceCell::new() }))
    }

    /// Whose it is. The first call asks the system; what it said holds for the connection.
    pub(crate) async fn user(&self) -> Peer {
        let Connected { ends, clerk, found } = &*self.0;
        let ask = async {
            match peer_at_once(ends) {
                Some(peer) => peer,
                None => clerk.peer(*ends).await,
            }
        };
        *found.get_or_init(|| ask).await
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn everybody_of_a_crowd_is_told_and_so_is_who_comes_later() {
        let clerk = Clerk::default();
        let elsewhere =
            |port| Ends { client: ([192, 0, 2, 1], port).into(), server: ([192, 0, 2, 2], 80).into() };
        for crowd in [100, 1] {
            let asked = (0..crowd).map(|port| clerk.peer(elsewhere(port)));
            assert_eq!(futures_util::future::join_all(asked).await, vec![Peer::Unknown; usize::from(crowd)]);
        }
    }

    #[tokio::test]
    async fn what_was_found_at_first_holds_for_the_whole_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, from) = listener.accept().await.unwrap();
        let remote = Remote::new(from, stream.local_addr().unwrap(), Clerk::default());
        let found = remote.user().await;
        #[cfg(target_os = "linux")]
        assert_eq!(found, Peer::SameUser);
        drop((client, stream));
        assert_eq!(remote.clone().user().await, found);
    }
}
