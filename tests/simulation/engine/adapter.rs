//! Reader and writer on the emulator without HTTP, with the clock of the simulation.
//!
//! Owns the parts of an SDK and a network: paging, and retries of reads. Does not wait: it advances the clock.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use portward::apply::Clock as _;
use portward::emulator::InProcess;
use portward::lightsail::{Error, ErrorKind, Operation, Reader, Writer};
use portward::model::{Firewall, Instance, InstanceId, Key, PortState, Site, Sources};
use serde_json::{Value, json};

use super::decode::{
    instance, missing, operation, operations, port_info, port_state, tags as tag_request, text,
    to_error,
};
use super::time::Time;

/// How often a read is tried if the service or the network fails, like in `lightsail::aws`.
const ATTEMPTS: u32 = 5;

/// How often a throttled read is repeated; the pauses bring enough tokens.
const THROTTLED: u32 = 50;

/// The time that a call takes.
const CALL: Duration = Duration::from_millis(1);

/// A pause in which every bucket gets at least one token.
const PAUSE: Duration = Duration::from_millis(250);

/// The service, and the record of reads.
pub(crate) struct Service {
    pub(crate) emulator: InProcess,
    pub(crate) time: Rc<Time>,
    rule_reads: RefCell<Vec<RecordedRead>>,
    identity_reads: RefCell<Vec<RecordedRead>>,
    calls: RefCell<BTreeMap<String, usize>>,
}

/// A successful read.
#[derive(Clone, Debug)]
pub(crate) struct RecordedRead {
    /// The instance.
    pub(crate) id: InstanceId,
    /// The length of the journal of the emulator after the read.
    pub(crate) at: usize,
    /// The ARN of the instance at that time.
    pub(crate) arn: Option<String>,
}

impl Service {
    pub(crate) fn new(emulator: InProcess, time: Rc<Time>) -> Self {
        Self {
            emulator,
            time,
            rule_reads: RefCell::default(),
            identity_reads: RefCell::default(),
            calls: RefCell::default(),
        }
    }

    /// All successful reads of rules so far.
    pub(crate) fn rule_reads(&self) -> Vec<RecordedRead> {
        self.rule_reads.borrow().clone()
    }

    /// All successful reads of the identity of an instance so far.
    pub(crate) fn identity_reads(&self) -> Vec<RecordedRead> {
        self.identity_reads.borrow().clone()
    }

    /// The number of requests about an instance.
    pub(crate) fn calls(&self, id: &InstanceId) -> usize {
        let calls = self.calls.borrow();
        calls.get(&id.to_string()).copied().unwrap_or_default()
    }

    fn look(&self, id: &InstanceId) -> RecordedRead {
        let emulator = self.emulator.emulator();
        let inventory = emulator.inventory();
        let mut entries = inventory.entries();
        let entry = entries.find(|(of, _)| of == id);
        RecordedRead {
            id: id.clone(),
            at: emulator.journal().len(),
            arn: entry.map(|(_, entry)| entry.arn.clone()),
        }
    }

    /// Advances the clock.
    fn pass(&self, span: Duration) {
        self.time.pass(span);
        let ahead = self.time.now() - self.emulator.now();
        self.emulator.advance(ahead.try_into().unwrap_or_default());
    }

    fn ask(
        &self,
        action: &'static str,
        target: &str,
        region: &str,
        body: &Value,
    ) -> Result<Value, Error> {
        *self
            .calls
            .borrow_mut()
            .entry(target.to_owned())
            .or_default() += 1;
        self.pass(CALL);
        let reply = self.emulator.call(action, region, body);
        let late = self.emulator.now() - self.time.now();
        self.time.pass(late.try_into().unwrap_or_default());
        reply.map_err(|failure| {
            let error = to_error(action, target, failure);
            if error.kind() == ErrorKind::Throttled {
                self.pass(PAUSE);
            }
            error
        })
    }

    fn read(
        &self,
        action: &'static str,
        target: &str,
        region: &str,
        body: &Value,
    ) -> Result<Value, Error> {
        let (mut failed, mut throttled) = (0, 0);
        loop {
            let error = match self.ask(action, target, region, body) {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            if error.kind() == ErrorKind::Throttled {
                throttled += 1;
            } else {
                failed += 1;
            }
            if !error.is_retryable() || failed >= ATTEMPTS || throttled >= THROTTLED {
                return Err(error);
            }
        }
    }

    fn pages(
        &self,
        action: &'static str,
        target: &str,
        region: &str,
        mut body: Value,
        list: &'static str,
    ) -> Result<Vec<Value>, Error> {
        let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
        loop {
            let mut page = self.read(action, target, region, &body)?;
            let Some(Value::Array(items)) = page.get_mut(list).map(Value::take) else {
                return Err(missing(action, target, list));
            };
            all.extend(items);
            let Some(next) = text(&page, "nextPageToken").filter(|next| !next.is_empty()) else {
                return Ok(all);
            };
            if !seen.insert(next.clone()) {
                let message = "the list does not end: a page token came twice";
                return Err(Error::new(
                    ErrorKind::InvalidResponse,
                    action,
                    target,
                    message,
                ));
            }
            body["pageToken"] = next.into();
        }
    }

    fn write_tags(
        &self,
        action: &'static str,
        id: &InstanceId,
        body: &Value,
    ) -> Result<Vec<Operation>, Error> {
        let target = id.to_string();
        let reply = self.ask(action, &target, &id.region, body)?;
        operations(action, &target, &reply)
    }

    fn write(
        &self,
        action: &'static str,
        id: &InstanceId,
        rules: (&'static str, Value),
    ) -> Result<Operation, Error> {
        let target = id.to_string();
        let (member, rules) = rules;
        let body = json!({"instanceName": id.name, member: rules});
        let reply = self.ask(action, &target, &id.region, &body)?;
        operation(action, &target, &reply["operation"])
    }
}

impl Reader for Service {
    async fn instances(&self, site: &Site) -> Result<Vec<Instance>, Error> {
        const ACTION: &str = "GetInstances";
        let region = site.region.as_str();
        let all = self.pages(ACTION, region, region, json!({}), "instances")?;
        let one = |value: &Value| instance(ACTION, region, region, value);
        all.iter().map(one).collect()
    }

    async fn instance(&self, id: &InstanceId) -> Result<Instance, Error> {
        const ACTION: &str = "GetInstance";
        let target = id.to_string();
        let body = json!({"instanceName": id.name});
        let reply = self.read(ACTION, &target, &id.region, &body)?;
        let instance = instance(ACTION, &target, &id.region, &reply["instance"])?;
        self.identity_reads.borrow_mut().push(self.look(id));
        Ok(instance)
    }

    async fn port_states(&self, id: &InstanceId) -> Result<Vec<PortState>, Error> {
        const ACTION: &str = "GetInstancePortStates";
        let target = id.to_string();
        let body = json!({"instanceName": id.name});
        let reply = self.read(ACTION, &target, &id.region, &body)?;
        let Some(entries) = reply.get("portStates").and_then(Value::as_array) else {
            return Err(missing(ACTION, &target, "portStates"));
        };
        let rules = entries.iter().map(|entry| {
            port_state(entry).ok_or_else(|| {
                let message = "an entry of `portStates` cannot be read";
                Error::new(ErrorKind::InvalidResponse, ACTION, &target, message)
            })
        });
        let rules = rules.collect::<Result<_, _>>()?;
        self.rule_reads.borrow_mut().push(self.look(id));
        Ok(rules)
    }

    async fn operation(&self, about: &InstanceId, id: &str) -> Result<Operation, Error> {
        const ACTION: &str = "GetOperation";
        let target = about.to_string();
        let reply = self.read(ACTION, &target, &about.region, &json!({"operationId": id}))?;
        operation(ACTION, &target, &reply["operation"])
    }

    async fn operations_for(&self, id: &InstanceId) -> Result<Vec<Operation>, Error> {
        const ACTION: &str = "GetOperationsForResource";
        let target = id.to_string();
        let body = json!({"resourceName": id.name});
        let all = self.pages(ACTION, &target, &id.region, body, "operations")?;
        all.iter()
            .map(|value| operation(ACTION, &target, value))
            .collect()
    }
}

impl Writer for Service {
    async fn open(&self, id: &InstanceId, key: Key, sources: &Sources) -> Result<Operation, Error> {
        let rule = ("portInfo", port_info(key, sources));
        self.write("OpenInstancePublicPorts", id, rule)
    }

    async fn close(
        &self,
        id: &InstanceId,
        key: Key,
        sources: &Sources,
    ) -> Result<Operation, Error> {
        let rule = ("portInfo", port_info(key, sources));
        self.write("CloseInstancePublicPorts", id, rule)
    }

    async fn put(&self, id: &InstanceId, firewall: &Firewall) -> Result<Operation, Error> {
        let rules = firewall
            .iter()
            .map(|(key, sources)| port_info(*key, sources));
        self.write(
            "PutInstancePublicPorts",
            id,
            ("portInfos", rules.collect::<Vec<_>>().into()),
        )
    }

    async fn tag(
        &self,
        id: &InstanceId,
        tags: &BTreeMap<String, String>,
    ) -> Result<Vec<Operation>, Error> {
        let body = tag_request(id, tags);
        self.write_tags("TagResource", id, &body)
    }

    async fn untag(
        &self,
        id: &InstanceId,
        keys: &BTreeSet<String>,
    ) -> Result<Vec<Operation>, Error> {
        let body = json!({"resourceName": id.name, "tagKeys": keys});
        self.write_tags("UntagResource", id, &body)
    }
}
