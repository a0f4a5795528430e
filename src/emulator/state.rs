//! State machine of the service: the effect of each request on instances and operations.
//!
//! Owns instances, operations and the journals. Pure: time and storage are in the [`Context`]. Does not know sockets, signatures or files.
//!
//! Where the service is not documented and there is no quirk: writes need a `running` or `stopped` instance; an instance whose `portStates`
//! are `null` in the inventory can be neither read nor written, which is a `ServiceException`; the limit of sources prevents growth only, so
//! that a firewall above it can be made smaller.

mod journal;
mod page;
mod rule_write;
mod scripted_event;
mod tag_write;

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::inventory::{Entry, Inventory, account};
use crate::model::{InstanceId, InstanceState, PortState, Site};

use super::context::{ChangeCause, Context, StateChange};
use super::error_response::{ErrorResponse, Result};
use super::operation::Operation;
use super::operations::Operations;
use super::quirks::{ListedPorts, Paging, Quirks, ReadConsistency, RuleOrder};
use super::request::{InstanceRequest, Request};
use super::tags::Tags;
use super::{random, regions, response_body, rule_spelling};
pub use journal::{Author, Write};
use page::Page;
use rule_write::SecondStep;
pub use tag_write::TagWrite;

#[derive(Debug)]
pub(super) struct ServiceState {
    inventory: Inventory,
    /// Whether the instances are in several accounts, each of which can access only its own.
    has_several_accounts: bool,
    /// The index of each instance in the list of its region.
    indices: BTreeMap<InstanceId, usize>,
    histories: BTreeMap<InstanceId, History>,
    pub(super) operations: Operations,
    pub(super) journal: Vec<Arc<Write>>,
    pub(super) tag_journal: Vec<TagWrite>,
    quirks: Quirks,
    seed: u64,
    /// Whether the writes of clients are accepted without an effect.
    pub(super) ignores_writes: bool,
}

/// The past of an instance, as far as it affects responses.
#[derive(Debug, Default)]
struct History {
    /// The number of reads while it was pending.
    pending_reads: u32,
    /// The number of reads of its rules.
    rule_reads: u64,
    rules: StaleValue<Vec<PortState>>,
    tags: StaleValue<Tags>,
    /// The rules before the first change, which lists may return.
    initial_rules: Option<Vec<PortState>>,
    /// The rest of a Put.
    second_step: Option<SecondStep>,
}

/// The value before the last change, which the next reads may return.
#[derive(Debug, Default)]
struct StaleValue<T> {
    value: Option<T>,
    /// The number of reads since the change.
    reads: u32,
}

impl ServiceState {
    pub(super) fn new(inventory: Inventory, quirks: Quirks, seed: u64) -> Self {
        let mut state = Self {
            has_several_accounts: inventory.accounts().len() > 1,
            inventory,
            indices: BTreeMap::new(),
            histories: BTreeMap::new(),
            operations: Operations::default(),
            journal: Vec::new(),
            tag_journal: Vec::new(),
            quirks,
            seed,
            ignores_writes: false,
        };
        state.index_instances();
        state
    }

    pub(super) fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// The site that an account accesses in a region.
    pub(super) fn site(&self, account: &str, region: &str) -> Site {
        Site {
            account: self.has_several_accounts.then(|| account.to_owned()),
            region: region.to_owned(),
        }
    }

    /// Replaces the operations by those of an earlier run.
    pub(super) fn restore_operations(&mut self, mut operations: Vec<Operation>) {
        for operation in &mut operations {
            let account = self.has_several_accounts.then(|| account(&operation.arn));
            operation.account = account.map(str::to_owned);
        }
        self.operations = Operations::restore(operations);
    }

    pub(super) fn handle(&mut self, request: Request, context: &mut Context<'_>) -> Result<Value> {
        let site = context.site;
        match request {
            Request::Instance(name, InstanceRequest::PortStates) => {
                let index = self.index_for_read(&name, context)?;
                let (rules, random) = self.read_rules(index, context)?;
                let rules = rules.ok_or_else(unreadable)?;
                let states = rule_spelling::port_states(&rules, &self.quirks, random);
                Ok(json!({"portStates": states}))
            }
            Request::Instance(name, InstanceRequest::Write(write)) => {
                self.write(&name, &write, context)
            }
            Request::Instance(name, InstanceRequest::Tag(arn, change)) => {
                self.tag(&name, arn.as_deref(), &change, context)
            }
            Request::Operation(id) => {
                let operation = self.operations.read(&id, context)?;
                let operation =
                    operation.ok_or_else(|| ErrorResponse::not_found("Operation", &id))?;
                Ok(json!({"operation": response_body::operation(operation, &self.quirks)}))
            }
            Request::Operations(token) => self.list_operations(site, None, token.as_deref()),
            Request::Instance(name, InstanceRequest::Operations(token)) => {
                self.index(site, &name)?;
                self.list_operations(site, Some(&name), token.as_deref())
            }
            Request::Instance(name, InstanceRequest::Get) => {
                let index = self.index_for_read(&name, context)?;
                Ok(json!({"instance": self.instance(index, context)?}))
            }
            Request::Instance(name, InstanceRequest::ServiceState) => {
                let index = self.index_for_read(&name, context)?;
                Ok(json!({"state": response_body::state(&self.entry(site, index).state)}))
            }
            Request::Instances(token) => self.list_instances(token.as_deref(), context),
            Request::Regions {
                zones,
                database_zones,
            } => {
                let known = self.inventory.regions.keys().map(String::as_str);
                Ok(json!({"regions": regions::list(known, zones, database_zones)}))
            }
        }
    }

    fn index_instances(&mut self) {
        let mut indices = BTreeMap::new();
        for (region, entries) in &self.inventory.regions {
            for (index, entry) in entries.iter().enumerate() {
                let site = self.site(entry.account(), region);
                indices
                    .entry(site.instance_id(&entry.name))
                    .or_insert(index);
            }
        }
        self.indices = indices;
    }

    fn index(&self, site: &Site, name: &str) -> Result<usize> {
        let index = self.indices.get(&site.instance_id(name)).copied();
        index.ok_or_else(|| ErrorResponse::not_found("Instance", name))
    }

    fn entry(&mut self, site: &Site, index: usize) -> &mut Entry {
        self.inventory
            .regions
            .get_mut(&site.region)
            .and_then(|entries| entries.get_mut(index))
            .expect("the indices are those of the current inventory")
    }

    fn index_for_read(&mut self, name: &str, context: &mut Context<'_>) -> Result<usize> {
        let index = self.index(context.site, name)?;
        self.count_pending_read(index, context)?;
        Ok(index)
    }

    /// Counts a read of a pending instance, which starts running after a number of reads.
    fn count_pending_read(&mut self, index: usize, context: &mut Context<'_>) -> Result<()> {
        let limit = self.quirks.pending_reads;
        let entry = self.entry(context.site, index);
        if entry.state != InstanceState::Pending.as_ref() {
            return Ok(());
        }
        let id = context.site.instance_id(&entry.name);
        let history = self.histories.entry(id).or_default();
        if history.pending_reads < limit {
            history.pending_reads += 1;
            return Ok(());
        }
        let running = InstanceState::Running.to_string();
        let pending = mem::replace(&mut self.entry(context.site, index).state, running);
        let change = StateChange::Inventory(&self.inventory, ChangeCause::Event);
        (context.persist)(change).inspect_err(|_| self.entry(context.site, index).state = pending)
    }

    /// The rules that this read returns, and the random number for their order.
    fn read_rules(
        &mut self,
        index: usize,
        context: &mut Context<'_>,
    ) -> Result<(Option<Vec<PortState>>, u64)> {
        let entry = self.entry(context.site, index);
        let rules = entry.port_states.as_deref().map(<[PortState]>::to_vec);
        let id = context.site.instance_id(&entry.name);
        if self.quirks.order != RuleOrder::Shuffled && !self.histories.contains_key(&id) {
            return Ok((rules, 0));
        }
        let consistency = self.quirks.reads;
        let history = self.histories.entry(id.clone()).or_default();
        history.rule_reads += 1;
        let random = random::number(self.seed, "order", &id.to_string(), history.rule_reads);
        let rules = history.rules.read(consistency).or(rules);
        self.finish_put(&id, index, context)?;
        Ok((rules, random))
    }

    fn instance(&mut self, index: usize, context: &mut Context<'_>) -> Result<Value> {
        let (rules, random) = self.read_rules(index, context)?;
        let rules = rules.map(|rules| rule_spelling::spell(&rules, &self.quirks, random));
        let stale = self.stale_tags(context.site, index);
        let entry = self.entry(context.site, index);
        let tags = stale.as_ref().unwrap_or(&entry.tags);
        let (region, rules) = (&context.site.region, rules.as_deref());
        Ok(response_body::instance(region, entry, rules, tags))
    }

    /// The tags that a read returns instead of the current ones.
    fn stale_tags(&mut self, site: &Site, index: usize) -> Option<Tags> {
        let consistency = self.quirks.tag_reads;
        let id = site.instance_id(&self.entry(site, index).name);
        self.histories.get_mut(&id)?.tags.read(consistency)
    }

    fn list_instances(&mut self, token: Option<&str>, context: &mut Context<'_>) -> Result<Value> {
        let site = context.site;
        let entries = self.inventory.regions.get(&site.region);
        let entries = entries.into_iter().flatten().enumerate();
        let account = site.account.as_deref();
        let indices: Vec<usize> = entries
            .filter(|(_, entry)| account.is_none_or(|account| account == entry.account()))
            .map(|(index, _)| index)
            .collect();
        let size = self.quirks.instances_per_page;
        let page = Page::new("instances", token, size, indices.len())?;
        self.check_page(token)?;
        let mut instances = Vec::with_capacity(page.end - page.start);
        for index in indices[page.start..page.end].iter().copied() {
            self.count_pending_read(index, context)?;
            let mut instance = self.instance(index, context)?;
            self.change_listed_ports(site, index, &mut instance);
            instances.push(instance);
        }
        Ok(page.response("instances", &instances, self.quirks.pages))
    }

    /// Applies the quirk of the rules in a list.
    fn change_listed_ports(&mut self, site: &Site, index: usize, instance: &mut Value) {
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
                let id = site.instance_id(&self.entry(site, index).name);
                let history = self.histories.get(&id);
                if let Some(rules) = history.and_then(|history| history.initial_rules.as_deref()) {
                    networking.insert("ports".to_owned(), response_body::ports(rules));
                }
            }
        }
    }

    fn list_operations(
        &self,
        site: &Site,
        name: Option<&str>,
        token: Option<&str>,
    ) -> Result<Value> {
        let all = || self.operations.list(site, name);
        let size = self.quirks.operations_per_page;
        let page = Page::new("operations", token, size, all().count())?;
        self.check_page(token)?;
        let operations: Vec<Value> = all()
            .skip(page.start)
            .take(page.end - page.start)
            .map(|operation| response_body::operation(operation, &self.quirks))
            .collect();
        Ok(page.response("operations", &operations, self.quirks.pages))
    }

    fn check_page(&self, token: Option<&str>) -> Result<()> {
        if token.is_some() && self.quirks.pages == Paging::Fail {
            let message = "This page cannot be read at this time.";
            return Err(ErrorResponse::service(message));
        }
        Ok(())
    }
}

impl<T: Clone> StaleValue<T> {
    /// Counts a read; returns the value if the read is stale.
    fn read(&mut self, consistency: ReadConsistency) -> Option<T> {
        let (last, is_stale) = match consistency {
            ReadConsistency::Fresh => return None,
            ReadConsistency::Lag => (1, true),
            ReadConsistency::Flicker => (2, self.reads.is_multiple_of(2)),
        };
        let stale = self.value.as_ref().filter(|_| is_stale).cloned();
        if self.reads >= last {
            self.value = None;
        }
        self.reads += 1;
        stale
    }

    fn set(&mut self, value: T) {
        self.value = Some(value);
        self.reads = 0;
    }
}

fn unreadable() -> ErrorResponse {
    ErrorResponse::service("The rules of this Instance cannot be read at this time.")
}

#[cfg(test)]
mod tests;
