//! The service for tests of the executor: an emulator for each instance, on one clock, with what a test wishes to go wrong.
//!
//! Owns when something goes wrong, counted in requests on an instance, and the record of what was asked for. Does not decide
//! what a request leads to, which is the emulator's, and does not wait: pauses move the clock.

mod calls;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::pending;
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::sync::Notify;

use super::decode;
use crate::apply::{Clock, Pause};
use crate::emulator::{
    CloseEffect, EmulatorOptions, InProcess, InstanceChange, OpenEffect, OperationProgress,
    PortStatesResponse, Quirks, ReadConsistency, RequestFault, ScriptedEvent,
};
use crate::exposure;
use crate::inventory::{Entry, Inventory};
use crate::lightsail::{Error, Operation};
use crate::model::{
    Firewall, Instance, InstanceId, InstanceState, Key, LiveFirewall, Mode, PortState, Protocol,
    Site, Sources,
};
use crate::plan::{Call, InstancePlan, Plan, Verdict};

/// When every test begins.
pub(in crate::apply) const NOON: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

const REGION: &str = "eu-central-1";

/// What becomes of one write.
pub(in crate::apply) type Fault = Option<RequestFault>;

pub(in crate::apply) const FINE: Fault = None;
pub(in crate::apply) const IGNORED: Fault = Some(RequestFault::Ignored);
pub(in crate::apply) const THROTTLED: Fault = Some(RequestFault::Throttled);
pub(in crate::apply) const REJECTED: Fault = Some(RequestFault::Rejected);
pub(in crate::apply) const DENIED: Fault = Some(RequestFault::Denied);
pub(in crate::apply) const LOST_AFTER: Fault = Some(RequestFault::LostResponse);
pub(in crate::apply) const LOST_BEFORE: Fault = Some(RequestFault::LostRequest);
pub(in crate::apply) const UNSENT: Fault = Some(RequestFault::Refused);

/// How one instance behaves. Requests on it are counted from 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Behaviour {
    /// Open replaces the sources of a key instead of adding to them.
    pub(in crate::apply) open_replaces: bool,
    /// Close removes the key whatever sources it names.
    pub(in crate::apply) close_by_key: bool,
    /// Faults of the writes in order; the last one stays.
    pub(in crate::apply) faults: Vec<Fault>,
    /// Reads of an operation that find nothing, at first.
    pub(in crate::apply) invisible: u32,
    /// How operations end.
    pub(in crate::apply) operations: OperationProgress,
    /// Whether reads show the last write.
    pub(in crate::apply) reads: ReadConsistency,
    /// Before which write, or before which `GetInstance`, the instance gets which state.
    pub(in crate::apply) states: Vec<(Moment, InstanceState)>,
    /// Before which request on this instance another writer puts these rules, and whether that shows as an operation.
    pub(in crate::apply) foreign: Option<(usize, Firewall, bool)>,
    /// Before which request on this instance another one gets its name, with the same rules.
    pub(in crate::apply) replaced: Option<usize>,
    /// From which request on there is no such instance.
    pub(in crate::apply) gone: Option<usize>,
    /// From which request on nobody may ask for this.
    pub(in crate::apply) denied: Option<(usize, &'static str)>,
    /// The rules cannot be read.
    pub(in crate::apply) unreadable: bool,
}

/// A request among those of its kind, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::apply) enum Moment {
    Write(usize),
    Look(usize),
}

impl Behaviour {
    fn options(&self) -> EmulatorOptions {
        let quirks = Quirks {
            open: if self.open_replaces {
                OpenEffect::Replace
            } else {
                OpenEffect::Merge
            },
            close: if self.close_by_key {
                CloseEffect::Key
            } else {
                CloseEffect::Sources
            },
            operation_unseen: self.invisible,
            operations: self.operations,
            reads: self.reads,
            port_states: if self.unreadable {
                PortStatesResponse::Missing
            } else {
                PortStatesResponse::Whole
            },
            ..Quirks::default()
        };
        EmulatorOptions {
            quirks,
            ..EmulatorOptions::default()
        }
    }
}

/// One instance, as it is live and with what was asked of it.
#[derive(Clone, Debug)]
pub(in crate::apply) struct Host {
    pub(in crate::apply) instance: Instance,
    pub(in crate::apply) rules: Firewall,
    /// Entries beside the rules, which nobody can write again.
    pub(in crate::apply) extra: Vec<PortState>,
    /// Every write that arrived.
    pub(in crate::apply) writes: Vec<Call>,
    /// The actions asked for, in order.
    pub(in crate::apply) requests: Vec<&'static str>,
    /// The turns that were waited for, each with the number of requests before it.
    pub(in crate::apply) turns: Vec<(&'static str, usize)>,
}

#[derive(Debug)]
struct Place {
    /// The instance as it was added.
    added: Entry,
    emulator: InProcess,
    behaviour: Behaviour,
    writes: Vec<Call>,
    requests: Vec<&'static str>,
    turns: Vec<(&'static str, usize)>,
}

/// The service, and the clock of everybody.
#[derive(Debug, Default)]
pub(crate) struct Service {
    places: RefCell<BTreeMap<InstanceId, Place>>,
    /// Whether the second page of a list comes only once rules of an instance of the first were asked for.
    holds_second_page: Cell<bool>,
    rules_asked_for: Notify,
    passed: Cell<Duration>,
    /// How many steps a run has left to live, each one before or after the service deals with a request.
    left: Cell<Option<usize>>,
    died: Notify,
}

/// An instance of the region of all tests.
pub(in crate::apply) fn id(name: &str) -> InstanceId {
    InstanceId {
        account: None,
        region: REGION.into(),
        name: name.into(),
    }
}

impl Service {
    /// Adds an instance and gives a plan for it without calls.
    pub(crate) fn add(
        &self,
        name: &str,
        rules: &Firewall,
        after: &Firewall,
        behaviour: Behaviour,
    ) -> InstancePlan {
        let entry = Entry {
            name: name.into(),
            arn: format!("arn:aws:lightsail:{REGION}:1:Instance/{name}"),
            tags: BTreeMap::new(),
            state: "running".into(),
            ip_address_type: "dualstack".into(),
            port_states: Some(entries(rules).into()),
        };
        let instance = entry.instance(&Site::of_region(REGION));
        let regions = [(REGION.into(), vec![entry.clone()])].into();
        let place = Place {
            added: entry,
            emulator: emulator(&regions, &behaviour),
            behaviour,
            writes: Vec::new(),
            requests: Vec::new(),
            turns: Vec::new(),
        };
        self.places.borrow_mut().insert(id(name), place);
        InstancePlan {
            instance,
            mode: Mode::Authoritative,
            strict_spelling: false,
            before: LiveFirewall::from(rules),
            after: after.clone(),
            changes: Vec::new(),
            calls: Vec::new(),
            fallback: None,
            verdict: Verdict::Change,
            exposure: exposure::Diff::default(),
            still_open: Vec::new(),
            incomplete: None,
            notes: Vec::new(),
        }
    }

    /// From now on an instance behaves like this. What was before is forgotten, but for its rules.
    pub(in crate::apply) fn behave(&self, name: &str, behaviour: Behaviour) {
        self.place(&id(name), |place| {
            let regions = place.emulator.emulator().inventory().regions;
            place.emulator = emulator(&regions, &behaviour);
            place.behaviour = behaviour;
        });
    }

    /// Looks at, or changes, one instance. A change leaves no trace.
    pub(in crate::apply) fn host<T>(&self, name: &str, look: impl FnOnce(&mut Host) -> T) -> T {
        let id = id(name);
        self.place(&id, |place| {
            let before = place.host(&id);
            let mut host = before.clone();
            let result = look(&mut host);
            place.change(&id, &before, &host);
            place.writes = host.writes;
            place.requests = host.requests;
            place.turns = host.turns;
            result
        })
    }

    /// The ids of the operations on an instance, the oldest first.
    pub(in crate::apply) fn operations(&self, name: &str) -> Vec<String> {
        let body = json!({"resourceName": name});
        let reply = self.place(&id(name), |place| {
            let emulator = &place.emulator;
            emulator.call("GetOperationsForResource", REGION, &body)
        });
        let reply = reply.expect("a list");
        let all = reply["operations"].as_array().into_iter().flatten();
        all.filter_map(|operation| decode::text(operation, "id"))
            .collect()
    }

    /// From now on a list has one instance on its first page, and the second page comes only once rules were asked for.
    pub(crate) fn hold_second_page(&self) {
        self.holds_second_page.set(true);
    }

    /// Lets time pass.
    pub(in crate::apply) fn pass(&self, span: Duration) {
        self.passed.set(self.passed.get() + span);
    }

    /// Lets whoever asks die after so many steps; `None` is never.
    pub(in crate::apply) fn kill_after(&self, steps: Option<usize>) {
        self.left.set(steps);
    }

    /// Waits until whoever asks has died.
    pub(in crate::apply) async fn death(&self) {
        self.died.notified().await;
    }

    async fn step(&self) {
        match self.left.get() {
            None => {}
            Some(0) => {
                self.died.notify_one();
                pending::<()>().await;
            }
            Some(left) => self.left.set(Some(left - 1)),
        }
    }

    fn place<T>(&self, id: &InstanceId, look: impl FnOnce(&mut Place) -> T) -> T {
        let mut places = self.places.borrow_mut();
        look(places.get_mut(id).expect("an instance of this test"))
    }

    async fn ask(
        &self,
        action: &'static str,
        id: &InstanceId,
        body: Value,
        call: Option<Call>,
    ) -> Result<Value, Error> {
        self.step().await;
        let reply = self.answer(action, id, &body, call);
        self.step().await;
        reply.map_err(|failure| decode::to_error(action, &id.to_string(), failure))
    }

    fn answer(
        &self,
        action: &'static str,
        id: &InstanceId,
        body: &Value,
        call: Option<Call>,
    ) -> Result<Value, crate::emulator::CallError> {
        let mut places = self.places.borrow_mut();
        let Some(place) = places.get_mut(id) else {
            let nobody = emulator(&BTreeMap::new(), &Behaviour::default());
            return nobody.call(action, &id.region, body);
        };
        let late = self.now() - place.emulator.now();
        place.emulator.advance(late.try_into().unwrap_or_default());
        for event in place.due(action, call.is_some()) {
            place.emulator.script(id, &event);
        }
        place.requests.push(action);
        place.writes.extend(call);
        place.emulator.call(action, &id.region, body)
    }

    async fn write_tags(
        &self,
        action: &'static str,
        id: &InstanceId,
        body: Value,
    ) -> Result<Vec<Operation>, Error> {
        let reply = self.ask(action, id, body, None).await?;
        decode::operations(action, &id.to_string(), &reply)
    }

    async fn write(
        &self,
        id: &InstanceId,
        call: Call,
        (member, rules): (&str, Value),
    ) -> Result<Operation, Error> {
        let action = call.action();
        let body = json!({"instanceName": id.name, member: rules});
        let reply = self.ask(action, id, body, Some(call)).await?;
        decode::operation(action, &id.to_string(), &reply["operation"])
    }
}

impl Place {
    fn host(&self, id: &InstanceId) -> Host {
        let inventory = self.emulator.emulator().inventory();
        // One that was deleted is shown as it was.
        let entry = inventory.entries().next();
        let entry = entry.map_or(&self.added, |(_, entry)| entry);
        let shown = entry.port_states.clone().unwrap_or_default();
        let live = LiveFirewall::read(&shown);
        let certain = |entry: &PortState| {
            let alone = LiveFirewall::read(std::slice::from_ref(entry));
            alone.firewall().iter().next().is_some()
        };
        Host {
            instance: entry.instance(&id.site()),
            rules: live.firewall().clone(),
            extra: shown.iter().filter(|it| !certain(it)).cloned().collect(),
            writes: self.writes.clone(),
            requests: self.requests.clone(),
            turns: self.turns.clone(),
        }
    }

    /// Makes what is live what a test made of it.
    fn change(&self, id: &InstanceId, before: &Host, after: &Host) {
        let (was, is) = (&before.instance, &after.instance);
        let changed = (&before.rules, &before.extra) != (&after.rules, &after.extra);
        let shown = || [entries(&after.rules), after.extra.clone()].concat();
        let change = InstanceChange {
            arn: (was.arn != is.arn).then(|| is.arn.clone()),
            state: (was.state != is.state).then(|| is.state.to_string()),
            ip_address_type: (was.address_type != is.address_type)
                .then(|| is.address_type.to_string()),
            port_states: changed.then(shown),
            tags: (was.tags != is.tags).then(|| is.tags.clone()),
        };
        if change != InstanceChange::default() {
            self.emulator.script(id, &ScriptedEvent::Change(change));
        }
    }

    /// What happens before the next request, which is for this action.
    fn due(&self, action: &'static str, is_write: bool) -> Vec<ScriptedEvent> {
        let Behaviour {
            faults,
            states,
            foreign,
            replaced,
            gone,
            denied,
            ..
        } = &self.behaviour;
        let number = self.requests.len();
        let mut due = Vec::new();
        if let Some((at, rules, shown)) = foreign
            && *at == number
        {
            let rules = entries(rules);
            due.push(if *shown {
                ScriptedEvent::ForeignPut(rules)
            } else {
                ScriptedEvent::Change(InstanceChange {
                    port_states: Some(rules),
                    ..InstanceChange::default()
                })
            });
        }
        if *replaced == Some(number) {
            due.push(ScriptedEvent::Change(InstanceChange {
                arn: Some("arn:aws:lightsail:eu-central-1:1:Instance/another".into()),
                ..InstanceChange::default()
            }));
        }
        if *gone == Some(number) {
            due.push(ScriptedEvent::Deletion);
        }
        let looks = self.requests.iter().filter(|it| **it == "GetInstance");
        let moment = match action {
            "GetInstance" => Some(Moment::Look(looks.count())),
            _ => is_write.then_some(Moment::Write(self.writes.len())),
        };
        let states = states.iter().filter(|(at, _)| Some(*at) == moment);
        due.extend(states.map(|(_, state)| {
            ScriptedEvent::Change(InstanceChange {
                state: Some(state.to_string()),
                ..InstanceChange::default()
            })
        }));
        let fault = faults.get(self.writes.len()).or(faults.last()).copied();
        let fault = fault.flatten().filter(|_| is_write);
        let is_denied = denied.is_some_and(|(from, what)| from <= number && what == action);
        due.extend(
            is_denied
                .then_some(RequestFault::Denied)
                .or(fault)
                .map(ScriptedEvent::RequestFault),
        );
        due
    }
}

fn emulator(regions: &BTreeMap<String, Vec<Entry>>, behaviour: &Behaviour) -> InProcess {
    let inventory = Inventory::new(regions.clone());
    InProcess::new(inventory, behaviour.options(), NOON)
}

impl Clock for Service {
    fn now(&self) -> OffsetDateTime {
        NOON + self.passed.get()
    }

    fn elapsed(&self) -> Duration {
        self.passed.get()
    }

    fn sleep(&self, span: Duration) -> Pause<'_> {
        self.pass(span);
        // Whoever else has something to do goes on meanwhile.
        Box::pin(tokio::task::yield_now())
    }
}

/// These rules as the service shows them.
fn entries(rules: &Firewall) -> Vec<PortState> {
    let rules = rules.iter();
    rules
        .map(|(key, sources)| PortState::canonical(*key, sources))
        .collect()
}

/// A plan of these.
pub(in crate::apply) fn plan(instances: Vec<InstancePlan>) -> Plan {
    Plan {
        instances,
        ..Plan::default()
    }
}

/// `tcp/PORT`.
pub(in crate::apply) fn tcp(port: i32) -> Key {
    Key::new(Protocol::Tcp, port, port).expect("a port")
}

/// Sources by their texts.
pub(in crate::apply) fn from(texts: &[&str]) -> Sources {
    texts
        .iter()
        .filter_map(|text| Sources::parse_live(text))
        .collect()
}

/// Rules by port.
pub(in crate::apply) fn rules(rules: &[(i32, &[&str])]) -> Firewall {
    rules
        .iter()
        .map(|(port, texts)| (tcp(*port), from(texts)))
        .collect()
}
