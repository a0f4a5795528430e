//! An operation and its progress.
//!
//! Owns its JSON form, which is a line of the file of operations. Does not know other operations; `operations` does.

#[cfg(test)]
mod tests;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use strum::IntoStaticStr;
use time::OffsetDateTime;

use crate::model::{Site, instant};

use super::request::Action;

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Operation {
    pub(super) id: String,
    /// The account of the instance, which is not stored, because the ARN contains it.
    #[serde(skip)]
    pub(super) account: Option<String>,
    pub(super) region: String,
    /// The name of the instance.
    pub(super) name: String,
    /// The ARN of the instance.
    pub(super) arn: String,
    /// The action that started it.
    #[serde(rename = "operationType", deserialize_with = "read_action")]
    pub(super) action: String,
    #[serde(rename = "operationDetails")]
    pub(super) details: String,
    #[serde(with = "instant")]
    pub(super) created_at: OffsetDateTime,
    #[serde(rename = "statusChangedAt", with = "instant")]
    pub(super) changed_at: OffsetDateTime,
    pub(super) status: Status,
    /// The number of `GetOperation` reads until it ends; `None` if it has to be finished explicitly.
    pub(super) reads_left: Option<u32>,
    #[serde(rename = "endsAs")]
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

fn read_action<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    if Action::from_name(&name).is_some_and(Action::is_write) {
        return Ok(name);
    }
    let message = format!("`{name}` is not an operation type");
    Err(D::Error::custom(message))
}

impl Operation {
    /// Whether its instance is in this site.
    pub(super) fn is_in(&self, site: &Site) -> bool {
        self.account == site.account && self.region == site.region
    }

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
