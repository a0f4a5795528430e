//! Writes to rules: from an accepted request to changed rules, an operation and a record in the journal.
//!
//! Owns when a write is accepted, and in how many steps it takes effect. Does not know the effect of Open, Close and Put on a list of rules;
//! `rules` does.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::model::{AddressType, InstanceId, InstanceState, PortState, Site};

use super::super::context::{ChangeCause, Context, StateChange};
use super::super::error_response::{ErrorResponse, Result};
use super::super::quirks::{
    Acceptance, ListedPorts, OperationProgress, PutSteps, Quirks, ReadConsistency,
};
use super::super::response_body;
use super::super::rules::{self, RuleWrite};
use super::{Author, ServiceState, Write, unreadable};

/// The rest of a Put that takes effect in two steps.
#[derive(Debug)]
pub(super) struct SecondStep {
    first: Arc<Write>,
    after: Vec<PortState>,
}

impl ServiceState {
    pub(super) fn write(
        &mut self,
        name: &str,
        write: &RuleWrite,
        context: &mut Context<'_>,
    ) -> Result<Value> {
        let site = context.site;
        let index = self.index(site, name)?;
        let id = site.instance_id(name);
        self.finish_put(&id, index, context)?;
        self.check_settled(site, index)?;
        let (author, cause) = match write {
            RuleWrite::Foreign(_) => (Author::ForeignWriter, ChangeCause::Event),
            _ => (Author::Client, ChangeCause::ClientWrite),
        };
        let is_client = author == Author::Client;
        let entry = self.entry(site, index);
        let before = entry.port_states.as_deref();
        let before = before.ok_or_else(unreadable)?.to_vec();
        let family = AddressType::from(entry.ip_address_type.as_str());
        let arn = entry.arn.clone();
        let mut after = write.apply(&before, &family, &self.quirks)?;
        self.check_limit(&before, &after)?;
        let fails = matches!(self.quirks.operations, OperationProgress::Fails(_));
        if is_client && (fails || self.ignores_writes) {
            after.clone_from(&before);
        }
        let mut second_step = None;
        if self.quirks.put == PutSteps::Two && matches!(write, RuleWrite::Put(_)) {
            let unchanged = rules::unchanged(&before, &after);
            if unchanged != before && unchanged != after {
                second_step = Some(std::mem::replace(&mut after, unchanged));
            }
        }
        // Also if the rules do not change, because the storage may refuse any write.
        self.set_rules(index, &before, &after, cause, context)?;
        let default = Quirks::default();
        let quirks = if is_client { &self.quirks } else { &default };
        let (action, details) = (write.action(), write.details());
        let operation = self
            .operations
            .start(&id, &arn, action, details, context.now, quirks);
        let record = Arc::new(Write {
            at: context.now,
            by: author,
            action,
            instance: id.clone(),
            arn,
            request: write.request(),
            before,
            after,
            step: 1,
            steps: if second_step.is_some() { 2 } else { 1 },
        });
        self.journal.push(Arc::clone(&record));
        if let Some(after) = second_step {
            self.histories.entry(id).or_default().second_step = Some(SecondStep {
                first: record,
                after,
            });
        }
        // Last, so that the rules of a stored operation are stored too. If this fails, the client has to read, as after any error of the
        // service.
        (context.persist)(StateChange::Operation(&operation))?;
        Ok(json!({"operation": response_body::operation(&operation, &self.quirks)}))
    }

    /// Takes the second step of a Put, if there is one.
    pub(super) fn finish_put(
        &mut self,
        id: &InstanceId,
        index: usize,
        context: &mut Context<'_>,
    ) -> Result<()> {
        let history = self.histories.get_mut(id);
        let Some(step) = history.and_then(|history| history.second_step.take()) else {
            return Ok(());
        };
        let before = &step.first.after;
        // Not a client write, because a read may cause it.
        if let Err(error) = self.set_rules(index, before, &step.after, ChangeCause::Event, context)
        {
            self.histories.entry(id.clone()).or_default().second_step = Some(step);
            return Err(error);
        }
        self.journal.push(Arc::new(Write {
            at: context.now,
            before: before.clone(),
            after: step.after,
            step: 2,
            ..Write::clone(&step.first)
        }));
        Ok(())
    }

    /// Changes the rules, unless the change cannot be stored.
    fn set_rules(
        &mut self,
        index: usize,
        before: &[PortState],
        after: &[PortState],
        cause: ChangeCause,
        context: &mut Context<'_>,
    ) -> Result<()> {
        let site = context.site;
        if after != before {
            self.entry(site, index).port_states = Some(after.into());
        }
        (context.persist)(StateChange::Inventory(&self.inventory, cause))
            .inspect_err(|_| self.entry(site, index).port_states = Some(before.into()))?;
        let is_list_stale = self.quirks.listed_ports == ListedPorts::Stale;
        if after != before && (is_list_stale || self.quirks.reads != ReadConsistency::Fresh) {
            let id = site.instance_id(&self.entry(site, index).name);
            let history = self.histories.entry(id).or_default();
            history.initial_rules.get_or_insert_with(|| before.to_vec());
            history.rules.set(before.to_vec());
        }
        Ok(())
    }

    fn check_settled(&mut self, site: &Site, index: usize) -> Result<()> {
        let (code, stopped) = (self.quirks.pending_error, self.quirks.stopped);
        let entry = self.entry(site, index);
        let state = InstanceState::from(entry.state.as_str());
        let is_refused = state == InstanceState::Stopped && stopped == Acceptance::Refuse;
        if state.is_settled() && !is_refused {
            return Ok(());
        }
        let message = format!(
            "The Instance {} cannot be changed while its state is {}.",
            entry.name, entry.state
        );
        Err(ErrorResponse::refusal(code, message))
    }

    fn check_limit(&self, before: &[PortState], after: &[PortState]) -> Result<()> {
        let Quirks {
            source_limit: limit,
            source_limit_error: code,
            aliases_count,
            ..
        } = self.quirks;
        let count = |entries| rules::count(entries, aliases_count);
        let (before, after) = (count(before), count(after));
        for (family, before, after) in [("IPv4", before.0, after.0), ("IPv6", before.1, after.1)] {
            if after > limit && after >= before {
                let message = format!(
                    "An Instance firewall takes at most {limit} {family} sources; this would make {after}."
                );
                return Err(ErrorResponse::refusal(code, message));
            }
        }
        Ok(())
    }
}
