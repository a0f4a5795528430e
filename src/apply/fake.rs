//! A service in memory for tests: model firewalls, every doubtful reading of the service as a switch, and faults.
//!
//! Owns what a test may wish to go wrong. Does not sleep and to be random: tests choose.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use time::OffsetDateTime;

use crate::exposure;
use crate::lightsail::{Error, Kind, Operation, OperationStatus, Reader, Writer};
use crate::model::{
    AddressType, Firewall, Instance, InstanceId, InstanceState, Key, LiveFirewall, Mode, PortState,
    Protocol, Site, Sources,
};
use crate::plan::{Call, InstancePlan, Plan, Verdict};

/// What becomes of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is carried out and answered.
    Fine,
    /// It is answered as done and has no effect.
    Ignored,
    /// Too many requests.
    Throttled,
    /// Refused for what it is.
    Rejected,
    /// Refused for who asks.
    Denied,
    /// Carried out, and the reply is lost.
    LostAfter,
    /// Lost before it is carried out.
    LostBefore,
    /// The connection is refused.
    Unsent,
}

/// How one instance behaves.
#[expect(clippy::struct_excessive_bools, reason = "switches, each by itself")]
#[derive(Clone, Debug, Default)]
pub(super) struct Behaviour {
    /// Open replaces the sources of a key instead of adding to them.
    pub(super) open_replaces: bool,
    /// Close removes the key whatever sources it names.
    pub(super) close_by_key: bool,
    /// Faults of the writes in order; the last one stays.
    pub(super) faults: Vec<Fault>,
    /// Reads of an operation that find nothing, at first.
    pub(super) invisible: usize,
    /// Reads of an operation that find it pending, after that.
    pub(super) pending: usize,
    /// Operations end as failed, and without effect.
    pub(super) fails: bool,
    /// Reads that still show the rules of before a write.
    pub(super) stale_reads: usize,
    /// States before the last one, one a read of the instance. A write during them is rejected.
    pub(super) states: VecDeque<InstanceState>,
    /// Before which request on this instance another writer puts these rules, and whether that shows as an operation.
    pub(super) foreign: Option<(usize, Firewall, bool)>,
    /// Every IPv4 network is shown as its two halves, however it was sent.
    pub(super) halves: bool,
    /// Before which request on this instance another one gets its name, with the same rules.
    pub(super) replaced: Option<usize>,
    /// From which request on there is no such instance.
    pub(super) gone: Option<usize>,
    /// From which request on nobody may ask for this.
    pub(super) denied: Option<(usize, &'static str)>,
    /// The rules cannot be read.
    pub(super) unreadable: bool,
    /// The operations may not be read.
    pub(super) silent: bool,
}

/// One instance of the fake.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) instance: Instance,
    pub(super) rules: Firewall,
    pub(super) extra: Vec<PortState>,
    pub(super) behaviour: Behaviour,
    /// Every write that arrived.
    pub(super) writes: Vec<Call>,
    pub(super) operations: Vec<Operation>,
    /// The actions asked for, in order.
    pub(super) requests: Vec<&'static str>,
    /// The turns that were waited for, each with the number of requests before it.
    pub(super) turns: Vec<(&'static str, usize)>,
    old: (usize, Firewall),
}

/// The service.
#[derive(Debug, Default)]
pub(super) struct Fake(RefCell<BTreeMap<InstanceId, Host>>);

impl Fake {
    /// Adds an instance and gives a plan for it without calls.
    pub(super) fn add(
        &self,
        name: &str,
        rules: &Firewall,
        after: &Firewall,
        behaviour: Behaviour,
    ) -> InstancePlan {
        let instance = Instance {
            id: InstanceId {
                account: None,
                region: "eu-central-1".into(),
                name: name.into(),
            },
            arn: format!("arn:aws:lightsail:eu-central-1:1:Instance/{name}"),
            tags: BTreeMap::new(),
            state: InstanceState::Running,
            address_type: AddressType::Dualstack,
        };
        let host = Host {
            instance: instance.clone(),
            rules: rules.clone(),
            extra: Vec::new(),
            behaviour,
            writes: Vec::new(),
            operations: Vec::new(),
            requests: Vec::new(),
            turns: Vec::new(),
            old: (0, rules.clone()),
        };
        self.0.borrow_mut().insert(instance.id.clone(), host);
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

    /// Looks at, or changes, one instance.
    pub(super) fn host<T>(&self, name: &str, look: impl FnOnce(&mut Host) -> T) -> T {
        let id = InstanceId {
            account: None,
            region: "eu-central-1".into(),
            name: name.into(),
        };
        look(
            self.0
                .borrow_mut()
                .get_mut(&id)
                .expect("an instance of this test"),
        )
    }

    fn ask<T>(
        &self,
        action: &'static str,
        id: &InstanceId,
        answer: impl FnOnce(&mut Host) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut hosts = self.0.borrow_mut();
        let Some(host) = hosts.get_mut(id) else {
            return Err(Error::new(
                Kind::NotFound,
                action,
                id.to_string(),
                "no such instance",
            ));
        };
        if let Some((step, rules, shown)) = host.behaviour.foreign.clone()
            && step == host.requests.len()
        {
            host.old.0 = 0;
            host.rules = rules;
            if shown {
                host.operation("PutInstancePublicPorts", OperationStatus::Succeeded);
            }
        }
        if host.behaviour.replaced == Some(host.requests.len()) {
            host.instance.arn.push_str("-another");
        }
        let number = host.requests.len();
        host.requests.push(action);
        let refuse = |kind| {
            Err(Error::new(
                kind,
                action,
                id.to_string(),
                "as the test wishes",
            ))
        };
        if host.behaviour.gone.is_some_and(|gone| gone <= number) {
            return refuse(Kind::NotFound);
        }
        let denied = host.behaviour.denied;
        if denied.is_some_and(|(from, what)| from <= number && what == action) {
            return refuse(Kind::AccessDenied);
        }
        answer(host)
    }

    fn write(&self, id: &InstanceId, call: &Call) -> Result<Operation, Error> {
        let action = call.action();
        self.ask(action, id, |host| {
            let place = host.writes.len();
            host.writes.push(call.clone());
            let faults = &host.behaviour.faults;
            let mut fault = faults
                .get(place)
                .or(faults.last())
                .copied()
                .unwrap_or(Fault::Fine);
            if !host.behaviour.states.is_empty() {
                fault = Fault::Rejected;
            }
            let error = |kind| Error::new(kind, action, id.to_string(), "as the test wishes");
            match fault {
                Fault::Throttled => {
                    return Err(error(Kind::Throttled).with_code("ThrottlingException"));
                }
                Fault::Rejected => {
                    return Err(error(Kind::InvalidInput).with_code("InvalidInputException"));
                }
                Fault::Denied => {
                    return Err(error(Kind::AccessDenied).with_code("AccessDeniedException"));
                }
                Fault::Unsent => return Err(error(Kind::Connection).with_outcome_unknown(false)),
                Fault::LostBefore => return Err(error(Kind::Timeout)),
                Fault::Ignored => {}
                Fault::Fine | Fault::LostAfter => host.carry_out(call),
            }
            let slow = host.behaviour.pending > 0 || host.behaviour.invisible > 0;
            let status = if slow {
                OperationStatus::Pending
            } else {
                host.ending()
            };
            let operation = host.operation(action, status);
            if fault == Fault::LostAfter {
                Err(error(Kind::Connection))
            } else {
                Ok(operation)
            }
        })
    }
}

impl Host {
    fn carry_out(&mut self, call: &Call) {
        if self.behaviour.fails {
            return;
        }
        self.old = (self.behaviour.stale_reads, self.rules.clone());
        match call {
            Call::Open { key, sources } if self.behaviour.open_replaces => {
                self.rules.set(*key, sources.clone());
            }
            Call::Open { key, sources } => self.rules.add(*key, sources),
            Call::Close { key, .. } if self.behaviour.close_by_key => drop(self.rules.remove(*key)),
            Call::Close { key, sources } => {
                let left = self
                    .rules
                    .get(*key)
                    .map(|known| without(known, sources))
                    .unwrap_or_default();
                self.rules.set(*key, left);
            }
            Call::Put { firewall } => {
                self.rules = firewall.clone();
                self.extra.clear();
            }
        }
    }

    fn ending(&self) -> OperationStatus {
        if self.behaviour.fails {
            OperationStatus::Failed
        } else {
            OperationStatus::Succeeded
        }
    }

    fn operation(&mut self, kind: &str, status: OperationStatus) -> Operation {
        let operation = Operation {
            id: format!("op-{}", self.operations.len()),
            kind: kind.into(),
            details: String::new(),
            status,
            created_at: Some(OffsetDateTime::now_utc()),
            error: (status == OperationStatus::Failed)
                .then(|| "Internal: as the test wishes".into()),
        };
        self.operations.push(operation.clone());
        operation
    }
}

impl Reader for Fake {
    async fn instances(&self, site: &Site) -> Result<Vec<Instance>, Error> {
        let hosts = self.0.borrow();
        Ok(hosts
            .values()
            .map(|host| host.instance.clone())
            .filter(|instance| instance.id.site() == *site)
            .collect())
    }

    async fn instance(&self, id: &InstanceId) -> Result<Instance, Error> {
        self.ask("GetInstance", id, |host| {
            let state = host.behaviour.states.pop_front();
            let state = state.unwrap_or_else(|| host.instance.state.clone());
            Ok(Instance {
                state,
                ..host.instance.clone()
            })
        })
    }

    async fn port_states(&self, id: &InstanceId) -> Result<Vec<PortState>, Error> {
        const ACTION: &str = "GetInstancePortStates";
        self.ask(ACTION, id, |host| {
            if host.behaviour.unreadable {
                return Err(Error::new(
                    Kind::BadReply,
                    ACTION,
                    id.to_string(),
                    "the answer has no `portStates`",
                ));
            }
            let rules = match &mut host.old {
                (0, _) => &host.rules,
                (left, old) => {
                    *left -= 1;
                    old
                }
            };
            let halves = host.behaviour.halves;
            let states = rules.iter().map(|(key, sources)| {
                let mut entry = PortState::canonical(*key, sources);
                if halves {
                    let nets = sources.ipv4().iter();
                    let nets = nets.flat_map(|net| net.subnets(net.prefix_len() + 1));
                    entry.cidrs = nets.flatten().map(|net| net.to_string()).collect();
                }
                entry
            });
            Ok(states.chain(host.extra.iter().cloned()).collect())
        })
    }

    async fn operation(&self, about: &InstanceId, id: &str) -> Result<Operation, Error> {
        const ACTION: &str = "GetOperation";
        let mut hosts = self.0.borrow_mut();
        let absent = || {
            Error::new(
                Kind::NotFound,
                ACTION,
                format!("{about}: {id}"),
                "no such operation",
            )
        };
        let host = hosts
            .values_mut()
            .find(|host| host.operations.iter().any(|operation| operation.id == id));
        let host = host.ok_or_else(absent)?;
        host.requests.push(ACTION);
        let behaviour = &mut host.behaviour;
        if behaviour.denied.is_some_and(|(_, what)| what == ACTION) {
            let refused = "as the test wishes";
            return Err(Error::new(
                Kind::AccessDenied,
                ACTION,
                id.to_owned(),
                refused,
            ));
        }
        if behaviour.invisible > 0 {
            behaviour.invisible -= 1;
            return Err(absent());
        }
        if behaviour.pending > 1 {
            behaviour.pending -= 1;
        } else {
            let status = host.ending();
            let error = (status == OperationStatus::Failed)
                .then(|| "Internal: as the test wishes".to_owned());
            for operation in host
                .operations
                .iter_mut()
                .filter(|operation| operation.id == id)
            {
                operation.status = status;
                operation.error.clone_from(&error);
            }
        }
        host.operations
            .iter()
            .find(|operation| operation.id == id)
            .cloned()
            .ok_or_else(absent)
    }

    async fn operations_for(&self, id: &InstanceId) -> Result<Vec<Operation>, Error> {
        const ACTION: &str = "GetOperationsForResource";
        self.ask(ACTION, id, |host| {
            if host.behaviour.silent {
                let error = Error::new(Kind::AccessDenied, ACTION, id.to_string(), "not allowed");
                return Err(error);
            }
            Ok(host.operations.clone())
        })
    }
}

impl Writer for Fake {
    async fn turn(&self, id: &InstanceId, action: &'static str) -> Result<(), Error> {
        if let Some(host) = self.0.borrow_mut().get_mut(id) {
            host.turns.push((action, host.requests.len()));
        }
        Ok(())
    }

    async fn open(&self, id: &InstanceId, key: Key, sources: &Sources) -> Result<Operation, Error> {
        self.write(
            id,
            &Call::Open {
                key,
                sources: sources.clone(),
            },
        )
    }

    async fn close(
        &self,
        id: &InstanceId,
        key: Key,
        sources: &Sources,
    ) -> Result<Operation, Error> {
        self.write(
            id,
            &Call::Close {
                key,
                sources: sources.clone(),
            },
        )
    }

    async fn put(&self, id: &InstanceId, firewall: &Firewall) -> Result<Operation, Error> {
        self.write(
            id,
            &Call::Put {
                firewall: firewall.clone(),
            },
        )
    }
}

fn without(known: &Sources, gone: &Sources) -> Sources {
    let mut left: Sources = known
        .ipv4()
        .difference(gone.ipv4())
        .map(|net| (*net).into())
        .collect();
    known
        .ipv6()
        .difference(gone.ipv6())
        .for_each(|net| left.insert((*net).into()));
    known
        .aliases()
        .difference(gone.aliases())
        .for_each(|alias| left.insert_alias(alias));
    left
}

/// A plan of these.
pub(super) fn plan(instances: Vec<InstancePlan>) -> Plan {
    Plan {
        instances,
        ..Plan::default()
    }
}

/// `tcp/PORT`.
pub(super) fn tcp(port: i32) -> Key {
    Key::new(Protocol::Tcp, port, port).expect("a port")
}

/// Sources by their texts.
pub(super) fn from(texts: &[&str]) -> Sources {
    texts
        .iter()
        .filter_map(|text| Sources::parse_live(text))
        .collect()
}

/// Rules by port.
pub(super) fn rules(rules: &[(i32, &[&str])]) -> Firewall {
    rules
        .iter()
        .map(|(port, texts)| (tcp(*port), from(texts)))
        .collect()
}
