//! An honest stand-in for the Lightsail API: any AWS SDK and the AWS CLI can talk to it.
//!
//! One pure state machine (`state`) with skins over it: `wire` reads AWS JSON 1.1 and checks it as the service model does,
//! `signature` verifies AWS Signature Version 4, `front` puts them together, `http` serves them, `file` keeps the state in an inventory.
//! Where AWS documents nothing, the default is what was observed or the answer that a client has most to fear, and
//! [`Quirks`] has the other one. Refuses to be more than the firewall: instances cannot be made, and every region answers.
//!
//! Operations and the journal are kept in memory for as long as the emulator lives.

mod fault;
mod file;
mod front;
mod http;
mod operations;
mod options;
mod regions;
mod reply;
mod rules;
mod signature;
mod state;
mod sts;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;
use tokio::net::TcpListener;

use crate::inventory::Inventory;

pub use file::{Access, OpenError};
pub use options::{OnClose, OnOpen, Options, Progress, Quirks};
pub use state::Write;

use fault::Fault;
use file::Store;
use front::{Front, Reply};
use signature::Message;
use state::{Event, State};

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
    #[must_use]
    pub fn new(inventory: Inventory, options: Options) -> Self {
        Self::over(inventory, None, options)
    }

    /// An emulator whose state lives in a file, which is locked until the last handle is dropped.
    ///
    /// # Errors
    /// A file that cannot be opened, is in use, or is no inventory.
    pub fn open(path: &Path, access: Access, options: Options) -> Result<Self, OpenError> {
        let (store, inventory) = Store::open(path, access)?;
        Ok(Self::over(inventory, Some(store), options))
    }

    fn over(inventory: Inventory, store: Option<Store>, options: Options) -> Self {
        let state = State::new(inventory, options.quirks.clone());
        let front = Front::new(state, options);
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
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        self.lock().front.state.inventory().clone()
    }

    /// Every write that was accepted, in order of time.
    #[must_use]
    pub fn journal(&self) -> Vec<Write> {
        self.lock().front.state.journal().to_vec()
    }

    /// How many requests each action got, refused ones included. Actions that got none are not there.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<String, usize> {
        self.lock().front.requests()
    }

    /// Ends every operation that is not at its end yet.
    pub fn finish_operations(&self) {
        let now = OffsetDateTime::now_utc();
        self.lock().front.state.finish_operations(now);
    }

    /// Answers one request that arrived now.
    fn answer(&self, parts: &hyper::http::request::Parts, body: &[u8]) -> Reply {
        let message = Message {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            body,
        };
        let Shared { front, store } = &mut *self.lock();
        let mut keep = |inventory: &Inventory, event| keep(store.as_mut(), inventory, event);
        front.answer(message, OffsetDateTime::now_utc(), &mut keep)
    }

    /// The id of a reply to a request that could not be read.
    fn request_id(&self) -> String {
        self.lock().front.request_id(OffsetDateTime::now_utc())
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Nothing panics while holding it; if something did, the state would still be whole.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep(store: Option<&mut Store>, inventory: &Inventory, event: Event) -> Result<(), Fault> {
    let Some(store) = store else {
        return Ok(());
    };
    match (store.access(), event) {
        (Access::ReadOnly, Event::Turned) => Ok(()),
        (Access::ReadOnly, Event::Written) => Err(Fault::access_denied(
            "The file of this emulator was opened for reading only.",
        )),
        (Access::ReadWrite, _) => store.replace(&inventory.to_json()).map_err(|error| {
            Fault::service(format!(
                "The file of this emulator cannot be written: {error}"
            ))
        }),
    }
}
