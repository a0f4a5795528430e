//! The state machine: what the service knows, and what each request makes of it.
//!
//! Owns instances, operations, the journal and the counts. Pure: the time, and the keeping of what changed, are passed
//! in. Refuses to know sockets, signatures and files.
//!
//! Where the service is not documented the choice is: writes need a `running` or `stopped` instance; an instance
//! whose `portStates` are `null` in the inventory cannot be read or written, which is a `ServiceException`; the limit of
//! sources bars growth, so that a firewall that is above it may still be made smaller.

use std::collections::BTreeMap;
use std::mem;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::inventory::{Entry, Inventory};
use crate::model::{AddressType, InstanceId, InstanceState, Key, PortState, SOURCES_PER_FAMILY};

use super::fault::Fault;
use super::operations::Operations;
use super::options::Quirks;
use super::wire::Request;
use super::{regions, reply, rules};

/// A write that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// When.
    pub at: OffsetDateTime,
    /// The API action, such as `PutInstancePublicPorts`.
    pub action: &'static str,
    /// Whose rules.
    pub instance: InstanceId,
    /// The rules in the request, to the letter and without a state; none for a Put that closes everything.
    pub request: Vec<PortState>,
    /// The rules before.
    pub before: Vec<PortState>,
    /// The rules after; equal to `before` where the write changed nothing.
    pub after: Vec<PortState>,
}

/// What happened to the inventory, for whoever keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A client changed rules.
    Written,
    /// A pending instance turned running.
    Turned,
}

/// Keeps the inventory after an event. Where that fails, the event is undone and its fault is the answer.
pub(super) type Keep<'a> = &'a mut dyn FnMut(&Inventory, Event) -> Result<(), Fault>;

/// Everything the service knows.
#[derive(Debug)]
pub(super) struct State {
    inventory: Inventory,
    places: BTreeMap<InstanceId, usize>,
    /// How often a pending instance was read.
    pending: BTreeMap<InstanceId, u32>,
    operations: Operations,
    journal: Vec<Write>,
    quirks: Quirks,
}

impl State {
    pub(super) fn new(inventory: Inventory, quirks: Quirks) -> Self {
        let mut places = BTreeMap::new();
        for (region, entries) in &inventory.regions {
            for (place, entry) in entries.iter().enumerate() {
                let id = InstanceId {
                    region: region.clone(),
                    name: entry.name.clone(),
                };
                places.entry(id).or_insert(place);
            }
        }
        Self {
            inventory,
            places,
            pending: BTreeMap::new(),
            operations: Operations::default(),
            journal: Vec::new(),
            quirks,
        }
    }

    pub(super) fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    pub(super) fn journal(&self) -> &[Write] {
        &self.journal
    }

    pub(super) fn finish_operations(&mut self, now: OffsetDateTime) {
        self.operations.finish(now);
    }

    /// Answers a request that was made to a region.
    pub(super) fn answer(
        &mut self,
        region: &str,
        request: Request,
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Result<Value, Fault> {
        match request {
            Request::PortStates { name } => {
                let entry = self.read(region, &name, keep)?;
                let states = entry.port_states.as_ref().ok_or_else(unreadable)?;
                Ok(json!({"portStates": states}))
            }
            Request::Open { name, rule } => {
                let quirk = self.quirks.open;
                let write = Attempt {
                    action: "OpenInstancePublicPorts",
                    details: details(rule.key),
                    request: vec![rule.sent.clone()],
                    change: &|entries, family| rules::open(entries, &rule, family, quirk),
                };
                self.write(region, &name, write, now, keep)
            }
            Request::Close { name, rule } => {
                let quirk = self.quirks.close;
                let write = Attempt {
                    action: "CloseInstancePublicPorts",
                    details: details(rule.key),
                    request: vec![rule.sent.clone()],
                    change: &|entries, _| rules::close(entries, &rule, quirk),
                };
                self.write(region, &name, write, now, keep)
            }
            Request::Put { name, rules } => {
                let write = Attempt {
                    action: "PutInstancePublicPorts",
                    // What the service says of a Put is not known.
                    details: String::new(),
                    request: rules.iter().map(|rule| rule.sent.clone()).collect(),
                    change: &|_, family| rules::put(&rules, family),
                };
                self.write(region, &name, write, now, keep)
            }
            Request::Operation { id } => {
                let operation = self.operations.read(region, &id, now);
                let operation = operation.ok_or_else(|| Fault::not_found("Operation", &id))?;
                Ok(json!({"operation": reply::operation(operation)}))
            }
            Request::Operations { token } => self.list_operations(region, None, token.as_deref()),
            Request::OperationsFor { name, token } => {
                self.place(region, &name)?;
                self.list_operations(region, Some(&name), token.as_deref())
            }
            Request::Instance { name } => {
                let entry = self.read(region, &name, keep)?;
                Ok(json!({"instance": reply::instance(region, entry)}))
            }
            Request::InstanceState { name } => {
                let entry = self.read(region, &name, keep)?;
                Ok(json!({"state": reply::state(&entry.state)}))
            }
            Request::Instances { token } => self.list_instances(region, token.as_deref(), keep),
            Request::Regions {
                zones,
                database_zones,
            } => {
                let known = self.inventory.regions.keys().map(String::as_str);
                Ok(json!({"regions": regions::list(known, zones, database_zones)}))
            }
        }
    }

    fn place(&self, region: &str, name: &str) -> Result<usize, Fault> {
        let id = InstanceId {
            region: region.to_owned(),
            name: name.to_owned(),
        };
        let place = self.places.get(&id).copied();
        place.ok_or_else(|| Fault::not_found("Instance", name))
    }

    fn entry(&mut self, region: &str, place: usize) -> &mut Entry {
        self.inventory
            .regions
            .get_mut(region)
            .and_then(|entries| entries.get_mut(place))
            .expect("a place always comes from the same inventory, which neither grows nor shrinks")
    }

    fn read(&mut self, region: &str, name: &str, keep: Keep<'_>) -> Result<&Entry, Fault> {
        let place = self.place(region, name)?;
        self.note_read(region, place, keep)?;
        Ok(self.entry(region, place))
    }

    /// Counts a read of a pending instance, and turns it running when it has been read often enough.
    fn note_read(&mut self, region: &str, place: usize, keep: Keep<'_>) -> Result<(), Fault> {
        let limit = self.quirks.pending_reads;
        let entry = self.entry(region, place);
        if entry.state != InstanceState::Pending.name() {
            return Ok(());
        }
        let id = InstanceId {
            region: region.to_owned(),
            name: entry.name.clone(),
        };
        let reads = self.pending.entry(id).or_insert(0);
        if *reads < limit {
            *reads += 1;
            return Ok(());
        }
        let running = InstanceState::Running.name().to_owned();
        let pending = mem::replace(&mut self.entry(region, place).state, running);
        if let Err(fault) = keep(&self.inventory, Event::Turned) {
            self.entry(region, place).state = pending;
            return Err(fault);
        }
        Ok(())
    }

    fn write(
        &mut self,
        region: &str,
        name: &str,
        attempt: Attempt<'_>,
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Result<Value, Fault> {
        let place = self.place(region, name)?;
        let entry = self.entry(region, place);
        if !InstanceState::from_name(&entry.state).is_settled() {
            return Err(Fault::operation_failure(format!(
                "The Instance {name} cannot be changed while its state is {}.",
                entry.state
            )));
        }
        let before = entry.port_states.clone().ok_or_else(unreadable)?;
        let family = AddressType::from_name(&entry.ip_address_type);
        let after = (attempt.change)(&before, &family);
        check_limit(&before, &after)?;
        if after != before {
            entry.port_states = Some(after.clone());
        }
        // A write that changes nothing is offered too, because whoever keeps the inventory may refuse any write.
        if let Err(fault) = keep(&self.inventory, Event::Written) {
            self.entry(region, place).port_states = Some(before);
            return Err(fault);
        }
        let id = InstanceId {
            region: region.to_owned(),
            name: name.to_owned(),
        };
        let progress = self.quirks.operations;
        let operation = self
            .operations
            .begin(&id, attempt.action, attempt.details, now, progress);
        self.journal.push(Write {
            at: now,
            action: attempt.action,
            instance: id,
            request: attempt.request,
            before,
            after,
        });
        Ok(json!({"operation": reply::operation(&operation)}))
    }

    fn list_instances(
        &mut self,
        region: &str,
        token: Option<&str>,
        keep: Keep<'_>,
    ) -> Result<Value, Fault> {
        let total = self.inventory.regions.get(region).map_or(0, Vec::len);
        let page = Page::new("instances", token, self.quirks.instances_per_page, total)?;
        let mut instances = Vec::with_capacity(page.end - page.start);
        for place in page.start..page.end {
            self.note_read(region, place, keep)?;
            instances.push(reply::instance(region, self.entry(region, place)));
        }
        Ok(page.reply("instances", &instances))
    }

    fn list_operations(
        &self,
        region: &str,
        name: Option<&str>,
        token: Option<&str>,
    ) -> Result<Value, Fault> {
        let all = || self.operations.list(region, name);
        let size = self.quirks.operations_per_page;
        let page = Page::new("operations", token, size, all().count())?;
        let shown = all().skip(page.start).take(page.end - page.start);
        let operations: Vec<Value> = shown.map(reply::operation).collect();
        Ok(page.reply("operations", &operations))
    }
}

/// A write before it is known whether it is accepted.
struct Attempt<'a> {
    action: &'static str,
    details: String,
    request: Vec<PortState>,
    change: &'a dyn Fn(&[PortState], &AddressType) -> Vec<PortState>,
}

fn unreadable() -> Fault {
    Fault::service("The rules of this Instance cannot be read at this time.")
}

/// `22/tcp` is documented; the form for a range is a guess.
fn details(key: Key) -> String {
    if key.from() == key.to() {
        format!("{}/{}", key.from(), key.protocol())
    } else {
        format!("{}-{}/{}", key.from(), key.to(), key.protocol())
    }
}

fn check_limit(before: &[PortState], after: &[PortState]) -> Result<(), Fault> {
    let (before, after) = (rules::count(before), rules::count(after));
    for (family, before, after) in [("IPv4", before.0, after.0), ("IPv6", before.1, after.1)] {
        if after > SOURCES_PER_FAMILY && after >= before {
            return Err(Fault::invalid_input(format!(
                "An Instance firewall takes at most {SOURCES_PER_FAMILY} {family} sources; this would make {after}."
            )));
        }
    }
    Ok(())
}

/// One page of a list. Tokens name the list and the place, and are opaque to clients.
struct Page {
    kind: &'static str,
    start: usize,
    end: usize,
    total: usize,
}

impl Page {
    fn new(
        kind: &'static str,
        token: Option<&str>,
        size: usize,
        total: usize,
    ) -> Result<Self, Fault> {
        let start = match token {
            None => 0,
            Some(token) => token
                .strip_prefix(kind)
                .and_then(|rest| rest.strip_prefix('-'))
                .and_then(|place| place.parse().ok())
                .filter(|place| *place <= total)
                .ok_or_else(|| Fault::invalid_input("The page token is not valid."))?,
        };
        let end = start.saturating_add(size.max(1)).min(total);
        Ok(Self {
            kind,
            start,
            end,
            total,
        })
    }

    fn reply(&self, member: &str, items: &[Value]) -> Value {
        let Self {
            kind,
            start: _,
            end,
            total,
        } = self;
        let mut reply = json!({member: items});
        if end < total {
            reply["nextPageToken"] = format!("{kind}-{end}").into();
        }
        reply
    }
}

#[cfg(test)]
mod tests;
