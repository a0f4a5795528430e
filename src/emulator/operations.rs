//! The list of operations.
//!
//! Owns their order, oldest first, and their visibility. Does not change rules, or store operations.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::model::{InstanceId, Site};

use super::changes::{Changed, Keep};
use super::fault::Fault;
use super::operation::{Operation, Status, uuid};
use super::quirks::{DoneStatus, Progress, Quirks};

/// All operations, oldest first.
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

    /// Adds an operation; returns it as it is in the response to the write.
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

    /// Reads an operation of a region, which advances it once that is stored. `None` if this read does not find it.
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

    /// Ends every pending operation. One whose end cannot be stored stays pending.
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

    /// The operations of a region, or of one instance. Listing does not advance them.
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
        let mut seen = vec![first.status.into()];
        for _ in 0..reads {
            let read = operations
                .read(&Site::of_region("r"), &first.id, now, &mut keep)
                .expect("kept")
                .expect("it is there");
            seen.push(read.status.into());
        }
        operations.finish(now, &mut keep);
        seen.push(
            operations
                .read(&Site::of_region("r"), &first.id, now, &mut keep)
                .expect("kept")
                .expect("it is there")
                .status
                .into(),
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
    fn operations_end_as_the_quirk_says() {
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
    fn new_operation_may_be_invisible_at_first() {
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
                read.map(|operation| operation.status.into())
            })
            .collect();
        assert_eq!(found, [None, None, Some("Completed")]);
    }

    #[test]
    fn operation_that_cannot_be_stored_does_not_advance() {
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
