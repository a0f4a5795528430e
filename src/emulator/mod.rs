//! Emulator of the Lightsail API, for AWS SDKs and the AWS CLI.
//!
//! A pure state machine (`state`), a `service` around it that injects [`Faults`], and layers on top: `wire` parses AWS JSON 1.1 and
//! validates it like the service model, `signature` verifies AWS Signature Version 4, `front` combines them, `http` serves them,
//! [`InProcess`] calls them directly, and `file` stores the state in an inventory. Where AWS documents nothing, the default is
//! the observed behaviour or the most dangerous one, and [`Quirks`] has the alternatives. Does not emulate more than firewalls
//! and tags: instances cannot be created, and every region exists.
//!
//! The journal is in memory only; operations are also stored in a file beside the state.

mod bucket;
mod changes;
mod dice;
mod fault;
mod faults;
mod file;
mod front;
mod fuzz;
mod http;
mod in_process;
mod log;
mod operation;
mod operations;
mod options;
mod quirks;
mod regions;
mod reply;
mod rules;
mod service;
mod sessions;
mod signature;
mod spelling;
mod state;
mod sts;
mod tags;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::net::TcpListener;

use crate::inventory::Inventory;
use crate::model::InstanceId;

pub use faults::{Change, Faults, ScriptedEvent, Trigger, Trouble};
pub use file::{Access, OpenError, OperationsError};
#[doc(hidden)]
pub use fuzz::fuzz_request;
pub use in_process::{Failure, InProcess};
pub use options::Options;
pub use quirks::{
    AbsentPort, Acceptance, AddressSpelling, Aliases, AllSpelling, DoneStatus, ErrorCode,
    ErrorType, Ipv6Spelling, Keys, ListedPorts, Missing, NoSources, OnClose, OnOpen, OnTag, Order,
    OtherArn, OtherFamily, Pages, PortStatesReply, Presence, Progress, Quirk, QuirkError, Quirks,
    Reads, Rejection, SameKey, ShownLists, Steps, TagOperations, ThrottleStatus, WriteReply,
};
pub use state::{Author, TagWrite, Write};

use changes::{Changed, Event};
use fault::Fault;
use file::{Content, Store};
use front::{Front, Outcome, Reply};
use service::{ReplyOutcome, Service};
use signature::Message;
use wire::Action;

/// An emulator. Clones are handles to the same emulator.
#[derive(Clone, Debug)]
pub struct Emulator {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    front: Front,
    store: Option<Store>,
}

impl Emulator {
    /// An emulator of these instances, in memory.
    pub fn new(inventory: Inventory, options: Options) -> Self {
        let content = Content {
            inventory,
            operations: Vec::new(),
        };
        Self::over(content, None, options)
    }

    /// An emulator whose state is in a file, which is locked until the last handle is dropped. Operations are in another file
    /// beside it, whose name ends in `.operations`.
    ///
    /// # Errors
    /// The file cannot be opened, is in use, or is not an inventory, or the operations cannot be read.
    pub fn open(path: &Path, access: Access, options: Options) -> Result<Self, OpenError> {
        let (store, content) = Store::open(path, access)?;
        Ok(Self::over(content, Some(store), options))
    }

    /// An emulator of the instances in a file, which is read once, and then neither locked nor written.
    ///
    /// # Errors
    /// The file cannot be opened, is in use by another emulator, or is not an inventory, or the operations cannot be read.
    pub fn load(path: &Path, options: Options) -> Result<Self, OpenError> {
        let (_, content) = Store::open(path, Access::ReadOnly)?;
        Ok(Self::over(content, None, options))
    }

    fn over(content: Content, store: Option<Store>, options: Options) -> Self {
        let Content {
            inventory,
            operations,
        } = content;
        let mut service = Service::new(inventory, options.quirks.clone(), options.faults.clone());
        service.state.restore_operations(operations);
        let front = Front::new(service, options);
        Self {
            shared: Arc::new(Mutex::new(Shared { front, store })),
        }
    }

    /// Serves requests until the shutdown. Requests in flight then have half a second to end.
    ///
    /// # Errors
    /// The listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        http::serve(self, listener, shutdown).await
    }

    /// The current instances.
    pub fn inventory(&self) -> Inventory {
        self.lock().front.service.state.inventory().clone()
    }

    /// All accepted writes, including those of the second writer, step by step in order of time.
    pub fn journal(&self) -> Vec<Arc<Write>> {
        self.journal_since(0)
    }

    /// The journal without its first records.
    pub fn journal_since(&self, first: usize) -> Vec<Arc<Write>> {
        let shared = self.lock();
        let journal = shared.front.service.state.journal();
        journal.get(first..).unwrap_or_default().to_vec()
    }

    /// All accepted changes of tags, in order of time.
    pub fn tag_journal(&self) -> Vec<TagWrite> {
        self.lock().front.service.state.tag_journal().to_vec()
    }

    /// The number of requests of each action that had any, including refused ones.
    pub fn requests(&self) -> BTreeMap<String, usize> {
        self.lock().front.requests()
    }

    /// Ends every pending operation; with a file, only those whose end can be stored.
    pub fn finish_operations(&self) {
        let now = OffsetDateTime::now_utc();
        let Shared { front, store } = &mut *self.lock();
        let mut keep = |changed: Changed<'_>| keep(store.as_mut(), changed);
        front.service.state.finish_operations(now, &mut keep);
    }

    /// Handles a request that arrives now.
    fn answer(&self, parts: &hyper::http::request::Parts, body: &[u8]) -> Outcome {
        let message = Message {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            body,
        };
        let Shared { front, store } = &mut *self.lock();
        let known = front.service.state.journal().len();
        let known_tags = front.service.state.tag_journal().len();
        let mut keep = |changed: Changed<'_>| keep(store.as_mut(), changed);
        let outcome = front.answer(message, OffsetDateTime::now_utc(), &mut keep);
        log::request(&parts.headers, &outcome);
        for write in front.service.state.journal().iter().skip(known) {
            log::write(write);
        }
        for write in front.service.state.tag_journal().iter().skip(known_tags) {
            log::tags(write);
        }
        outcome
    }

    /// Handles a request of a known sender that arrives at this time, on a new connection.
    fn call(
        &self,
        region: &str,
        action: Option<Action>,
        body: &[u8],
        now: OffsetDateTime,
    ) -> (ReplyOutcome, Duration) {
        let Shared { front, store } = &mut *self.lock();
        let at_once = |outcome| (outcome, Duration::ZERO);
        if front.service.refuses() {
            return at_once(ReplyOutcome::Refused);
        }
        let Some(action) = action else {
            let fault = Fault::unknown_operation();
            return at_once(ReplyOutcome::Answered(front.service.error(&fault)));
        };
        let mut keep = |changed: Changed<'_>| keep(store.as_mut(), changed);
        let delivery = front.call(region, action, body, now, &mut keep);
        (delivery.outcome, delivery.delay)
    }

    /// Applies a scripted event to an instance at this time, or to the next request.
    fn script(&self, id: &InstanceId, what: &ScriptedEvent, now: OffsetDateTime) {
        let Shared { front, store } = &mut *self.lock();
        let mut keep = |changed: Changed<'_>| keep(store.as_mut(), changed);
        // An event that cannot be stored does not happen, as in a script.
        let _ = front.service.script(id, what, now, &mut keep);
    }

    /// The response to a request that cannot be parsed.
    fn unreadable(&self, fault: &Fault) -> Reply {
        self.lock()
            .front
            .unreadable(fault, OffsetDateTime::now_utc())
    }

    /// Whether the next connection is refused.
    fn refuses(&self) -> bool {
        self.lock().front.service.refuses()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Nothing panics while holding the lock, and the state is consistent at any time.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep(store: Option<&mut Store>, changed: Changed<'_>) -> Result<(), Fault> {
    let Some(store) = store else {
        return Ok(());
    };
    let (kept, what) = match (store.access(), changed) {
        (Access::ReadOnly, Changed::Inventory(_, Event::Written)) => {
            return Err(Fault::access_denied(
                "The file of this emulator was opened for reading only.",
            ));
        }
        (Access::ReadOnly, _) => return Ok(()),
        (Access::ReadWrite, Changed::Inventory(inventory, _)) => {
            (store.replace(&inventory.to_json()), "file")
        }
        (Access::ReadWrite, Changed::Operation(operation)) => {
            (store.append(operation), "file of operations")
        }
    };
    kept.map_err(|error| {
        Fault::service(format!(
            "The {what} of this emulator cannot be written: {error}"
        ))
    })
}
