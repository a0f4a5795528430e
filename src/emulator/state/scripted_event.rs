//! Events that change an instance without a client: writes of a foreign writer, deletion, replacement.
//!
//! Owns their effects. Does not know when they occur.

use std::collections::BTreeMap;

use crate::inventory::Entry;
use crate::model::{InstanceState, PortState, Protocol};

use super::super::context::{ChangeCause, Context, StateChange};
use super::super::error_response::Result;
use super::super::faults::{InstanceChange, ScriptedEvent};
use super::super::operation::uuid;
use super::super::random;
use super::super::rules::{RuleWrite, ScriptedWrite, details, key_of};
use super::ServiceState;

impl ServiceState {
    /// Applies an event. If the instance does not exist, or refuses the write of a foreign writer, nothing happens.
    ///
    /// # Errors
    /// The change cannot be stored; then it is undone.
    pub(in super::super) fn apply_event(
        &mut self,
        name: &str,
        event: &ScriptedEvent,
        random: u64,
        context: &mut Context<'_>,
    ) -> Result<()> {
        let Ok(index) = self.index(context.site, name) else {
            return Ok(());
        };
        let entry = self.entry(context.site, index);
        let write = match event {
            ScriptedEvent::RequestFault(_) => return Ok(()),
            ScriptedEvent::ForeignPut(rules) => put(rules.clone()),
            ScriptedEvent::RandomForeignWrite => match &entry.port_states {
                Some(rules) => random_write(rules, random),
                None => return Ok(()),
            },
            ScriptedEvent::Change(change) => {
                let entry = changed(entry, change);
                return self.replace(name, index, Some(entry), context);
            }
            ScriptedEvent::Deletion => return self.replace(name, index, None, context),
            ScriptedEvent::Replacement => {
                let entry = replacement(entry, random);
                return self.replace(name, index, Some(entry), context);
            }
        };
        // The foreign writer ignores a refusal.
        let _ = self.write(name, &RuleWrite::Foreign(write), context);
        Ok(())
    }

    /// Removes the instance, or replaces it by another one.
    fn replace(
        &mut self,
        name: &str,
        index: usize,
        new: Option<Entry>,
        context: &mut Context<'_>,
    ) -> Result<()> {
        let Some(entries) = self.inventory.regions.get_mut(&context.site.region) else {
            return Ok(());
        };
        let before = entries.clone();
        drop(entries.splice(index..=index, new));
        let change = StateChange::Inventory(&self.inventory, ChangeCause::Event);
        if let Err(error) = (context.persist)(change) {
            let region = context.site.region.clone();
            self.inventory.regions.insert(region, before);
            return Err(error);
        }
        self.histories.remove(&context.site.instance_id(name));
        self.index_instances();
        Ok(())
    }
}

fn put(rules: Vec<PortState>) -> ScriptedWrite {
    ScriptedWrite {
        action: "PutInstancePublicPorts",
        details: String::new(),
        request: rules.iter().map(without_state).collect(),
        after: rules,
    }
}

/// An Open of a key, a Close of a key, or a Put of all rules and a new one.
fn random_write(rules: &[PortState], random: u64) -> ScriptedWrite {
    let port = 9000 + i32::try_from(random::index(1000, random >> 8)).unwrap_or(0);
    let source = format!("198.51.100.{}/32", random::index(256, random >> 24));
    let added = PortState {
        cidrs: vec![source],
        ..open_port(port)
    };
    let single = |action, rule: &PortState, after| ScriptedWrite {
        action,
        details: key_of(rule).map(details).unwrap_or_default(),
        request: vec![without_state(rule)],
        after,
    };
    let mut after = rules.to_vec();
    if random.is_multiple_of(3) && !after.is_empty() {
        let closed = after.remove(random::index(after.len(), random >> 40));
        return single("CloseInstancePublicPorts", &closed, after);
    }
    after.retain(|entry| (entry.from_port, &entry.protocol) != (port, &added.protocol));
    after.push(added.clone());
    if random % 3 == 1 {
        return single("OpenInstancePublicPorts", &added, after);
    }
    put(after)
}

/// A rule for a TCP port, without sources.
fn open_port(port: i32) -> PortState {
    PortState {
        from_port: port,
        to_port: port,
        protocol: Protocol::Tcp.as_str().to_owned(),
        state: Some("open".to_owned()),
        ..PortState::default()
    }
}

fn without_state(entry: &PortState) -> PortState {
    PortState {
        state: None,
        ..entry.clone()
    }
}

fn changed(entry: &Entry, change: &InstanceChange) -> Entry {
    let InstanceChange {
        arn,
        state,
        ip_address_type,
        port_states,
        tags,
    } = change.clone();
    let entry = entry.clone();
    Entry {
        arn: arn.unwrap_or(entry.arn),
        state: state.unwrap_or(entry.state),
        ip_address_type: ip_address_type.unwrap_or(entry.ip_address_type),
        port_states: port_states.map(Into::into).or(entry.port_states),
        tags: tags.unwrap_or(entry.tags),
        ..entry
    }
}

/// Another instance with the same name: a new ARN, and the rules of a new Linux instance.
fn replacement(entry: &Entry, random: u64) -> Entry {
    let prefix = entry.arn.rsplit_once('/').map_or("", |(prefix, _)| prefix);
    let open = |port| PortState {
        cidrs: vec!["0.0.0.0/0".to_owned()],
        ipv6_cidrs: vec!["::/0".to_owned()],
        ..open_port(port)
    };
    Entry {
        arn: format!("{prefix}/{}", uuid(&[&entry.arn, &random.to_string()])),
        tags: BTreeMap::new(),
        state: InstanceState::Running.to_string(),
        port_states: Some([open(80), open(22)].into()),
        ..entry.clone()
    }
}
