//! Files into and out of a container as tar archives, streamed. Works with every engine, near or far, whoever the
//! files belong to. What is in the archives is the worker's business.

use std::io;
use std::sync::Arc;

use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder};
use bytes::Bytes;
use deskgrid_fault::{Point, point};
use futures_util::stream::{self, Stream, StreamExt};
use tokio::sync::Notify;

use crate::container::ContainerId;
use crate::engine::{Engine, WORK};
use crate::error::EngineError;

impl Engine {
    /// Unpacks `tar` below the folder `path` of a container, started or not. The folder must exist.
    ///
    /// There is no limit to the whole, only to how long nothing at all may happen. An error in `tar` breaks the
    /// upload off.
    pub async fn upload(
        &self,
        id: &ContainerId,
        path: &str,
        tar: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), EngineError> {
        const DOING: &str = "copying files into a container";
        let options = UploadToContainerOptionsBuilder::new().path(path).build();
        let moved = Arc::new(Notify::new());
        let tell = moved.clone();
        let body = bollard::body_try_stream(tar.inspect(move |_| tell.notify_one()));
        let call = self.docker().upload_to_container(id.as_str(), Some(options), body);
        let work = async { call.await.map_err(|error| EngineError::of(DOING, error)) };
        tokio::pin!(work);
        let result = loop {
            tokio::select! {
                done = &mut work => break done,
                () = moved.notified() => {}
                () = tokio::time::sleep(WORK) => break Err(EngineError::TimedOut { doing: DOING, limit: WORK }),
            }
        };
        self.doubt_after(&result);
        point(Point::FilesUploaded);
        result
    }

    /// The file or folder `path` of a container, started or not, as a tar archive whose entries begin with the last
    /// part of `path`. An archive without its closing zero blocks was cut short by the engine.
    pub fn download(
        &self,
        id: &ContainerId,
        path: &str,
    ) -> impl Stream<Item = Result<Bytes, EngineError>> + Send + Unpin + 'static {
        const DOING: &str = "copying files out of a container";
        let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
        let pieces = self.docker().download_from_container(id.as_str(), Some(options)).boxed();
        let engine = self.clone();
        let stream = stream::unfold(Some(pieces), move |pieces| {
            let engine = engine.clone();
            async move {
                let mut pieces = pieces?;
                let next = async { pieces.next().await.transpose() };
                point(Point::FilesDownloading);
                match engine.call(DOING, WORK, next).await.transpose()? {
                    Ok(bytes) => Some((Ok(bytes), Some(pieces))),
                    Err(error) => Some((Err(error), None)),
                }
            }
        });
        stream.boxed()
    }
}
