//! The steps at which a crash is tested, each with a name: after each write, rename, commit and engine call.
//!
//! In an ordinary build [`point`] is nothing. With the feature `kill`, which the tests' builds alone have,
//! `DESKGRID_FAULT=blob-moved:3` kills the process outright when it passes the point `blob-moved` for the third time.
//! It decides nothing and cleans nothing up: what a point means is the business of the code around it.

#[cfg(all(feature = "kill", not(debug_assertions)))]
compile_error!("a program that is given to people must not have the feature `kill`");

#[cfg(feature = "kill")]
mod kill;

macro_rules! points {
    ($($point:ident = $name:literal,)*) => {
        /// A step that a process may have just done when it dies.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the name says it, and the place where it is passed says the rest")]
        pub enum Point { $($point,)* }

        impl Point {
            /// Every point.
            pub const ALL: &[Point] = &[$(Self::$point,)*];

            /// What it is called in `DESKGRID_FAULT`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$point => $name,)* }
            }
        }
    };
}

points! {
    // The data folder.
    FolderPrepared = "folder-prepared",
    SmallFileWritten = "small-file-written",
    SmallFileRenamed = "small-file-renamed",
    BlobWritten = "blob-written",
    BlobSynced = "blob-synced",
    BlobMoved = "blob-moved",
    BlobNamed = "blob-named",
    BlobRemoved = "blob-removed",
    BlobSetAside = "blob-set-aside",
    OutputLinked = "output-linked",
    RecordsWritten = "records-written",
    RecordsMigrated = "records-migrated",
    RecordsCommitted = "records-committed",
    RecordCopied = "record-copied",
    RecordCompared = "record-compared",
    RebuiltFilled = "rebuilt-filled",
    DamagedSetAside = "damaged-set-aside",
    RebuiltPlaced = "rebuilt-placed",
    LogEmptied = "log-emptied",
    LogWritten = "log-written",
    LogSynced = "log-synced",
    LogsRemoved = "logs-removed",
    ScratchMade = "scratch-made",
    NoteWritten = "note-written",
    NoteRenamed = "note-renamed",
    ScratchPartMoved = "scratch-part-moved",
    ScratchRemoved = "scratch-removed",
    // The engine.
    ContainersFound = "containers-found",
    ImageFound = "image-found",
    ImagePulling = "image-pulling",
    ImagePulled = "image-pulled",
    ImageBuilt = "image-built",
    BuildDropped = "build-dropped",
    NetworkReady = "network-ready",
    ContainerCreating = "container-creating",
    ContainerCreated = "container-created",
    FilesUploaded = "files-uploaded",
    ContainerAttached = "container-attached",
    ContainerStarting = "container-starting",
    ContainerStarted = "container-started",
    ContainerEnded = "container-ended",
    FilesDownloading = "files-downloading",
    ContainerKilled = "container-killed",
    ContainerRemoved = "container-removed",
    // A run.
    ContextNoted = "context-noted",
    ImageNoted = "image-noted",
    InputDownloaded = "input-downloaded",
    InputsGathered = "inputs-gathered",
    InputsPlaced = "inputs-placed",
    RunTakenOver = "run-taken-over",
    OutputsHashed = "outputs-hashed",
    OutputsStored = "outputs-stored",
    EndReported = "end-reported",
    RunCleared = "run-cleared",
    // The queue's owner.
    BatchDecided = "batch-decided",
    BatchStored = "batch-stored",
    RequestsAnswered = "requests-answered",
    RunsAdopted = "runs-adopted",
    WebhookTaken = "webhook-taken",
    WebhookNoted = "webhook-noted",
}

/// Marks that `point` has been reached.
#[cfg(not(feature = "kill"))]
#[inline]
pub fn point(_: Point) {}

/// Marks that `point` has been reached, and ends the process there if that is what `DESKGRID_FAULT` says.
#[cfg(feature = "kill")]
pub fn point(point: Point) {
    kill::pass(point);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_points_have_the_same_name() {
        let mut names: Vec<_> = Point::ALL.iter().map(|point| point.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Point::ALL.len());
    }
}
