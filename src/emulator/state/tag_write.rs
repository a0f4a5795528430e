//! Writes to tags: from an accepted request to changed tags, an operation and a record in the journal of tags.
//!
//! **Owns** the effects on the state. **Does not** know the effect of a request on a set of tags; the emulator's `tags` does.
//!
//! Where the service is not documented and there is no quirk: tags can be changed in every state of an instance, without an effect on a Put
//! in two steps.

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::model::InstanceId;

use super::super::context::{ChangeCause, Context, StateChange};
use super::super::error_response::{ErrorResponse, Result};
use super::super::quirks::{ForeignArn, OperationProgress, ReadConsistency, TagOperations};
use super::super::response_body;
use super::super::tags::{TagChange, Tags};
use super::ServiceState;

/// An accepted change of tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagWrite {
    /// The time of the change.
    pub at: OffsetDateTime,
    /// `TagResource` or `UntagResource`.
    pub action: &'static str,
    /// The instance whose tags changed.
    pub instance: InstanceId,
    /// The ARN of the instance.
    pub arn: String,
    /// The tags before.
    pub before: Tags,
    /// The tags after; equal to `before` if the write changed nothing.
    pub after: Tags,
    /// The number of records in the journal of rules at that time.
    pub writes: usize,
}

impl ServiceState {
    pub(super) fn tag(
        &mut self,
        name: &str,
        resource_arn: Option<&str>,
        change: &TagChange,
        context: &mut Context<'_>,
    ) -> Result<Value> {
        let site = context.site;
        let index = self.index(site, name)?;
        let foreign_arn = self.quirks.other_arn;
        let entry = self.entry(site, index);
        let arn = entry.arn.clone();
        if let Some(resource_arn) = resource_arn
            && foreign_arn == ForeignArn::Refuse
            && resource_arn != arn
        {
            return Err(ErrorResponse::not_found("Instance", resource_arn));
        }
        let before = entry.tags.clone();
        let mut after = change.apply(&before, &self.quirks)?;
        if self.ignores_writes || matches!(self.quirks.operations, OperationProgress::Fails(_)) {
            after.clone_from(&before);
        }
        self.entry(site, index).tags.clone_from(&after);
        (context.persist)(StateChange::Inventory(
            &self.inventory,
            ChangeCause::ClientWrite,
        ))
        .inspect_err(|_| self.entry(site, index).tags.clone_from(&before))?;
        let id = site.instance_id(name);
        if after != before && self.quirks.tag_reads != ReadConsistency::Fresh {
            let history = self.histories.entry(id.clone()).or_default();
            history.tags.set(before.clone());
        }
        let (action, now, quirks) = (change.action(), context.now, &self.quirks);
        self.tag_journal.push(TagWrite {
            at: now,
            action,
            instance: id.clone(),
            arn: arn.clone(),
            before,
            after,
            writes: self.journal.len(),
        });
        if quirks.tag_operations == TagOperations::Empty {
            return Ok(json!({"operations": []}));
        }
        let operation = self
            .operations
            .start(&id, &arn, action, String::new(), now, quirks);
        // Last, as after a write to rules.
        (context.persist)(StateChange::Operation(&operation))?;
        Ok(json!({"operations": [response_body::operation(&operation, quirks)]}))
    }
}
