//! Operations: what a write leaves behind for a client to ask about.
//!
//! Owns their ids, their progress and their order, oldest first. Does not change rules, and to keep them over a restart.

mod record;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::model::{InstanceId, Site};

use super::fault::Fault;
use super::quirks::{DoneStatus, Progress, Quirks};
use super::state::{Changed, Keep};

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) instance: InstanceId,
    /// The ARN that the instance had.
    pub(super) arn: String,
    pub(super) kind: &'static str,
    pub(super) details: String,
    pub(super) created_at: OffsetDateTime,
    pub(super) changed_at: OffsetDateTime,
    pub(super) status: Status,
    /// `GetOperation` reads before it ends; `None` until it is finished by hand.
    reads_left: Option<u32>,
    /// How it ends.
    end: Status,
    /// `GetOperation` reads that do not find it.
    unseen_left: u32,
}

/// How far an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Status {
    NotStarted,
    Started,
    Succeeded,
    Completed,
    Failed,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NotStarted => "NotStarted",
            Self::Started => "Started",
            Self::Succeeded => "Succeeded",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
        }
    }

    pub(super) fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Completed | Self::Failed)
    }
}

/// Every operation, oldest first.
#[derive(Debug, Default)]
pub(super) struct Operations {
    list: Vec<Operation>,
    places: BTreeMap<String, usize>,
}

impl Operations {
    /// The operations of an earlier run, oldest first.
    pub(super) fn restored(list: Vec<Operation>) -> Self {
        let ids = list.iter().map(|operation| operation.id.clone());
        let places = ids.zip(0..).collect();
        Self { list, places }
    }

    /// Records one and says how it looks in the reply to the write.
    pub(super) fn begin(
        &mut self,
        (instance, arn): (&InstanceId, &str),
        kind: &'static str,
        details: String,
        now: OffsetDateTime,
        quirks: &Quirks,
    ) -> Operation {
        let done = match quirks.done {
            DoneStatus::Succeeded => Status::Succeeded,
            DoneStatus::Completed => Status::Completed,
        };
        let (status, reads_left, end) = match quirks.operations {
            Progress::Immediate => (done, Some(0), done),
            Progress::AfterReads(reads) => (Status::NotStarted, Some(reads), done),
            Progress::Explicit => (Status::Started, None, done),
            Progress::Fails(reads) | Progress::FailsApplied(reads) => {
                (Status::NotStarted, Some(reads), Status::Failed)
            }
        };
        let operation = Operation {
            id: uuid(&[
                "operation",
                &self.list.len().to_string(),
                &instance.to_string(),
                &now.unix_timestamp_nanos().to_string(),
            ]),
            instance: instance.clone(),
            arn: arn.to_owned(),
            kind,
            details,
            created_at: now,
            changed_at: now,
            status,
            reads_left,
            end,
            unseen_left: quirks.operation_unseen,
        };
        self.places.insert(operation.id.clone(), self.list.len());
        self.list.push(operation.clone());
        operation
    }

    /// Reads one of a region, which moves it on once that is kept. `None`: this read does not find it.
    pub(super) fn read(
        &mut self,
        site: &Site,
        id: &str,
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Result<Option<&Operation>, Fault> {
        let place = self.places.get(id).copied();
        let Some(there) = place.and_then(|place| self.list.get_mut(place)) else {
            return Ok(None);
        };
        if there.instance.site() != *site {
            return Ok(None);
        }
        let mut next = there.clone();
        let found = next.unseen_left == 0;
        if found {
            next.note_read(now);
        } else {
            next.unseen_left -= 1;
        }
        if next != *there {
            keep(Changed::Operation(&next))?;
            *there = next;
        }
        Ok(found.then_some(there))
    }

    /// Ends every operation that is not at its end. One whose end cannot be kept goes on.
    pub(super) fn finish(&mut self, now: OffsetDateTime, keep: Keep<'_>) {
        for operation in &mut self.list {
            let mut next = operation.clone();
            next.move_to(next.end, now);
            let open = !operation.status.is_terminal();
            if open && keep(Changed::Operation(&next)).is_ok() {
                *operation = next;
            }
        }
    }

    /// The operations of a region, or of one instance there. Listing them does not move them on.
    pub(super) fn list<'a>(
        &'a self,
        site: &'a Site,
        name: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Operation> {
        self.list.iter().filter(move |operation| {
            operation.instance.region == site.region
                && operation.instance.account == site.account
                && name.is_none_or(|name| operation.instance.name == name)
        })
    }
}

impl Operation {
    /// One of the reads that it takes until it ends.
    fn note_read(&mut self, now: OffsetDateTime) {
        if self.status.is_terminal() {
            return;
        }
        if let Some(left) = self.reads_left {
            self.reads_left = Some(left.saturating_sub(1));
            let next = if left == 0 { self.end } else { Status::Started };
            self.move_to(next, now);
        }
    }

    fn move_to(&mut self, status: Status, now: OffsetDateTime) {
        if self.status != status {
            self.status = status;
            self.changed_at = now;
        }
    }
}

/// A UUID that is the same for the same parts, so that a run can be repeated exactly.
pub(super) fn uuid(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let mut bytes = [0; 16];
    for (byte, hashed) in bytes.iter_mut().zip(hash.finalize()) {
        *byte = hashed;
    }
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps nothing.
    #[expect(clippy::unnecessary_wraps, reason = "what keeps changes may fail")]
    fn keep(_: Changed<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn statuses(progress: Progress, reads: usize) -> Vec<&'static str> {
        let now = OffsetDateTime::UNIX_EPOCH;
        let id = InstanceId {
            account: None,
            region: "r".into(),
            name: "n".into(),
        };
        let mut operations = Operations::default();
        let quirks = Quirks {
            operations: progress,
            ..Quirks::default()
        };
        let first = operations.begin((&id, ""), "Put", String::new(), now, &quirks);
        let mut seen = vec![first.status.name()];
        for _ in 0..reads {
            let read = operations
                .read(&Site::of_region("r"), &first.id, now, &mut keep)
                .expect("kept")
                .expect("it is there");
            seen.push(read.status.name());
        }
        operations.finish(now, &mut keep);
        seen.push(
            operations
                .read(&Site::of_region("r"), &first.id, now, &mut keep)
                .expect("kept")
                .expect("it is there")
                .status
                .name(),
        );
        assert!(
            operations
                .read(&Site::of_region("elsewhere"), &first.id, now, &mut keep)
                .expect("kept")
                .is_none()
        );
        seen
    }

    #[test]
    fn operations_end_as_they_are_told() {
        assert_eq!(
            statuses(Progress::Immediate, 1),
            ["Succeeded", "Succeeded", "Succeeded"]
        );
        assert_eq!(
            statuses(Progress::AfterReads(2), 3),
            ["NotStarted", "Started", "Started", "Succeeded", "Succeeded"]
        );
        assert_eq!(
            statuses(Progress::Explicit, 2),
            ["Started", "Started", "Started", "Succeeded"]
        );
        assert_eq!(
            statuses(Progress::Fails(1), 2),
            ["NotStarted", "Started", "Failed", "Failed"]
        );
    }

    #[test]
    fn a_new_operation_may_not_be_found_at_first() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let id = InstanceId {
            account: None,
            region: "r".into(),
            name: "n".into(),
        };
        let quirks = Quirks {
            operation_unseen: 2,
            done: DoneStatus::Completed,
            ..Quirks::default()
        };
        let mut operations = Operations::default();
        let first = operations.begin((&id, ""), "Put", String::new(), now, &quirks);
        let found: Vec<Option<&str>> = (0..3)
            .map(|_| {
                let read = operations.read(&Site::of_region("r"), &first.id, now, &mut keep);
                let read = read.expect("kept");
                read.map(|operation| operation.status.name())
            })
            .collect();
        assert_eq!(found, [None, None, Some("Completed")]);
    }

    #[test]
    fn an_operation_that_cannot_be_kept_does_not_move_on() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let site = Site::of_region("r");
        let id = InstanceId {
            account: None,
            region: "r".into(),
            name: "n".into(),
        };
        let quirks = Quirks {
            operations: Progress::AfterReads(1),
            ..Quirks::default()
        };
        let mut operations = Operations::default();
        let first = operations.begin((&id, ""), "Put", String::new(), now, &quirks);
        let mut full = |_: Changed<'_>| Err(Fault::service("disk full"));
        for _ in 0..3 {
            let read = operations.read(&site, &first.id, now, &mut full);
            assert_eq!(read.expect_err("not kept").message, "disk full");
        }
        operations.finish(now, &mut full);
        let kept: Vec<&Operation> = operations.list(&site, None).collect();
        assert_eq!(kept, [&first]);
    }
}
