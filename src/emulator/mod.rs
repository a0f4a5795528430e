//! Emulator of the Lightsail API, for AWS SDKs and the AWS CLI.
//!
//! A pure state machine (`state`), a `service` around it that injects [`Faults`], and layers on top: `request` parses AWS JSON 1.1 and
//! validates it like the service model, `signature` verifies AWS Signature Version 4, `endpoint` combines them, `http` serves them,
//! [`InProcess`] calls them directly, and `file` stores the state in an inventory. Where AWS documents nothing, the default is
//! the observed behaviour or the most dangerous one, and [`Quirks`] has the alternatives. Does not emulate more than firewalls
//! and tags: instances cannot be created, and every region exists.
//!
//! The journal is in memory only; operations are also stored in a file beside the state.

mod context;
mod endpoint;
mod error_response;
mod fault_injector;
mod faults;
mod file;
mod fuzz;
mod http;
mod in_process;
mod log;
mod operation;
mod operations;
mod options;
mod quirks;
mod random;
mod rate_limit;
mod regions;
mod request;
mod response_body;
mod rule_spelling;
mod rules;
mod service;
mod sessions;
mod signature;
mod state;
mod sts;
mod tags;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;

use crate::inventory::Inventory;
use crate::model::InstanceId;

pub use faults::{Faults, InstanceChange, RequestFault, ScriptedEvent, Trigger};
pub use file::{FileAccess, OpenError, OperationLogError};
#[doc(hidden)]
pub use fuzz::fuzz_request;
pub use in_process::{CallError, InProcess};
pub use options::EmulatorOptions;
pub use quirks::*;
pub use state::{Author, TagWrite, Write};

use context::{ChangeCause, Persist, StateChange};
use endpoint::Endpoint;
use error_response::{ErrorResponse, Result};
use file::Store;
use operation::Operation;
use request::Action;
use service::{Delivery, Response, Service};
use signature::SignedRequest;
use state::ServiceState;

/// An emulator. Clones are handles to the same emulator.
#[derive(Clone, Debug)]
pub struct Emulator {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    endpoint: Endpoint,
    store: Option<Store>,
}

impl Emulator {
    /// An emulator of these instances, in memory.
    pub fn new(inventory: Inventory, options: EmulatorOptions) -> Self {
        Self::with_store(None, inventory, Vec::new(), options)
    }

    /// An emulator whose state is in a file, which is locked until the last handle is dropped. Operations are in another file
    /// beside it, whose name ends in `.operations`.
    ///
    /// # Errors
    /// The file cannot be opened, is in use, or is not an inventory, or the operations cannot be read.
    pub fn open(
        path: &Path,
        access: FileAccess,
        options: EmulatorOptions,
    ) -> Result<Self, OpenError> {
        let (store, inventory, operations) = Store::open(path, access)?;
        Ok(Self::with_store(
            Some(store),
            inventory,
            operations,
            options,
        ))
    }

    /// An emulator of the instances in a file, which is read once, and then neither locked nor written.
    ///
    /// # Errors
    /// The file cannot be opened, is in use by another emulator, or is not an inventory, or the operations cannot be read.
    pub fn load(path: &Path, options: EmulatorOptions) -> Result<Self, OpenError> {
        let (_, inventory, operations) = Store::open(path, FileAccess::ReadOnly)?;
        Ok(Self::with_store(None, inventory, operations, options))
    }

    fn with_store(
        store: Option<Store>,
        inventory: Inventory,
        operations: Vec<Operation>,
        options: EmulatorOptions,
    ) -> Self {
        let (quirks, faults) = (options.quirks.clone(), options.faults.clone());
        let mut service = Service::new(inventory, quirks, faults);
        service.state.restore_operations(operations);
        let endpoint = Endpoint::new(service, options);
        Self {
            shared: Arc::new(Mutex::new(Shared { endpoint, store })),
        }
    }

    /// The current instances.
    pub fn inventory(&self) -> Inventory {
        self.lock().endpoint.service.state.inventory().clone()
    }

    /// All accepted writes, including foreign ones, step by step in order of time.
    pub fn journal(&self) -> Vec<Arc<Write>> {
        self.lock().endpoint.service.state.journal.clone()
    }

    /// All accepted changes of tags, in order of time.
    pub fn tag_journal(&self) -> Vec<TagWrite> {
        self.lock().endpoint.service.state.tag_journal.clone()
    }

    /// The number of requests of each action that had any, including refused ones.
    pub fn requests(&self) -> BTreeMap<&'static str, usize> {
        self.lock().endpoint.requests.clone()
    }

    /// Ends every pending operation; with a file, only those whose end can be stored.
    pub fn finish_operations(&self) {
        let now = OffsetDateTime::now_utc();
        self.with(|endpoint, persist| endpoint.service.state.operations.finish(now, persist));
    }

    /// Handles a request that arrives now; returns the request ID too.
    fn handle(&self, parts: &hyper::http::request::Parts, body: &[u8]) -> (Delivery, String) {
        let message = SignedRequest {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            body,
        };
        let now = OffsetDateTime::now_utc();
        self.with(|endpoint, persist| {
            let logged = endpoint.service.state.journal.len();
            let logged_tags = endpoint.service.state.tag_journal.len();
            let (delivery, request_id) = endpoint.handle(message, now, persist);
            log::request(&parts.headers, &delivery);
            let ServiceState {
                journal,
                tag_journal,
                ..
            } = &endpoint.service.state;
            journal[logged..].iter().for_each(|write| log::write(write));
            tag_journal[logged_tags..].iter().for_each(log::tag_write);
            (delivery, request_id)
        })
    }

    /// Handles a request of a known sender that arrives at this time, on a new connection.
    fn call(
        &self,
        region: &str,
        action: Option<Action>,
        body: &[u8],
        now: OffsetDateTime,
    ) -> Delivery {
        self.with(|endpoint, persist| {
            if endpoint.service.injector.refuses_connection() {
                return Delivery::ConnectionRefused;
            }
            match action {
                Some(action) => endpoint.call(region, action, body, now, persist),
                None => endpoint
                    .service
                    .error(&ErrorResponse::unknown_operation())
                    .into(),
            }
        })
    }

    /// Applies a scripted event to an instance at this time, or to the next request.
    fn script(&self, id: &InstanceId, event: &ScriptedEvent, now: OffsetDateTime) {
        // An event that cannot be stored does not happen.
        let _ = self.with(|endpoint, persist| endpoint.service.script(id, event, now, persist));
    }

    /// The response to a request that cannot be parsed, with its request ID.
    fn error(&self, error: &ErrorResponse) -> (Response, String) {
        let endpoint = &mut self.lock().endpoint;
        let request_id = endpoint.request_id(OffsetDateTime::now_utc());
        (endpoint.service.error(error), request_id)
    }

    /// Whether the next connection is refused.
    fn refuses_connection(&self) -> bool {
        self.lock().endpoint.service.injector.refuses_connection()
    }

    /// Runs a function on the endpoint, with what stores its changes.
    fn with<T>(&self, run: impl FnOnce(&mut Endpoint, Persist<'_>) -> T) -> T {
        let Shared { endpoint, store } = &mut *self.lock();
        run(endpoint, &mut |change| persist(store.as_mut(), change))
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Nothing panics while holding the lock, and the state is consistent at any time.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stores a change in the files, if there are any.
fn persist(store: Option<&mut Store>, change: StateChange<'_>) -> Result<()> {
    let Some(store) = store else {
        return Ok(());
    };
    let (result, file) = match (store.access, change) {
        (FileAccess::ReadOnly, StateChange::Inventory(_, ChangeCause::ClientWrite)) => {
            let message = "The file of this emulator was opened for reading only.";
            return Err(ErrorResponse::access_denied(message));
        }
        (FileAccess::ReadOnly, _) => return Ok(()),
        (FileAccess::ReadWrite, StateChange::Inventory(inventory, _)) => {
            (store.replace(&inventory.to_json()), "file")
        }
        (FileAccess::ReadWrite, StateChange::Operation(operation)) => {
            (store.append(operation), "file of operations")
        }
    };
    result.map_err(|error| {
        ErrorResponse::service(format!(
            "The {file} of this emulator cannot be written: {error}"
        ))
    })
}
