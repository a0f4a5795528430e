//! An honest stand-in for the Lightsail API: any AWS SDK and the AWS CLI can talk to it.
//!
//! One pure state machine (`state`), a `service` around it in which [`Faults`] go wrong, and skins over that: `wire` reads AWS JSON
//! 1.1 and checks it as the service model does, `signature` verifies AWS Signature Version 4, `front` puts them together,
//! `http` serves them, [`InProcess`] does without, `file` keeps the state in an inventory.
//! Where AWS documents nothing, the default is what was observed or the answer that a client has most to fear, and
//! [`Quirks`] has the other ones. Is not more than the firewall: instances cannot be made, and every region answers.
//!
//! The journal is kept in memory for as long as the emulator lives; operations are also kept in a file beside the state.

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

/// An emulator. Clones are handles to the same one.
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

    /// An emulator whose state lives in a file, which is locked until the last handle is dropped. Operations are in another
    /// one beside it, whose name ends in `.operations`.
    ///
    /// # Errors
    /// A file that cannot be opened, is in use, or is no inventory, or operations that cannot be read.
    pub fn open(path: &Path, access: Access, options: Options) -> Result<Self, OpenError> {
        let (store, content) = Store::open(path, access)?;
        Ok(Self::over(content, Some(store), options))
    }

    /// An emulator of what is in a file, which is read once and neither locked nor written after that.
    ///
    /// # Errors
    /// A file that cannot be opened, is being written by another emulator, or is no inventory, or operations that cannot be
    /// read.
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

    /// Answers requests until the shutdown; those in flight then have half a second to end.
    ///
    /// # Errors
    /// A listener that stops working.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        http::serve(self, listener, shutdown).await
    }

    /// The instances as they are now.
    pub fn inventory(&self) -> Inventory {
        self.lock().front.service.state.inventory().clone()
    }

    /// Every write that was accepted, step by step in order of time; those of the second writer too.
    pub fn journal(&self) -> Vec<Arc<Write>> {
        self.journal_since(0)
    }

    /// The journal without its first records, for whoever has seen those.
    pub fn journal_since(&self, first: usize) -> Vec<Arc<Write>> {
        let shared = self.lock();
        let journal = shared.front.service.state.journal();
        journal.get(first..).unwrap_or_default().to_vec()
    }

    /// Every change of tags that was accepted, in order of time.
    pub fn tag_journal(&self) -> Vec<TagWrite> {
        self.lock().front.service.state.tag_journal().to_vec()
    }

    /// How many requests each action got, refused ones included. Actions that got none are not there.
    pub fn requests(&self) -> BTreeMap<String, usize> {
        self.lock().front.requests()
    }

    /// Ends every operation that is not at its end yet; with a file, those whose end can be written down.
    pub fn finish_operations(&self) {
        let now = OffsetDateTime::now_utc();
        let Shared { front, store } = &mut *self.lock();
        let mut keep = |changed: Changed<'_>| keep(store.as_mut(), changed);
        front.service.state.finish_operations(now, &mut keep);
    }

    /// Answers one request that arrived now.
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

    /// Answers a request of a known sender that arrived at this time, over a connection of its own.
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

    /// Lets something happen to an instance at this time, or go wrong with the next request.
    fn script(&self, id: &InstanceId, what: &ScriptedEvent, now: OffsetDateTime) {
        let Shared { front, store } = &mut *self.lock();
        let mut keep = |changed: Changed<'_>| keep(store.as_mut(), changed);
        // What cannot be kept does not happen, as in a script.
        let _ = front.service.script(id, what, now, &mut keep);
    }

    /// The reply to a request that could not be read.
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
        // Nothing panics while holding it; if something did, the state would still be whole.
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
