//! What a client says on its socket, applied in order.

use deskgrid_job::queue::Released;
use deskgrid_job::{JobId, Outlook};
use deskgrid_wire::{ClientMessage, server_message};
use deskgrid_worker::Release;
use futures_util::{Stream, StreamExt as _, stream::SplitStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::changes::is_shown;
use super::handshake::Socket;
use super::speak::PING;
use super::submitted::Submitted;
use super::{Goodbye, Reply};
use crate::body::understand;
use crate::error::HttpError;
use crate::jobs::view;
use crate::submission::to_worker;
use crate::{Site, bounds};

/// A client that leaves so many pings in a row unanswered is gone. They are counted rather than the time: while this
/// computer slept it sent none, and whoever is still there shall not pay for that.
const UNANSWERED: u32 = 3;

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
    pub(super) async fn listen(mut self, mut stream: SplitStream<Socket>) -> Goodbye {
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
    let mut unanswered = 0;
    while unanswered < UNANSWERED {
        match tokio::time::timeout(PING, stream.next()).await {
            Ok(Some(Ok(Message::Text(text)))) => return Ok(text),
            Ok(Some(Ok(Message::Close(_))) | None) => return Err(Goodbye::Gone),
            Ok(Some(Ok(_))) => unanswered = 0,
            Ok(Some(Err(error))) => return Err(goodbye(&error)),
            Err(_) => unanswered += 1,
        }
    }
    Err(Goodbye::Gone)
}

fn goodbye(error: &Error) -> Goodbye {
    match error {
        Error::Capacity(_) => Goodbye::TooLarge,
        // A client that goes without a word breaks the protocol too, and nobody is left to be told.
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Goodbye::Gone,
        Error::Protocol(_) | Error::Utf8(_) => Goodbye::Garbled,
        _ => Goodbye::Gone,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::SinkExt as _;
    use tokio::time::Instant;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::super::handshake::config;
    use super::*;

    /// How a socket with a limit of 10 bytes ends after `sent`.
    async fn ended_by(sent: Message) -> Goodbye {
        let (here, there) = tokio::io::duplex(1024);
        let mut server = WebSocketStream::from_raw_socket(here, Role::Server, Some(config(10))).await;
        let mut client = WebSocketStream::from_raw_socket(there, Role::Client, None).await;
        client.send(Message::Text("fits".into())).await.unwrap();
        client.send(sent).await.unwrap();
        assert_eq!(next_text(&mut server).await.unwrap(), "fits");
        next_text(&mut server).await.unwrap_err()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_answers_no_ping_is_gone_and_one_that_was_asked_none_for_a_night_is_not() {
        let (client, mut server) = messages();
        let began = Instant::now();
        assert_eq!(next_text(&mut server).await, Err(Goodbye::Gone));
        assert_eq!(began.elapsed(), PING * UNANSWERED);
        let night = async {
            tokio::time::advance(Duration::from_secs(8 * 3600)).await;
            tokio::time::sleep(PING).await;
            client.send(Ok(Message::Text("here".into()))).unwrap();
        };
        let (heard, ()) = tokio::join!(next_text(&mut server), night);
        assert_eq!(heard.unwrap(), "here");
    }

    /// A stream of messages and its other end.
    fn messages()
    -> (mpsc::UnboundedSender<Result<Message, Error>>, impl Stream<Item = Result<Message, Error>> + Unpin)
    {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        (sender, futures_util::stream::poll_fn(move |task| receiver.poll_recv(task)))
    }

    #[tokio::test]
    async fn a_message_over_the_limit_is_told_apart_from_other_ends() {
        assert_eq!(ended_by(Message::Text("x".repeat(11).into())).await, Goodbye::TooLarge);
        assert_eq!(ended_by(Message::Close(None)).await, Goodbye::Gone);
    }
}
