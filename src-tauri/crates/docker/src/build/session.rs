//! One build's talk with the engine.
//!
//! `BuildKit` asks its client back while it builds, over a second connection: for the credentials of registries.
//! Bollard answers there from a task that it starts and never ends. So each build has a thread with a runtime of its
//! own, with which all of its connections go when the build is over or unwanted. The classic builder needs none of
//! this, and goes the same way.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bollard::errors::Error as Bollard;
use bollard::models::{BuildInfo, BuildInfoAux};
use bollard::query_parameters::{BuildImageOptions, BuilderVersion};
use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Credentials;
use crate::address::Address;
use crate::fetch::with_url_safe_credentials;

/// Messages that wait for a slow reader.
const WAITING: usize = 64;
/// Their bytes, roughly. One that is larger alone waits until no other does.
const WAITING_BYTES: u32 = 1 << 20;

/// What the engine says. The permit makes room for the next when the reader is done with it.
type Message = Result<(BuildInfo, OwnedSemaphorePermit), Bollard>;
pub(super) type Messages = mpsc::Receiver<Message>;

/// Builds, and hands out what the engine says. Dropping the receiver ends the build.
pub(super) fn build(
    address: Address,
    options: BuildImageOptions,
    credentials: Credentials,
    context: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Messages {
    let (sender, receiver) = mpsc::channel(WAITING);
    let told = sender.clone();
    let work = move || run(&address, options, credentials, context, &sender);
    // Not one of the runtime's own blocking threads: they are few, and a build takes hours at times.
    if let Err(err) = std::thread::Builder::new().name("build".to_owned()).spawn(work) {
        // There is room for this one message.
        let _ = told.try_send(Err(Bollard::IOError { err }));
    }
    receiver
}

fn run(
    address: &Address,
    options: BuildImageOptions,
    credentials: Credentials,
    context: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    messages: &mpsc::Sender<Message>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(err) => return drop(messages.blocking_send(Err(Bollard::IOError { err }))),
    };
    runtime.block_on(async {
        tokio::select! {
            () = messages.closed() => {}
            talked = talk(address, options, credentials, context, messages) => {
                if let Err(error) = talked {
                    let _ = messages.send(Err(error)).await;
                }
            }
        }
    });
    runtime.shutdown_background();
}

async fn talk(
    address: &Address,
    mut options: BuildImageOptions,
    credentials: Credentials,
    context: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    messages: &mpsc::Sender<Message>,
) -> Result<(), Bollard> {
    // A client of its own: the connections of the engine's other one belong to another runtime.
    let docker = address.client()?.negotiate_version().await?;
    let docker = docker.with_request_modifier(with_url_safe_credentials);
    if options.version == BuilderVersion::BuilderBuildKit {
        options.session = Some(session_id());
    }
    let body = bollard::body_try_stream(context);
    let mut answers = docker.build_image(options, Some(credentials), Some(body));
    let room = Arc::new(Semaphore::new(WAITING_BYTES as usize));
    while let Some(answer) = answers.next().await {
        let answer = answer?;
        // It is never closed.
        let Ok(permit) = room.clone().acquire_many_owned(weight(&answer)).await else { break };
        if messages.send(Ok((answer, permit))).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Bytes of the texts of a message, as permits.
fn weight(message: &BuildInfo) -> u32 {
    let text =
        message.stream.as_ref().map_or(0, String::len) + message.status.as_ref().map_or(0, String::len);
    let records = match &message.aux {
        Some(BuildInfoAux::BuildKit(status)) => {
            let logs = status.logs.iter().map(|log| log.msg.len());
            logs.sum::<usize>() + 256 * (status.vertexes.len() + status.statuses.len() + status.logs.len())
        }
        _ => 0,
    };
    u32::try_from(text + records + size_of::<BuildInfo>()).unwrap_or(u32::MAX).min(WAITING_BYTES)
}

/// Tells the builds of one engine apart, whoever starts them.
fn session_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("deskgrid-{}-{}-{count}", std::process::id(), now.as_nanos())
}
