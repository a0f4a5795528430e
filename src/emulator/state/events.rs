//! What happens to an instance without this client: a second writer, deletion, replacement.
//!
//! Owns what each of them does. Does not know when one is due.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::inventory::Entry;
use crate::model::{InstanceId, InstanceState, Key, PortState, Protocol};

use super::super::changes::{Changed, Event, Keep};
use super::super::dice::pick;
use super::super::fault::Fault;
use super::super::faults::{Change, ScriptedEvent};
use super::super::operation::uuid;
use super::write::{Attempt, details};
use super::{Author, State};

impl State {
    /// Carries it out. Where there is no such instance, or the second writer is refused, nothing does.
    ///
    /// # Errors
    /// What cannot be kept, which then did not happen.
    pub(in super::super) fn apply_event(
        &mut self,
        id: &InstanceId,
        what: &ScriptedEvent,
        roll: u64,
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Result<(), Fault> {
        let Ok(place) = self.place(&id.site(), &id.name) else {
            return Ok(());
        };
        match what {
            ScriptedEvent::Goes(_) => Ok(()),
            ScriptedEvent::Writes(rules) => {
                let put = SecondWrite {
                    action: "PutInstancePublicPorts",
                    details: String::new(),
                    request: rules.iter().map(without_state).collect(),
                    after: rules.clone(),
                };
                self.second_writer(id, put, now, keep);
                Ok(())
            }
            ScriptedEvent::WritesSomething => {
                let entry = self.entry(&id.site(), place);
                if let Some(rules) = entry.port_states.clone() {
                    self.second_writer(id, something(&rules, roll), now, keep);
                }
                Ok(())
            }
            ScriptedEvent::Changes(change) => {
                let next = changed(self.entry(&id.site(), place), change);
                self.exchange(id, place, Some(next), keep)
            }
            ScriptedEvent::Deleted => self.exchange(id, place, None, keep),
            ScriptedEvent::Replaced => {
                let entry = self.entry(&id.site(), place);
                let next = replacement(entry, roll);
                self.exchange(id, place, Some(next), keep)
            }
        }
    }

    fn second_writer(
        &mut self,
        id: &InstanceId,
        write: SecondWrite,
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) {
        let SecondWrite {
            action,
            details,
            request,
            after,
        } = write;
        let attempt = Attempt {
            by: Author::SecondWriter,
            action,
            details,
            request,
            change: &|_, _| Ok(after.clone()),
        };
        // A refusal is the second writer's business.
        let _ = self.write(&id.site(), &id.name, attempt, now, keep);
    }

    /// Takes the instance away, or puts another in its place.
    fn exchange(
        &mut self,
        id: &InstanceId,
        place: usize,
        next: Option<Entry>,
        keep: Keep<'_>,
    ) -> Result<(), Fault> {
        let Some(entries) = self.inventory.regions.get_mut(&id.region) else {
            return Ok(());
        };
        let old = entries.remove(place);
        let replaced = next.is_some();
        if let Some(next) = next {
            entries.insert(place, next);
        }
        if let Err(fault) = keep(Changed::Inventory(&self.inventory, Event::Happened)) {
            if let Some(entries) = self.inventory.regions.get_mut(&id.region) {
                if replaced {
                    entries.remove(place);
                }
                entries.insert(place, old);
            }
            return Err(fault);
        }
        self.memory.remove(id);
        self.find_places();
        Ok(())
    }
}

/// What the second writer writes.
struct SecondWrite {
    action: &'static str,
    details: String,
    request: Vec<PortState>,
    after: Vec<PortState>,
}

/// One of: a key is opened, a key is closed, everything is put again with one rule more.
fn something(rules: &[PortState], roll: u64) -> SecondWrite {
    let port = 9000 + i32::try_from(pick(1000, roll >> 8)).unwrap_or(0);
    let source = format!("198.51.100.{}/32", pick(256, roll >> 24));
    let added = PortState {
        from_port: port,
        to_port: port,
        protocol: Protocol::Tcp.as_str().to_owned(),
        state: Some("open".to_owned()),
        cidrs: vec![source],
        ..PortState::default()
    };
    let mut after = rules.to_vec();
    if roll.is_multiple_of(3) && !after.is_empty() {
        let closed = after.remove(pick(after.len(), roll >> 40));
        return SecondWrite {
            action: "CloseInstancePublicPorts",
            details: details_of(&closed),
            request: vec![without_state(&closed)],
            after,
        };
    }
    after.retain(|entry| (entry.from_port, &entry.protocol) != (port, &added.protocol));
    after.push(added.clone());
    if roll % 3 == 1 {
        return SecondWrite {
            action: "OpenInstancePublicPorts",
            details: details_of(&added),
            request: vec![without_state(&added)],
            after,
        };
    }
    SecondWrite {
        action: "PutInstancePublicPorts",
        details: String::new(),
        request: after.iter().map(without_state).collect(),
        after,
    }
}

fn details_of(entry: &PortState) -> String {
    Protocol::from_live(&entry.protocol)
        .and_then(|protocol| Key::new(protocol, entry.from_port, entry.to_port).ok())
        .map(details)
        .unwrap_or_default()
}

fn without_state(entry: &PortState) -> PortState {
    PortState {
        state: None,
        ..entry.clone()
    }
}

/// The instance with what is different about it.
fn changed(entry: &Entry, change: &Change) -> Entry {
    let Change {
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

/// Another instance with the same name: a new ARN, and the rules that every new Linux instance has.
fn replacement(entry: &Entry, roll: u64) -> Entry {
    let place = entry.arn.rsplit_once('/').map_or("", |(place, _)| place);
    let world = |port| PortState {
        from_port: port,
        to_port: port,
        protocol: Protocol::Tcp.as_str().to_owned(),
        state: Some("open".to_owned()),
        cidrs: vec!["0.0.0.0/0".to_owned()],
        ipv6_cidrs: vec!["::/0".to_owned()],
        cidr_list_aliases: Vec::new(),
    };
    Entry {
        name: entry.name.clone(),
        arn: format!("{place}/{}", uuid(&[&entry.arn, &roll.to_string()])),
        tags: BTreeMap::new(),
        state: InstanceState::Running.name().to_owned(),
        ip_address_type: entry.ip_address_type.clone(),
        port_states: Some([world(80), world(22)].into()),
    }
}
