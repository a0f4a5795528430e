//! A model of the service with one instance: before every request there is a choice of an event and of the result of the request.
//!
//! **Owns** the rules, operations and journal of the service, and the possible events. **Does not** choose, and does not check
//! invariants.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use portward::apply::{Clock as _, Stop};
use portward::emulator::{Author, Write};
use portward::inventory::{Entry, Inventory};
use portward::lightsail::{Error, ErrorKind, Operation, OperationStatus, Reader, Writer};
use portward::model::{
    AddressType, Firewall, Instance, InstanceId, InstanceState, Key, PortState, Site, Sources,
};
use portward::plan::Call;

use super::super::adapter::RecordedRead;
use super::super::time::Time;
use super::choices::Choices;

const REGION: &str = "eu-central-1";

/// The time that a request takes.
const REQUEST: Duration = Duration::from_millis(1);

/// When what is wanted ends, if it does: later than any run takes by itself.
pub(super) const END: Duration = Duration::from_hours(1);

/// One reading of what Open and Close do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Semantics {
    pub(super) open_merges: bool,
    pub(super) close_subtracts: bool,
}

/// How much may happen.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Budget {
    /// Things that happen before a request.
    pub(super) events: usize,
    /// Writes that are lost or refused.
    pub(super) faults: usize,
    /// All of it, and that nobody confirms the run.
    pub(super) all: usize,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Rules,
    Instance,
    Operations,
    Write,
}

/// What may happen before a request.
#[derive(Clone, Debug)]
enum Event {
    /// A second writer.
    Writes(Call),
    /// The instance is deleted, and another one gets its name and its rules.
    Replaced,
    /// What is wanted ends.
    Ends,
    /// Somebody wishes the run to stop.
    Stops,
    /// The process is killed.
    Dies,
}

/// What becomes of a write.
#[derive(Clone, Copy, Debug)]
enum ReplyOutcome {
    Answered,
    /// It is carried out, and the reply is lost.
    LostResponse,
    /// It is lost before it is carried out.
    LostRequest,
    Refused,
}

/// The service.
pub(super) struct ServiceModel<'a> {
    pub(super) time: Time,
    pub(super) stop: Stop,
    semantics: Semantics,
    /// What a second writer may do.
    others: &'a [Call],
    choices: &'a RefCell<Choices>,
    alive: Cell<bool>,
    /// Nothing new can come from here.
    known: Cell<bool>,
    /// Whether an Open or a Close would have done something else under the other reading of it.
    pub(super) matters: (Cell<bool>, Cell<bool>),
    state: RefCell<State>,
}

struct State {
    instance: Instance,
    rules: Firewall,
    operations: Vec<(Author, Operation)>,
    journal: Vec<Arc<Write>>,
    rule_reads: Vec<RecordedRead>,
    identity_reads: Vec<RecordedRead>,
    requests: usize,
    /// Whether the last request was a write of ours.
    wrote: bool,
    left: Budget,
    ended: bool,
    /// All that the run has seen, and the order of what others did in between.
    past: u64,
}

/// The instance that there is in the beginning.
pub(super) fn instance() -> Instance {
    Instance {
        id: InstanceId {
            account: None,
            region: REGION.to_owned(),
            name: "web-1".to_owned(),
        },
        arn: "arn:aws:lightsail:eu-central-1:123456789012:Instance/1".to_owned(),
        tags: BTreeMap::new(),
        state: InstanceState::Running,
        address_type: AddressType::Dualstack,
    }
}

impl<'a> ServiceModel<'a> {
    pub(super) fn new(
        rules: &Firewall,
        semantics: Semantics,
        budget: Budget,
        others: &'a [Call],
        choices: &'a RefCell<Choices>,
    ) -> Self {
        Self {
            time: Time::new(),
            stop: Stop::new(),
            semantics,
            others,
            choices,
            alive: Cell::new(true),
            known: Cell::new(false),
            matters: (Cell::new(false), Cell::new(false)),
            state: RefCell::new(State {
                instance: instance(),
                rules: rules.clone(),
                operations: Vec::new(),
                journal: Vec::new(),
                rule_reads: Vec::new(),
                identity_reads: Vec::new(),
                requests: 0,
                wrote: false,
                left: budget,
                ended: false,
                past: 0,
            }),
        }
    }

    /// Whether the run goes on: it was not killed, and it may still lead to something new.
    pub(super) fn goes_on(&self) -> bool {
        self.alive.get() && !self.known.get()
    }

    /// Whether the same was seen before, so that this run needs no judgement.
    pub(super) fn is_known(&self) -> bool {
        self.known.get()
    }

    /// The next run begins after one that was killed.
    pub(super) fn revive(&self) {
        self.alive.set(true);
    }

    /// What the service has.
    pub(super) fn rules(&self) -> Firewall {
        self.state.borrow().rules.clone()
    }

    pub(super) fn journal(&self) -> Vec<Arc<Write>> {
        self.state.borrow().journal.clone()
    }

    pub(super) fn rule_reads(&self) -> Vec<RecordedRead> {
        self.state.borrow().rule_reads.clone()
    }

    pub(super) fn identity_reads(&self) -> Vec<RecordedRead> {
        self.state.borrow().identity_reads.clone()
    }

    pub(super) fn requests(&self) -> usize {
        self.state.borrow().requests
    }

    /// The instance as a list shows it.
    pub(super) fn listed(&self) -> Instance {
        self.state.borrow().instance.clone()
    }

    pub(super) fn inventory(&self) -> Inventory {
        let state = self.state.borrow();
        let Instance {
            id,
            arn,
            tags,
            state: of,
            address_type,
        } = state.instance.clone();
        let entry = Entry {
            name: id.name,
            arn,
            tags,
            state: of.to_string(),
            ip_address_type: address_type.to_string(),
            port_states: Some(entries(&state.rules).into()),
        };
        Inventory::new([(REGION.to_owned(), vec![entry])].into())
    }

    /// Whether nobody confirms the run.
    pub(super) async fn denies(&self) -> bool {
        let possible = self.state.borrow().left.all > 0;
        let denied = self.pick(1 + usize::from(possible)).await == 1;
        let mut state = self.state.borrow_mut();
        state.saw(&("denied", denied));
        state.left.all -= usize::from(denied);
        denied
    }

    /// A choice whose effect is remembered in itself.
    async fn pick(&self, options: usize) -> usize {
        let picked = self.choices.borrow_mut().choose(options, self.key());
        if let Some(picked) = picked {
            picked
        } else {
            self.known.set(true);
            pending().await
        }
    }

    /// Everything that what follows depends on.
    fn key(&self) -> u64 {
        let state = self.state.borrow();
        let mut hasher = DefaultHasher::new();
        state.past.hash(&mut hasher);
        state.rules.hash(&mut hasher);
        state.instance.arn.hash(&mut hasher);
        state.left.hash(&mut hasher);
        state.wrote.hash(&mut hasher);
        self.stop.is_set().hash(&mut hasher);
        self.time.elapsed().hash(&mut hasher);
        hasher.finish()
    }

    /// What happens before a request.
    async fn meanwhile(&self, request: Request) {
        let events = self.events(request);
        let picked = self.pick(1 + events.len()).await;
        if let Some(event) = picked.checked_sub(1) {
            self.happen(&events[event]).await;
        }
        self.time.pass(REQUEST);
        let mut state = self.state.borrow_mut();
        state.requests += 1;
        state.wrote = request == Request::Write;
    }

    /// What may happen before a request. What neither the request nor the run could tell from its happening right after it
    /// is left to the next one: who only asks which instance it is does not see rules, who asks for rules does not see which
    /// instance has them, and a process that dies while it reads leaves nothing behind.
    fn events(&self, request: Request) -> Vec<Event> {
        let state = self.state.borrow();
        let mut events = Vec::new();
        if state.left.events == 0 || state.left.all == 0 {
            return events;
        }
        if request != Request::Instance {
            let changes = |call: &&Call| self.after(call, &state.rules) != state.rules;
            let writes = self.others.iter().filter(changes);
            events.extend(writes.cloned().map(Event::Writes));
        }
        if request != Request::Rules {
            events.push(Event::Replaced);
        }
        if request == Request::Write || state.wrote {
            events.push(Event::Dies);
        }
        if !state.ended && matches!(request, Request::Instance | Request::Write) {
            events.push(Event::Ends);
        }
        if !self.stop.is_set() && request != Request::Operations {
            events.push(Event::Stops);
        }
        events
    }

    async fn happen(&self, event: &Event) {
        {
            let mut state = self.state.borrow_mut();
            state.left.events -= 1;
            state.left.all -= 1;
            match event {
                Event::Writes(call) => self.write(&mut state, Author::ForeignWriter, call),
                Event::Replaced => {
                    state.instance.arn.push_str("-another");
                    state.operations.clear();
                }
                Event::Ends => {
                    state.ended = true;
                    self.time.pass(END);
                }
                Event::Stops => self.stop.set(),
                Event::Dies => {
                    state.saw(&"died");
                    self.alive.set(false);
                }
            }
        }
        if !self.alive.get() {
            pending::<()>().await;
        }
    }

    /// The rules after a call, by the semantics of this service.
    fn after(&self, call: &Call, rules: &Firewall) -> Firewall {
        let mut after = rules.clone();
        let (one, other, merges, matters) = match call {
            Call::Put { firewall } => return firewall.clone(),
            Call::Open { key, sources } => {
                let mut merged = rules.clone();
                merged.add(*key, sources);
                after.set(*key, sources.clone());
                (merged, after, self.semantics.open_merges, &self.matters.0)
            }
            Call::Close { key, sources } => {
                let now = after.remove(*key).unwrap_or_default();
                let mut subtracted = after.clone();
                let left = now.ipv4().difference(sources.ipv4());
                subtracted.set(*key, left.map(|net| (*net).into()).collect());
                (
                    subtracted,
                    after,
                    self.semantics.close_subtracts,
                    &self.matters.1,
                )
            }
        };
        matters.set(matters.get() || one != other);
        if merges { one } else { other }
    }

    fn write(&self, state: &mut State, by: Author, call: &Call) {
        let after = self.after(call, &state.rules);
        let now = self.time.now();
        let place = state.journal.len();
        state.journal.push(Arc::new(Write {
            at: now,
            by,
            action: call.action(),
            instance: state.instance.id.clone(),
            arn: state.instance.arn.clone(),
            request: Vec::new(),
            before: entries(&state.rules),
            after: entries(&after),
            step: 1,
            steps: 1,
        }));
        let details = match call {
            Call::Open { key, .. } | Call::Close { key, .. } => {
                format!("{}/{}", key.from(), key.protocol())
            }
            Call::Put { .. } => String::new(),
        };
        let operation = Operation {
            id: format!("operation-{place}"),
            action: call.action().to_owned(),
            details,
            status: OperationStatus::Succeeded,
            created_at: Some(now),
            error: None,
        };
        state.operations.push((by, operation));
        state.saw(&(by == Author::Client, call.action(), &after));
        state.rules = after;
    }

    async fn sent(&self, call: &Call) -> Result<Operation, Error> {
        const FATES: [ReplyOutcome; 4] = [
            ReplyOutcome::Answered,
            ReplyOutcome::LostResponse,
            ReplyOutcome::LostRequest,
            ReplyOutcome::Refused,
        ];
        self.meanwhile(Request::Write).await;
        let left = self.state.borrow().left;
        let spared = left.faults == 0 || left.all == 0;
        let fate = FATES[self.pick(if spared { 1 } else { FATES.len() }).await];
        let mut state = self.state.borrow_mut();
        if !matches!(fate, ReplyOutcome::Answered) {
            state.left.faults -= 1;
            state.left.all -= 1;
        }
        let refused = matches!(fate, ReplyOutcome::Refused);
        let answered = matches!(fate, ReplyOutcome::Answered);
        state.saw(&("sent", call.action(), refused, answered));
        let id = state.instance.id.to_string();
        let error = |kind| Error::new(kind, call.action(), id, "as it was chosen");
        match fate {
            ReplyOutcome::LostRequest => Err(error(ErrorKind::Timeout)),
            ReplyOutcome::Refused => Err(error(ErrorKind::InvalidInput)),
            ReplyOutcome::LostResponse => {
                let lost = error(ErrorKind::Timeout);
                self.write(&mut state, Author::Client, call);
                Err(lost)
            }
            ReplyOutcome::Answered => {
                self.write(&mut state, Author::Client, call);
                let (_, operation) = state.operations.last().expect("what was just written");
                Ok(operation.clone())
            }
        }
    }

    fn look(state: &State) -> RecordedRead {
        RecordedRead {
            id: state.instance.id.clone(),
            at: state.journal.len(),
            arn: Some(state.instance.arn.clone()),
        }
    }
}

impl State {
    fn saw(&mut self, what: &impl Hash) {
        let mut hasher = DefaultHasher::new();
        self.past.hash(&mut hasher);
        what.hash(&mut hasher);
        self.past = hasher.finish();
    }
}

fn entries(rules: &Firewall) -> Vec<PortState> {
    let rules = rules.iter();
    rules
        .map(|(key, sources)| PortState::canonical(*key, sources))
        .collect()
}

/// The executor of plans does not touch tags.
fn not_asked(action: &'static str, id: &InstanceId) -> Error {
    let message = "no plan has such a call";
    Error::new(ErrorKind::InvalidInput, action, id.to_string(), message)
}

impl Reader for ServiceModel<'_> {
    async fn instances(&self, _: &Site) -> Result<Vec<Instance>, Error> {
        Ok(vec![self.listed()])
    }

    async fn instance(&self, _: &InstanceId) -> Result<Instance, Error> {
        self.meanwhile(Request::Instance).await;
        let mut state = self.state.borrow_mut();
        let look = Self::look(&state);
        state.saw(&("instance", &look.arn));
        state.identity_reads.push(look);
        Ok(state.instance.clone())
    }

    async fn port_states(&self, _: &InstanceId) -> Result<Vec<PortState>, Error> {
        self.meanwhile(Request::Rules).await;
        let mut state = self.state.borrow_mut();
        let (look, rules) = (Self::look(&state), state.rules.clone());
        state.saw(&("rules", &rules));
        state.rule_reads.push(look);
        Ok(entries(&rules))
    }

    async fn operation(&self, about: &InstanceId, id: &str) -> Result<Operation, Error> {
        // Every operation has ended when it is told.
        Err(Error::new(
            ErrorKind::NotFound,
            "GetOperation",
            about.to_string(),
            format!("`{id}` is not asked for"),
        ))
    }

    async fn operations_for(&self, _: &InstanceId) -> Result<Vec<Operation>, Error> {
        self.meanwhile(Request::Operations).await;
        let mut state = self.state.borrow_mut();
        let operations = state.operations.iter();
        let operations: Vec<_> = operations.map(|(_, operation)| operation.clone()).collect();
        state.saw(&("operations", operations.len()));
        Ok(operations)
    }
}

impl Writer for ServiceModel<'_> {
    async fn open(&self, _: &InstanceId, key: Key, sources: &Sources) -> Result<Operation, Error> {
        let sources = sources.clone();
        self.sent(&Call::Open { key, sources }).await
    }

    async fn close(&self, _: &InstanceId, key: Key, sources: &Sources) -> Result<Operation, Error> {
        let sources = sources.clone();
        self.sent(&Call::Close { key, sources }).await
    }

    async fn put(&self, _: &InstanceId, firewall: &Firewall) -> Result<Operation, Error> {
        let firewall = firewall.clone();
        self.sent(&Call::Put { firewall }).await
    }

    async fn tag(
        &self,
        id: &InstanceId,
        _: &BTreeMap<String, String>,
    ) -> Result<Vec<Operation>, Error> {
        Err(not_asked("TagResource", id))
    }

    async fn untag(&self, id: &InstanceId, _: &BTreeSet<String>) -> Result<Vec<Operation>, Error> {
        Err(not_asked("UntagResource", id))
    }
}
