//! Writes to tags: from an accepted request to changed tags, an operation and a line in the journal of tags.
//!
//! **Owns** what a change of tags leaves behind. **Does not** know what a request makes of tags, which is `tags`' of the
//! emulator.
//!
//! What is not documented and has no quirk: tags can be changed in every state of an instance, and a Put of which a step is
//! left goes on as if nothing had happened.

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::model::{InstanceId, Site};

use super::super::changes::{Changed, Event, Keep};
use super::super::fault::Fault;
use super::super::quirks::{OtherArn, Progress, Reads, TagOperations};
use super::super::reply;
use super::super::tags::{Tagging, Tags};
use super::{State, id};

/// A change of tags that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagWrite {
    /// When.
    pub at: OffsetDateTime,
    /// `TagResource` or `UntagResource`.
    pub action: &'static str,
    /// Whose tags.
    pub instance: InstanceId,
    /// The ARN that the instance had.
    pub arn: String,
    /// The tags before.
    pub before: Tags,
    /// The tags after; equal to `before` where the write changed nothing.
    pub after: Tags,
    /// How many records the journal of rules had then.
    pub writes: usize,
}

impl State {
    pub(in super::super) fn tag_journal(&self) -> &[TagWrite] {
        &self.tag_journal
    }

    pub(super) fn tag(
        &mut self,
        site: &Site,
        name: &str,
        named: Option<&str>,
        tagging: &Tagging,
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Result<Value, Fault> {
        let place = self.place(site, name)?;
        let other_arn = self.quirks.other_arn;
        let entry = self.entry(site, place);
        let arn = entry.arn.clone();
        if let Some(named) = named
            && other_arn == OtherArn::Refuse
            && named != arn
        {
            return Err(Fault::not_found("Instance", named));
        }
        let before = entry.tags.clone();
        let mut after = tagging.apply(&before, &self.quirks)?;
        if self.ignores_writes || matches!(self.quirks.operations, Progress::Fails(_)) {
            after.clone_from(&before);
        }
        self.change_tags(site, place, &before, &after, keep)?;
        let id = id(site, name);
        self.tag_journal.push(TagWrite {
            at: now,
            action: tagging.action(),
            instance: id.clone(),
            arn: arn.clone(),
            before,
            after,
            writes: self.journal.len(),
        });
        if self.quirks.tag_operations == TagOperations::Empty {
            return Ok(json!({"operations": []}));
        }
        let (action, details) = (tagging.action(), String::new());
        let quirks = &self.quirks;
        let operation = self
            .operations
            .begin((&id, &arn), action, details, now, quirks);
        // Last, as after a write to rules.
        keep(Changed::Operation(&operation))?;
        Ok(json!({"operations": [reply::operation(&operation, &self.quirks)]}))
    }

    /// Changes the tags, or leaves everything as it is where the change cannot be kept.
    fn change_tags(
        &mut self,
        site: &Site,
        place: usize,
        before: &Tags,
        after: &Tags,
        keep: Keep<'_>,
    ) -> Result<(), Fault> {
        self.entry(site, place).tags.clone_from(after);
        if let Err(fault) = keep(Changed::Inventory(&self.inventory, Event::Written)) {
            self.entry(site, place).tags.clone_from(before);
            return Err(fault);
        }
        if after != before && self.quirks.tag_reads != Reads::Fresh {
            let id = id(site, &self.entry(site, place).name);
            let memory = self.memory.entry(id).or_default();
            memory.tags.remember(before.clone());
        }
        Ok(())
    }
}
