//! One TCP connection, from its acceptance to a close that lets the client read our last words.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bounds::MOST_CONNECTIONS;

/// How long a client may go on sending what we no longer read.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes that all connections together read at once. hyper's buffers grow for as long as reads fill them and are kept
/// while the connection is open: a thousand clients that sent a file and stay would keep hundreds of megabytes.
const READ_BY_ALL: usize = 8 * 1024 * 1024;
/// What one of few may read at once; more makes nothing faster.
const MOST_READ: usize = 64 * 1024;
/// What one of very many may: as much as the smallest buffer.
const LEAST_READ: usize = 8 * 1024;

/// A client's connection.
///
/// When a server closes while the client is still sending, the system answers with a reset, and many clients then
/// lose the refusal that was sent before it. So a connection that is dropped before its client has ended it is read
/// out for a moment, by a task that `open` counts and `ending` ends.
pub(crate) struct Connection {
    stream: Option<TcpStream>,
    client_ended: bool,
    /// Its place among all connections, held until the last byte.
    place: Option<OwnedSemaphorePermit>,
    open: TaskTracker,
    ending: CancellationToken,
}

impl Connection {
    pub(crate) fn new(
        stream: TcpStream,
        place: OwnedSemaphorePermit,
        open: TaskTracker,
        ending: CancellationToken,
    ) -> Self {
        Self { stream: Some(stream), client_ended: false, place: Some(place), open, ending }
    }

    fn most_read(&self) -> usize {
        let free = self.place.as_ref().map_or(0, |place| place.semaphore().available_permits());
        most_read(MOST_CONNECTIONS.saturating_sub(free))
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

/// Bytes that each of so many connections reads at once.
fn most_read(open: usize) -> usize {
    (READ_BY_ALL / open.max(1)).clamp(LEAST_READ, MOST_READ)
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(stream) = self.stream.take().filter(|_| !self.client_ended) else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        let (ending, place) = (self.ending.clone(), self.place.take());
        let lingering = async move {
            tokio::select! {
                _ = tokio::time::timeout(LINGER, read_out(stream)) => {}
                () = ending.cancelled() => {}
            }
            drop(place);
        };
        self.open.spawn_on(lingering, &runtime);
    }
}

async fn read_out(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut unread = vec![0; 64 * 1024];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buffer.remaining().min(self.most_read());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
        let outcome = ready!(self.stream()?.poll_read(context, &mut part));
        let came = part.filled().len();
        buffer.advance(came);
        self.client_ended |= outcome.is_err() || (came == 0 && room > 0);
        Poll::Ready(outcome)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::net::TcpListener;
    use tokio::sync::Semaphore;

    use super::*;

    #[test]
    fn the_more_there_are_the_less_each_reads_at_once() {
        assert_eq!([0, 1, 128, 512, 2048].map(most_read), [65536, 65536, 65536, 16384, 8192]);
    }

    async fn pair(open: &TaskTracker, ending: &CancellationToken) -> (TcpStream, Connection) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        (client, Connection::new(stream, place, open.clone(), ending.clone()))
    }

    #[tokio::test]
    async fn a_client_that_is_still_sending_gets_to_read_our_last_words() {
        let (open, ending) = (TaskTracker::new(), CancellationToken::new());
        let (client, mut server) = pair(&open, &ending).await;
        let (mut reading, mut writing) = client.into_split();
        let sending = tokio::spawn(async move { writing.write_all(&vec![0; 8 << 20]).await });
        server.read_u8().await.unwrap();
        server.write_all(b"no").await.unwrap();
        drop(server);
        let mut words = String::new();
        reading.read_to_string(&mut words).await.unwrap();
        assert_eq!(words, "no");
        sending.await.unwrap().unwrap();
        open.close();
        open.wait().await;
    }

    #[tokio::test]
    async fn the_end_of_the_server_does_not_wait_for_such_clients() {
        let (open, ending) = (TaskTracker::new(), CancellationToken::new());
        let (_client, server) = pair(&open, &ending).await;
        drop(server);
        assert_eq!(open.len(), 1);
        ending.cancel();
        open.close();
        open.wait().await;
    }

    #[tokio::test]
    async fn a_connection_that_its_client_has_ended_leaves_no_task() {
        let (open, ending) = (TaskTracker::new(), CancellationToken::new());
        let (client, mut server) = pair(&open, &ending).await;
        drop(client);
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
        drop(server);
        assert!(open.is_empty());
    }
}
