//! The seam over the emulator without HTTP: the same questions, the same strictness, and the clock of the simulation.
//!
//! Owns what an SDK and a network do in the real seam: paging, and the retries of reads. Does not wait: where one would wait
//! for the service, the clock is moved.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use portward::apply::Clock as _;
use portward::emulator::InProcess;
use portward::lightsail::{Error, Kind, Operation, Reader, Writer};
use portward::model::{Firewall, Instance, InstanceId, Key, PortState, Site, Sources};
use serde_json::{Value, json};

use super::decode::{
    instance, judged, missing, operation, operations, port_info, port_state, tags as tag_request,
    text,
};
use super::time::Time;

/// How often a read is tried where the service or the network fails, as in the real seam.
const ATTEMPTS: u32 = 5;

/// How often a read that is throttled is asked again; the pauses between bring more tokens than that needs.
const THROTTLED: u32 = 50;

/// The time that a call takes.
const CALL: Duration = Duration::from_millis(1);

/// A pause in which every bucket gets at least one token.
const PAUSE: Duration = Duration::from_millis(250);

/// The service, and what was seen of it.
pub(crate) struct Service {
    pub(crate) emulator: InProcess,
    pub(crate) time: Rc<Time>,
    looks: RefCell<Vec<Look>>,
    faces: RefCell<Vec<Look>>,
    calls: RefCell<BTreeMap<String, usize>>,
}

/// A read that was answered.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// Whose.
    pub(crate) id: InstanceId,
    /// How many records the journal of the emulator had right after it.
    pub(crate) at: usize,
    /// The ARN that the instance had.
    pub(crate) arn: Option<String>,
}

impl Service {
    pub(crate) fn new(emulator: InProcess, time: Rc<Time>) -> Self {
        Self {
            emulator,
            time,
            looks: RefCell::default(),
            faces: RefCell::default(),
            calls: RefCell::default(),
        }
    }

    /// Every read of rules that was answered so far.
    pub(crate) fn looks(&self) -> Vec<Look> {
        self.looks.borrow().clone()
    }

    /// Every answer so far to which instance has a name.
    pub(crate) fn faces(&self) -> Vec<Look> {
        self.faces.borrow().clone()
    }

    /// How often anything was asked about an instance, or done to it.
    pub(crate) fn calls(&self, id: &InstanceId) -> usize {
        let calls = self.calls.borrow();
        calls.get(&id.to_string()).copied().unwrap_or_default()
    }

    fn look(&self, id: &InstanceId) -> Look {
        let emulator = self.emulator.emulator();
        let inventory = emulator.inventory();
        let mut entries = inventory.entries();
        let entry = entries.find(|(of, _)| of == id);
        Look {
            id: id.clone(),
            at: emulator.journal().len(),
            arn: entry.map(|(_, entry)| entry.arn.clone()),
        }
    }

    /// Lets time pass here and there.
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
            let error = judged(action, target, failure);
            if error.kind() == Kind::Throttled {
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
            if error.kind() == Kind::Throttled {
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
                return Err(Error::new(Kind::BadReply, action, target, message));
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
        self.faces.borrow_mut().push(self.look(id));
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
                Error::new(Kind::BadReply, ACTION, &target, message)
            })
        });
        let rules = rules.collect::<Result<_, _>>()?;
        self.looks.borrow_mut().push(self.look(id));
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
