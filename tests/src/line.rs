//! A line to a server that is slower than localhost: it holds when so many bytes have come, and shows who is on it.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::server::PATIENCE;

/// A line from a port of its own to a server. It hands on every byte as it is, and ends when dropped.
pub struct Line {
    /// Where it begins: `localhost:port`.
    pub address: String,
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

struct Shared {
    to: String,
    /// Bytes that may yet come from the server.
    room: watch::Sender<u64>,
    /// Whether somebody waits for room.
    is_held: watch::Sender<bool>,
    /// Connections that clients hold open.
    open: watch::Sender<usize>,
    /// Connections that clients ever opened.
    opened: watch::Sender<usize>,
}

impl Line {
    /// A line to `host:port` on which so many bytes come from there before it holds.
    pub async fn holding_after(to: &str, bytes: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("localhost:{}", listener.local_addr().expect("an address").port());
        let shared = Arc::new(Shared {
            to: to.replace("localhost", "127.0.0.1"),
            room: watch::Sender::new(bytes),
            is_held: watch::Sender::new(false),
            open: watch::Sender::new(0),
            opened: watch::Sender::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, shared.clone()));
        Self { address, shared, tasks }
    }

    /// A line on which so many bytes come in a second.
    pub async fn of_speed(to: &str, bytes_a_second: u64) -> Self {
        const STEPS: u32 = 20;
        let mut line = Self::holding_after(to, 0).await;
        let shared = line.shared.clone();
        line.tasks.spawn(async move {
            let mut clock = tokio::time::interval(Duration::from_secs(1) / STEPS);
            loop {
                clock.tick().await;
                shared.room.send_replace(bytes_a_second / u64::from(STEPS));
            }
        });
        line
    }

    /// Waits until it holds.
    pub async fn until_held(&self) {
        until(&self.shared.is_held, "the line holds", |held| *held).await;
    }

    /// Whether it holds, and somebody waits for more.
    pub fn is_held(&self) -> bool {
        *self.shared.is_held.borrow()
    }

    /// Lets so many more bytes come.
    pub fn give(&self, bytes: u64) {
        self.shared.is_held.send_replace(false);
        self.shared.room.send_modify(|room| *room = room.saturating_add(bytes));
    }

    /// Lets all come.
    pub fn release(&self) {
        self.give(u64::MAX);
    }

    /// Whether no client is connected any more.
    pub fn is_hung_up(&self) -> bool {
        *self.shared.open.borrow() == 0
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        *self.shared.opened.borrow()
    }
}

async fn until<T>(what: &watch::Sender<T>, words: &str, is_so: impl FnMut(&T) -> bool) {
    let mut seen = what.subscribe();
    let wait = tokio::time::timeout(PATIENCE, seen.wait_for(is_so)).await;
    assert!(wait.is_ok(), "this never came true: {words}");
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let shared = shared.clone();
        connections.spawn(async move {
            shared.opened.send_modify(|opened| *opened += 1);
            shared.open.send_modify(|open| *open += 1);
            connect(client, &shared).await;
            shared.open.send_modify(|open| *open -= 1);
        });
    }
}

/// A server that is away hangs up on the client, as it does itself when it ends.
async fn connect(client: TcpStream, shared: &Shared) {
    let Ok(server) = TcpStream::connect(&shared.to).await else { return };
    let (from_client, to_client) = client.into_split();
    let (mut from_server, to_server) = server.into_split();
    tokio::select! {
        () = hand_on(from_client, to_server) => {}
        () = hand_on_slowly(&mut from_server, to_client, shared) => {}
    }
}

async fn hand_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

async fn hand_on_slowly(from: &mut OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared) {
    let mut buffer = vec![0; 64 << 10];
    let mut room = shared.room.subscribe();
    loop {
        if *room.borrow_and_update() == 0 {
            shared.is_held.send_replace(true);
            if room.wait_for(|room| *room > 0).await.is_err() {
                return;
            }
        }
        let most = usize::try_from(*room.borrow()).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            // Another connection was quicker.
            continue;
        }
        let Ok(count @ 1..) = from.read(&mut buffer[..most]).await else { return };
        shared.room.send_modify(|room| *room = room.saturating_sub(count as u64));
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
