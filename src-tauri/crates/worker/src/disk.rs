//! What our own disk refuses, as the failure of a job.

use deskgrid_job::{Failure, FailureCode};
use deskgrid_store::StoreError;
use tokio::task::JoinError;

/// Something that kept a run from reading or writing our disk.
pub(crate) trait DiskTrouble: std::fmt::Display {
    /// Whether room is all that is missing.
    fn is_for_want_of_room(&self) -> bool {
        false
    }

    /// Whether the disk may only be read.
    fn is_read_only(&self) -> bool {
        false
    }
}

impl DiskTrouble for StoreError {
    fn is_for_want_of_room(&self) -> bool {
        self.is_for_want_of_room()
    }

    fn is_read_only(&self) -> bool {
        self.is_read_only()
    }
}

impl DiskTrouble for std::io::Error {
    fn is_for_want_of_room(&self) -> bool {
        matches!(self.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
    }

    fn is_read_only(&self) -> bool {
        self.kind() == std::io::ErrorKind::ReadOnlyFilesystem
    }
}

impl DiskTrouble for JoinError {}

impl DiskTrouble for &str {}

/// The failure that `trouble` is for a job.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(crate) fn failure(trouble: impl DiskTrouble) -> Failure {
    if trouble.is_for_want_of_room() {
        let words = format!("There was no room for the job's files: {trouble}.");
        return Failure::new(FailureCode::DiskFull, words);
    }
    let code = if trouble.is_read_only() { FailureCode::DiskReadOnly } else { FailureCode::DiskFailed };
    Failure::new(code, trouble.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_room_is_told_apart_from_other_refusals() {
        let full = failure(std::io::Error::from(std::io::ErrorKind::StorageFull));
        assert_eq!(full.code, FailureCode::DiskFull);
        let refused = failure(std::io::Error::from(std::io::ErrorKind::PermissionDenied));
        assert_eq!(refused.code, FailureCode::DiskFailed);
        let read_only = failure(std::io::Error::from(std::io::ErrorKind::ReadOnlyFilesystem));
        assert_eq!(read_only.code, FailureCode::DiskReadOnly);
    }
}
