//! An operation and its progress.
//!
//! Does not know other operations; `operations` does.

mod record;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use strum::IntoStaticStr;
use time::OffsetDateTime;

use crate::model::InstanceId;

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) instance: InstanceId,
    /// The ARN of the instance.
    pub(super) arn: String,
    /// The action that started it.
    pub(super) action: &'static str,
    pub(super) details: String,
    pub(super) created_at: OffsetDateTime,
    pub(super) changed_at: OffsetDateTime,
    pub(super) status: Status,
    /// The number of `GetOperation` reads until it ends; `None` if it has to be finished explicitly.
    pub(super) reads_left: Option<u32>,
    pub(super) final_status: Status,
    /// The number of `GetOperation` reads that will not find it.
    pub(super) unseen_left: u32,
}

/// The status of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
pub(super) enum Status {
    NotStarted,
    Started,
    Succeeded,
    Completed,
    Failed,
}

impl Status {
    pub(super) fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Completed | Self::Failed)
    }
}

impl Operation {
    /// Advances it by a read.
    pub(super) fn count_read(&mut self, now: OffsetDateTime) {
        if self.status.is_terminal() {
            return;
        }
        if let Some(left) = self.reads_left {
            self.reads_left = Some(left.saturating_sub(1));
            let status = if left == 0 {
                self.final_status
            } else {
                Status::Started
            };
            self.set_status(status, now);
        }
    }

    pub(super) fn set_status(&mut self, status: Status, now: OffsetDateTime) {
        if self.status != status {
            self.status = status;
            self.changed_at = now;
        }
    }
}

/// A UUID that depends only on the parts, so that a run can be repeated.
pub(super) fn uuid(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let bytes = hash.finalize().first_chunk().copied();
    let uuid = uuid::Builder::from_random_bytes(bytes.expect("a digest has 32 bytes"));
    uuid.into_uuid().to_string()
}
