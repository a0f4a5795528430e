//! The state machine: what the service knows, and what each request makes of it.
//!
//! Owns instances, operations, the journal and the counts. Pure: the time, and the keeping of what changed, are passed
//! in. Does not know sockets, signatures, files and chance.
//!
//! Where the service is not documented and no quirk says otherwise, the choice is: writes need a `running` or `stopped`
//! instance; an instance whose `portStates` are `null` in the inventory cannot be read or written, which is a
//! `ServiceException`; the limit of sources bars growth, so that a firewall that is above it may still be made smaller.

mod events;
mod journal;
mod page;
mod tags;
mod write;

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::inventory::{Entry, Inventory, account};
use crate::model::{InstanceId, InstanceState, PortState, Site};

use super::changes::{Changed, Event, Keep};
use super::dice::roll;
use super::fault::Fault;
use super::operation::Operation;
use super::operations::Operations;
use super::quirks::{ListedPorts, Order, Pages, Quirks, Reads};
use super::tags::Tags;
use super::wire::Request;
use super::{regions, reply, spelling};
pub use journal::{Author, Write};
use page::Page;
pub use tags::TagWrite;
use write::SecondStep;

/// Everything the service knows.
#[derive(Debug)]
pub(super) struct State {
    inventory: Inventory,
    /// Whether the instances are in several accounts, each of which then sees its own only.
    several: bool,
    places: BTreeMap<InstanceId, usize>,
    memory: BTreeMap<InstanceId, Memory>,
    operations: Operations,
    journal: Vec<Arc<Write>>,
    tag_journal: Vec<TagWrite>,
    quirks: Quirks,
    seed: u64,
    /// Whether the writes of clients are accepted and have no effect.
    pub(super) ignores_writes: bool,
}

/// What is known of an instance beside its rules.
#[derive(Debug, Default)]
struct Memory {
    /// How often it was read while pending.
    pending_reads: u32,
    rules: Earlier<Vec<PortState>>,
    tags: Earlier<Tags>,
    /// The rules before the first change, where lists go on showing them.
    first: Option<Vec<PortState>>,
    /// What is left to do of a Put.
    second_step: Option<SecondStep>,
    /// How often its rules were shown.
    shown: u64,
}

/// What was there before the last change, for as long as reads may show it.
#[derive(Debug, Default)]
struct Earlier<T> {
    old: Option<T>,
    /// How many reads there were since.
    reads: u32,
}

impl State {
    pub(super) fn new(inventory: Inventory, quirks: Quirks, seed: u64) -> Self {
        let accounts = inventory.accounts();
        let mut state = Self {
            several: accounts.len() > 1,
            inventory,
            places: BTreeMap::new(),
            memory: BTreeMap::new(),
            operations: Operations::default(),
            journal: Vec::new(),
            tag_journal: Vec::new(),
            quirks,
            seed,
            ignores_writes: false,
        };
        state.find_places();
        state
    }

    pub(super) fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// What somebody of this account sees of a region.
    pub(super) fn site(&self, account: &str, region: &str) -> Site {
        Site {
            account: self.several.then(|| account.to_owned()),
            region: region.to_owned(),
        }
    }

    pub(super) fn journal(&self) -> &[Arc<Write>] {
        &self.journal
    }

    pub(super) fn finish_operations(&mut self, now: OffsetDateTime, keep: Keep<'_>) {
        self.operations.finish(now, keep);
    }

    /// Takes over the operations of an earlier run, in place of those that there are.
    pub(super) fn restore_operations(&mut self, mut operations: Vec<Operation>) {
        for operation in &mut operations {
            let account = self.several.then(|| account(&operation.arn).to_owned());
            operation.instance.account = account;
        }
        self.operations = Operations::restored(operations);
    }

    /// Answers a request that was made to a region.
    pub(super) fn answer(
        &mut self,
        site: &Site,
        request: Request,
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Result<Value, Fault> {
        match request {
            Request::PortStates { name } => {
                let place = self.read(site, &name, keep)?;
                let (rules, roll) = self.look(site, place, now, keep)?;
                let rules = rules.ok_or_else(unreadable)?;
                Ok(json!({"portStates": spelling::port_states(&rules, &self.quirks, roll)}))
            }
            Request::Open { name, rule } => self.open(site, &name, &rule, now, keep),
            Request::Close { name, rule } => self.close(site, &name, &rule, now, keep),
            Request::Put { name, rules } => self.put(site, &name, &rules, now, keep),
            Request::Tag { name, arn, tagging } => {
                self.tag(site, &name, arn.as_deref(), &tagging, now, keep)
            }
            Request::Operation { id } => {
                let operation = self.operations.read(site, &id, now, keep)?;
                let operation = operation.ok_or_else(|| Fault::not_found("Operation", &id))?;
                Ok(json!({"operation": reply::operation(operation, &self.quirks)}))
            }
            Request::Operations { token } => self.list_operations(site, None, token.as_deref()),
            Request::OperationsFor { name, token } => {
                self.place(site, &name)?;
                self.list_operations(site, Some(&name), token.as_deref())
            }
            Request::Instance { name } => {
                let place = self.read(site, &name, keep)?;
                Ok(json!({"instance": self.show(site, place, now, keep)?}))
            }
            Request::InstanceState { name } => {
                let place = self.read(site, &name, keep)?;
                Ok(json!({"state": reply::state(&self.entry(site, place).state)}))
            }
            Request::Instances { token } => self.list_instances(site, token.as_deref(), now, keep),
            Request::Regions {
                zones,
                database_zones,
            } => {
                let known = self.inventory.regions.keys().map(String::as_str);
                Ok(json!({"regions": regions::list(known, zones, database_zones)}))
            }
        }
    }

    fn find_places(&mut self) {
        self.places.clear();
        for (region, entries) in &self.inventory.regions {
            for (place, entry) in entries.iter().enumerate() {
                let site = Site {
                    account: self.several.then(|| entry.account().to_owned()),
                    region: region.clone(),
                };
                self.places.entry(id(&site, &entry.name)).or_insert(place);
            }
        }
    }

    fn place(&self, site: &Site, name: &str) -> Result<usize, Fault> {
        let place = self.places.get(&id(site, name)).copied();
        place.ok_or_else(|| Fault::not_found("Instance", name))
    }

    fn entry(&mut self, site: &Site, place: usize) -> &mut Entry {
        self.inventory
            .regions
            .get_mut(&site.region)
            .and_then(|entries| entries.get_mut(place))
            .expect("a place always comes from the same inventory, as it is now")
    }

    fn read(&mut self, site: &Site, name: &str, keep: Keep<'_>) -> Result<usize, Fault> {
        let place = self.place(site, name)?;
        self.note_read(site, place, keep)?;
        Ok(place)
    }

    /// Counts a read of a pending instance, and turns it running when it has been read often enough.
    fn note_read(&mut self, site: &Site, place: usize, keep: Keep<'_>) -> Result<(), Fault> {
        let limit = self.quirks.pending_reads;
        let entry = self.entry(site, place);
        if entry.state != InstanceState::Pending.name() {
            return Ok(());
        }
        let id = id(site, &entry.name);
        let memory = self.memory.entry(id).or_default();
        if memory.pending_reads < limit {
            memory.pending_reads += 1;
            return Ok(());
        }
        let running = InstanceState::Running.name().to_owned();
        let pending = mem::replace(&mut self.entry(site, place).state, running);
        if let Err(fault) = keep(Changed::Inventory(&self.inventory, Event::Happened)) {
            self.entry(site, place).state = pending;
            return Err(fault);
        }
        Ok(())
    }

    /// The rules as this read sees them, and the number that decides their order.
    fn look(
        &mut self,
        site: &Site,
        place: usize,
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Result<(Option<Vec<PortState>>, u64), Fault> {
        let entry = self.entry(site, place);
        let rules = entry.port_states.as_deref().map(<[PortState]>::to_vec);
        let id = id(site, &entry.name);
        let shuffled = self.quirks.order == Order::Shuffled;
        if !shuffled && !self.memory.contains_key(&id) {
            return Ok((rules, 0));
        }
        let reads = self.quirks.reads;
        let memory = self.memory.entry(id.clone()).or_default();
        memory.shown += 1;
        let roll = roll(self.seed, "order", &id.to_string(), memory.shown);
        let seen = memory.rules.seen(reads).or(rules);
        if memory.second_step.is_some() {
            self.finish_put(&id, place, now, keep)?;
        }
        Ok((seen, roll))
    }

    fn show(
        &mut self,
        site: &Site,
        place: usize,
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Result<Value, Fault> {
        let (rules, roll) = self.look(site, place, now, keep)?;
        let rules = rules.map(|rules| spelling::rules(&rules, &self.quirks, roll));
        let earlier = self.earlier_tags(site, place);
        let entry = self.entry(site, place);
        let tags = earlier.as_ref().unwrap_or(&entry.tags);
        Ok(reply::instance(&site.region, entry, rules.as_deref(), tags))
    }

    /// The tags that a read sees instead of those that there are.
    fn earlier_tags(&mut self, site: &Site, place: usize) -> Option<Tags> {
        let reads = self.quirks.tag_reads;
        if reads == Reads::Fresh {
            return None;
        }
        let id = id(site, &self.entry(site, place).name);
        self.memory.get_mut(&id)?.tags.seen(reads)
    }

    fn list_instances(
        &mut self,
        site: &Site,
        token: Option<&str>,
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Result<Value, Fault> {
        let places = self.places_of(site);
        let size = self.quirks.instances_per_page;
        let page = Page::new("instances", token, size, places.len())?;
        self.check_page(token)?;
        let mut instances = Vec::with_capacity(page.end - page.start);
        for place in places[page.start..page.end].iter().copied() {
            self.note_read(site, place, keep)?;
            let mut instance = self.show(site, place, now, keep)?;
            self.show_listed_ports(site, place, &mut instance);
            instances.push(instance);
        }
        Ok(page.reply("instances", &instances, self.quirks.pages))
    }

    /// What a list shows of the rules, where it is not what they are.
    fn show_listed_ports(&mut self, site: &Site, place: usize, instance: &mut Value) {
        let Some(networking) = instance["networking"].as_object_mut() else {
            return;
        };
        match self.quirks.listed_ports {
            ListedPorts::Current => {}
            ListedPorts::Partial => {
                let ports = networking.get_mut("ports").and_then(Value::as_array_mut);
                ports.map(Vec::pop);
            }
            ListedPorts::Absent => {
                networking.remove("ports");
            }
            ListedPorts::Stale => {
                let id = id(site, &self.entry(site, place).name);
                if let Some(first) = self.memory.get(&id).and_then(|it| it.first.as_deref()) {
                    networking.insert("ports".to_owned(), reply::ports(first));
                }
            }
        }
    }

    /// The places of the instances that are seen there, in the order of the inventory.
    fn places_of(&self, site: &Site) -> Vec<usize> {
        let entries = self.inventory.regions.get(&site.region);
        let entries = entries.into_iter().flatten().enumerate();
        let theirs = |entry: &Entry| {
            let account = site.account.as_deref();
            account.is_none_or(|account| account == entry.account())
        };
        entries
            .filter(|(_, entry)| theirs(entry))
            .map(|(place, _)| place)
            .collect()
    }

    fn list_operations(
        &self,
        site: &Site,
        name: Option<&str>,
        token: Option<&str>,
    ) -> Result<Value, Fault> {
        let all = || self.operations.list(site, name);
        let size = self.quirks.operations_per_page;
        let page = Page::new("operations", token, size, all().count())?;
        self.check_page(token)?;
        let shown = all().skip(page.start).take(page.end - page.start);
        let operations: Vec<Value> = shown
            .map(|operation| reply::operation(operation, &self.quirks))
            .collect();
        Ok(page.reply("operations", &operations, self.quirks.pages))
    }

    fn check_page(&self, token: Option<&str>) -> Result<(), Fault> {
        if token.is_some() && self.quirks.pages == Pages::Fail {
            return Err(Fault::service("This page cannot be read at this time."));
        }
        Ok(())
    }
}

impl Memory {
    /// The rules changed from these.
    fn remember(&mut self, before: &[PortState]) {
        self.first.get_or_insert_with(|| before.to_vec());
        self.rules.remember(before.to_vec());
    }
}

impl<T: Clone> Earlier<T> {
    /// What a read sees instead of what is there, and one read less to come.
    fn seen(&mut self, reads: Reads) -> Option<T> {
        let (last, old) = match reads {
            Reads::Fresh => return None,
            Reads::Lag => (1, true),
            Reads::Flicker => (2, self.reads.is_multiple_of(2)),
        };
        let seen = self.old.as_ref().filter(|_| old).cloned();
        if self.reads >= last {
            self.old = None;
        }
        self.reads += 1;
        seen
    }

    /// It changed from this.
    fn remember(&mut self, before: T) {
        self.old = Some(before);
        self.reads = 0;
    }
}

fn id(site: &Site, name: &str) -> InstanceId {
    InstanceId {
        account: site.account.clone(),
        region: site.region.clone(),
        name: name.to_owned(),
    }
}

fn unreadable() -> Fault {
    Fault::service("The rules of this Instance cannot be read at this time.")
}

#[cfg(test)]
mod tests;
