//! What a client says on its socket, applied in order.

use std::time::Duration;

use axum::Error;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use deskgrid_job::queue::Released;
use deskgrid_job::{JobId, Outlook};
use deskgrid_wire::{ClientMessage, server_message};
use deskgrid_worker::Release;
use futures_util::{Stream, StreamExt as _, stream::SplitStream};
use tokio::sync::mpsc;

use super::changes::is_shown;
use super::speak::PING;
use super::submitted::Submitted;
use super::{Goodbye, Reply};
use crate::body::understand;
use crate::error::HttpError;
use crate::jobs::view;
use crate::submission::to_worker;
use crate::{Site, bounds};

/// A client that does not even answer our pings for so long is gone.
const SILENCE: Duration = Duration::from_secs(3 * PING.as_secs());

/// One client's ear.
pub(super) struct Listener {
    site: Site,
    outlook: Outlook,
    replies: mpsc::Sender<Reply>,
    submitted: Submitted,
}

impl Listener {
    pub(super) fn new(site: Site, outlook: Outlook, replies: mpsc::Sender<Reply>) -> Self {
        Self { site, outlook, replies, submitted: Submitted::default() }
    }

    /// Listens until the client leaves.
    pub(super) async fn listen(mut self, mut stream: SplitStream<WebSocket>) -> Goodbye {
        loop {
            let text = match next_text(&mut stream).await {
                Ok(text) => text,
                Err(goodbye) => return goodbye,
            };
            // A message that cannot be carried out is told to the log: the protocol has no answer for it, and
            // clients repeat what they want.
            if let Err(error) = self.hear(text).await {
                tracing::warn!(queue = %self.outlook.queue, "a client's message was not carried out: {error}");
            }
        }
    }

    async fn hear(&mut self, text: Utf8Bytes) -> Result<(), HttpError> {
        match understand(Text(text), ClientMessage::parse).await? {
            ClientMessage::Ping => self.reply(Reply::Frame("PONG".to_owned())).await,
            ClientMessage::Submit(submission) => {
                // A client repeats what it does not see on its list, so it gets its turn when there is room.
                bounds::check_jobs(&self.site, &self.outlook, &submission.id)?;
                bounds::check_room(&self.site, &submission.definition_text).await?;
                self.submitted.note(&submission.id, &submission.namespace);
                self.site.worker().hand_in(to_worker(*submission, self.outlook.clone())).await?;
            }
            ClientMessage::Release { job, reason, namespace, .. } => {
                let slots = namespace.unwrap_or_else(|| Released::Only(self.submitted.of(&job)));
                let release = Release { id: job, outlook: self.outlook.clone(), slots, why: reason };
                self.site.worker().release(release).await?;
            }
            ClientMessage::QueryJob(id) => self.show(&id).await?,
            ClientMessage::QueryJobStates => self.reply(Reply::Whole).await,
            ClientMessage::Ignored(why) => tracing::debug!("a client's message means nothing: {why}"),
        }
        Ok(())
    }

    async fn show(&mut self, id: &JobId) -> Result<(), HttpError> {
        let job = self.site.worker().job(id).await?;
        if let Some(job) = job.filter(|job| is_shown(job.phase)) {
            let frame = server_message::job_state_updates([&*job], view(&self.site, &self.outlook));
            self.reply(Reply::Frame(frame)).await;
        }
        Ok(())
    }

    async fn reply(&self, reply: Reply) {
        // The speaker is gone only when the socket is about to end.
        let _ = self.replies.send(reply).await;
    }
}

struct Text(Utf8Bytes);

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.0.as_str()
    }
}

/// The next text. Other frames only show that the client is there.
async fn next_text(
    stream: &mut (impl Stream<Item = Result<Message, Error>> + Unpin),
) -> Result<Utf8Bytes, Goodbye> {
    loop {
        let message = tokio::time::timeout(SILENCE, stream.next()).await.map_err(|_| Goodbye::Gone)?;
        match message {
            Some(Ok(Message::Text(text))) => return Ok(text),
            Some(Ok(Message::Close(_))) | None => return Err(Goodbye::Gone),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(goodbye(&error)),
        }
    }
}

/// axum hides the kind of the error behind its words, so the words have to tell.
fn goodbye(error: &Error) -> Goodbye {
    let words = error.to_string();
    if words.starts_with("Space limit exceeded") {
        Goodbye::TooLarge
    } else if words.starts_with("UTF-8") || words.contains("rotocol error") {
        Goodbye::Garbled
    } else {
        Goodbye::Gone
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::ws::WebSocketUpgrade;
    use axum::routing::get;
    use futures_util::SinkExt as _;
    use tokio::net::{TcpListener, TcpStream};
    use tokio_tungstenite::client_async;
    use tokio_tungstenite::tungstenite::Message as Sent;

    use super::*;

    /// How a socket with a limit of 10 bytes ends after `sent`.
    async fn ended_by(sent: Sent) -> Goodbye {
        let (tell, mut told) = mpsc::channel(1);
        let route = get(async move |upgrade: WebSocketUpgrade| {
            upgrade.max_message_size(10).max_frame_size(10).on_upgrade(async move |mut socket| {
                loop {
                    if let Err(goodbye) = next_text(&mut socket).await {
                        return tell.send(goodbye).await.unwrap();
                    }
                }
            })
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server =
            tokio::spawn(async move { axum::serve(listener, Router::new().route("/", route)).await });
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut socket, _) = client_async(format!("ws://{address}/"), stream).await.unwrap();
        socket.send(Sent::Text("fits".into())).await.unwrap();
        socket.send(sent).await.unwrap();
        let goodbye = told.recv().await.unwrap();
        server.abort();
        goodbye
    }

    #[tokio::test]
    async fn a_message_over_the_limit_is_told_apart_from_other_ends() {
        assert_eq!(ended_by(Sent::Text("x".repeat(11).into())).await, Goodbye::TooLarge);
        assert_eq!(ended_by(Sent::Close(None)).await, Goodbye::Gone);
    }
}
