//! The operations of all instances, oldest first.
//!
//! Owns their order, and which reads find them. Does not change rules, or store operations.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::model::{InstanceId, Site};

use super::context::{Context, Persist, StateChange};
use super::error_response::Result;
use super::operation::{Operation, Status, uuid};
use super::quirks::{OperationProgress, Quirks, SuccessStatus};

/// The operations, oldest first.
#[derive(Debug, Default)]
pub(super) struct Operations {
    list: Vec<Operation>,
    /// The index of each operation by ID.
    indices: BTreeMap<String, usize>,
}

impl Operations {
    /// The operations of an earlier run, oldest first.
    pub(super) fn restore(list: Vec<Operation>) -> Self {
        let ids = list.iter().map(|operation| operation.id.clone());
        let indices = ids.zip(0..).collect();
        Self { list, indices }
    }

    /// Adds an operation; returns it as in the response to the write.
    pub(super) fn start(
        &mut self,
        instance: &InstanceId,
        arn: &str,
        action: &'static str,
        details: String,
        now: OffsetDateTime,
        quirks: &Quirks,
    ) -> Operation {
        let success = match quirks.done {
            SuccessStatus::Succeeded => Status::Succeeded,
            SuccessStatus::Completed => Status::Completed,
        };
        let (status, reads_left, final_status) = match quirks.operations {
            OperationProgress::Immediate => (success, Some(0), success),
            OperationProgress::AfterReads(reads) => (Status::NotStarted, Some(reads), success),
            OperationProgress::Explicit => (Status::Started, None, success),
            OperationProgress::Fails(reads) | OperationProgress::FailsApplied(reads) => {
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
            account: instance.account.clone(),
            region: instance.region.clone(),
            name: instance.name.clone(),
            arn: arn.to_owned(),
            action: action.to_owned(),
            details,
            created_at: now,
            changed_at: now,
            status,
            reads_left,
            final_status,
            unseen_left: quirks.operation_unseen,
        };
        self.indices.insert(operation.id.clone(), self.list.len());
        self.list.push(operation.clone());
        operation
    }

    /// Reads an operation of the site. The read advances it, if that can be stored. `None` if the read does not find it.
    pub(super) fn read(
        &mut self,
        id: &str,
        context: &mut Context<'_>,
    ) -> Result<Option<&Operation>> {
        let index = self.indices.get(id).copied();
        let operation = index.and_then(|index| self.list.get_mut(index));
        let Some(operation) = operation.filter(|found| found.is_in(context.site)) else {
            return Ok(None);
        };
        let mut next = operation.clone();
        let found = next.unseen_left == 0;
        if found {
            next.count_read(context.now);
        } else {
            next.unseen_left -= 1;
        }
        if next != *operation {
            (context.persist)(StateChange::Operation(&next))?;
            *operation = next;
        }
        Ok(found.then_some(operation))
    }

    /// Ends every pending operation, except those whose end cannot be stored.
    pub(super) fn finish(&mut self, now: OffsetDateTime, persist: Persist<'_>) {
        for operation in &mut self.list {
            let mut next = operation.clone();
            next.set_status(next.final_status, now);
            let is_pending = !operation.status.is_terminal();
            if is_pending && persist(StateChange::Operation(&next)).is_ok() {
                *operation = next;
            }
        }
    }

    /// The operations of a site, or of one of its instances. Does not advance them.
    pub(super) fn list<'a>(
        &'a self,
        site: &'a Site,
        name: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Operation> {
        self.list.iter().filter(move |operation| {
            operation.is_in(site) && name.is_none_or(|name| operation.name == name)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::error_response::ErrorResponse;
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn start(operations: &mut Operations, quirks: &Quirks) -> Operation {
        let id = InstanceId {
            account: None,
            region: "r".into(),
            name: "n".into(),
        };
        operations.start(&id, "", "Put", String::new(), NOW, quirks)
    }

    /// The status that a read returns.
    fn read(operations: &mut Operations, region: &str, id: &str) -> Option<&'static str> {
        let mut context = Context {
            site: &Site::of_region(region),
            now: NOW,
            persist: &mut |_| Ok(()),
        };
        let operation = operations.read(id, &mut context).expect("stored");
        operation.map(|operation| operation.status.into())
    }

    #[test]
    fn operations_end_as_the_quirk_says() {
        for (progress, statuses) in [
            (
                OperationProgress::Immediate,
                &["Succeeded", "Succeeded", "Succeeded"][..],
            ),
            (
                OperationProgress::AfterReads(2),
                &["NotStarted", "Started", "Started", "Succeeded", "Succeeded"],
            ),
            (
                OperationProgress::Explicit,
                &["Started", "Started", "Started", "Succeeded"],
            ),
            (
                OperationProgress::Fails(1),
                &["NotStarted", "Started", "Failed", "Failed"],
            ),
        ] {
            let mut operations = Operations::default();
            let quirks = Quirks {
                operations: progress,
                ..Quirks::default()
            };
            let first = start(&mut operations, &quirks);
            let mut found = vec![Some(first.status.into())];
            for _ in 2..statuses.len() {
                found.push(read(&mut operations, "r", &first.id));
            }
            operations.finish(NOW, &mut |_| Ok(()));
            found.push(read(&mut operations, "r", &first.id));
            let expected: Vec<_> = statuses.iter().copied().map(Some).collect();
            assert_eq!(found, expected);
            assert_eq!(read(&mut operations, "other", &first.id), None);
        }
    }

    #[test]
    fn new_operation_may_be_invisible_at_first() {
        let quirks = Quirks {
            operation_unseen: 2,
            done: SuccessStatus::Completed,
            ..Quirks::default()
        };
        let mut operations = Operations::default();
        let first = start(&mut operations, &quirks);
        let found = [(); 3].map(|()| read(&mut operations, "r", &first.id));
        assert_eq!(found, [None, None, Some("Completed")]);
    }

    #[test]
    fn operation_that_cannot_be_stored_does_not_advance() {
        let quirks = Quirks {
            operations: OperationProgress::AfterReads(1),
            ..Quirks::default()
        };
        let mut operations = Operations::default();
        let first = start(&mut operations, &quirks);
        let site = Site::of_region("r");
        let mut full = |_: StateChange<'_>| Err(ErrorResponse::service("disk full"));
        for _ in 0..3 {
            let mut context = Context {
                site: &site,
                now: NOW,
                persist: &mut full,
            };
            let error = operations.read(&first.id, &mut context);
            assert_eq!(error.expect_err("not stored").message, "disk full");
        }
        operations.finish(NOW, &mut full);
        let stored: Vec<&Operation> = operations.list(&site, None).collect();
        assert_eq!(stored, [&first]);
    }
}
