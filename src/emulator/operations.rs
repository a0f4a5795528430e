//! Operations: what a write leaves behind for a client to ask about.
//!
//! Owns their ids, their progress and their order, oldest first. They live as long as the emulator. Refuses to change rules.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::model::{InstanceId, Site};

use super::quirks::{DoneStatus, Progress, Quirks};

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) instance: InstanceId,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Records one and says how it looks in the reply to the write.
    pub(super) fn begin(
        &mut self,
        instance: &InstanceId,
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

    /// Reads one of a region, which moves it on.
    pub(super) fn read(
        &mut self,
        site: &Site,
        id: &str,
        now: OffsetDateTime,
    ) -> Option<&Operation> {
        let operation = self.list.get_mut(*self.places.get(id)?)?;
        if operation.instance.site() != *site {
            return None;
        }
        if operation.unseen_left > 0 {
            operation.unseen_left -= 1;
            return None;
        }
        if !operation.status.is_terminal()
            && let Some(left) = operation.reads_left
        {
            operation.reads_left = Some(left.saturating_sub(1));
            operation.move_to(
                if left == 0 {
                    operation.end
                } else {
                    Status::Started
                },
                now,
            );
        }
        Some(operation)
    }

    /// Ends every operation that is not at its end.
    pub(super) fn finish(&mut self, now: OffsetDateTime) {
        for operation in &mut self.list {
            if !operation.status.is_terminal() {
                operation.move_to(operation.end, now);
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
        let first = operations.begin(&id, "Put", String::new(), now, &quirks);
        let mut seen = vec![first.status.name()];
        for _ in 0..reads {
            let read = operations
                .read(&Site::of_region("r"), &first.id, now)
                .expect("it is there");
            seen.push(read.status.name());
        }
        operations.finish(now);
        seen.push(
            operations
                .read(&Site::of_region("r"), &first.id, now)
                .expect("it is there")
                .status
                .name(),
        );
        assert!(
            operations
                .read(&Site::of_region("elsewhere"), &first.id, now)
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
        let first = operations.begin(&id, "Put", String::new(), now, &quirks);
        let found: Vec<Option<&str>> = (0..3)
            .map(|_| {
                let read = operations.read(&Site::of_region("r"), &first.id, now);
                read.map(|operation| operation.status.name())
            })
            .collect();
        assert_eq!(found, [None, None, Some("Completed")]);
    }
}
