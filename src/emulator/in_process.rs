//! The emulator without HTTP: one call, one answer, on a clock that the caller owns.
//!
//! Owns the clock and the reading of a reply as a client would read it. Everything else is the same service that is served.
//! Does not wait: a late reply moves the clock, and one that never comes says so at once.

use std::cell::Cell;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use crate::inventory::Inventory;
use crate::model::InstanceId;

use super::service::{Answer, ReplyOutcome};
use super::wire::Action;
use super::{Emulator, Options, ScriptedEvent};

/// An emulator that is called rather than served, with quirks and faults as if there were a network. Every call is a
/// connection of its own. Signatures are not asked for.
#[derive(Debug)]
pub struct InProcess {
    emulator: Emulator,
    now: Cell<OffsetDateTime>,
}

/// Why there is no answer, or none that is good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// An error reply.
    #[error("HTTP {status}, {}: {message}", codes.join(" or "))]
    Error {
        /// The HTTP status.
        status: u16,
        /// The names that it gives for the error, in the order in which AWS SDKs look at them: header, `code`, `__type`.
        /// Without namespace.
        codes: Vec<String>,
        /// What it says.
        message: String,
    },
    /// A reply that is no JSON object, or an error without any name.
    #[error("HTTP {status} with a body that cannot be read")]
    Garbled {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: String,
    },
    /// The connection was refused.
    #[error("the connection was refused")]
    Refused,
    /// The connection was lost.
    #[error("the connection was lost")]
    Lost {
        /// Whether a write was accepted, which a client cannot know.
        applied: bool,
    },
    /// No reply ever comes. The clock did not move: how long one waits is the client's decision.
    #[error("no reply came")]
    Never {
        /// Whether a write was accepted, which a client cannot know.
        applied: bool,
    },
}

impl InProcess {
    /// An emulator of these instances whose clock starts here.
    pub fn new(inventory: Inventory, options: Options, start: OffsetDateTime) -> Self {
        Self {
            emulator: Emulator::new(inventory, options),
            now: Cell::new(start),
        }
    }

    /// A handle, to look at the instances and the journal.
    pub fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    /// What the clock shows.
    pub fn now(&self) -> OffsetDateTime {
        self.now.get()
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        let by = time::Duration::try_from(by).unwrap_or(time::Duration::MAX);
        self.now.set(self.now.get().saturating_add(by));
    }

    /// Lets something happen to an instance now. Trouble waits for the next request.
    pub fn script(&self, id: &InstanceId, what: &ScriptedEvent) {
        self.emulator.script(id, what, self.now());
    }

    /// Asks the service, as the API spells actions and bodies.
    ///
    /// # Errors
    /// Everything but a reply with status 200 and a JSON object.
    pub fn call(&self, action: &str, region: &str, body: &Value) -> Result<Value, Failure> {
        let action = Action::from_name(action);
        let body = body.to_string();
        let (outcome, delay) = self
            .emulator
            .call(region, action, body.as_bytes(), self.now());
        self.advance(delay);
        match outcome {
            ReplyOutcome::Answered(answer) => read(answer),
            ReplyOutcome::Refused => Err(Failure::Refused),
            ReplyOutcome::Lost { applied } => Err(Failure::Lost { applied }),
            ReplyOutcome::Silent { applied } => Err(Failure::Never { applied }),
        }
    }
}

impl Failure {
    /// The name of the error that an AWS SDK would go by.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Error { codes, .. } => codes.first().map(String::as_str),
            _ => None,
        }
    }
}

fn read(answer: Answer) -> Result<Value, Failure> {
    let Answer {
        status,
        html: _,
        error_type,
        body,
    } = answer;
    let Ok(value @ Value::Object(_)) = serde_json::from_str(&body) else {
        return Err(Failure::Garbled { status, body });
    };
    if status == 200 {
        return Ok(value);
    }
    let member = |name: &str| value[name].as_str().map(ToOwned::to_owned);
    let codes: Vec<String> = [error_type, member("code"), member("__type")]
        .into_iter()
        .flatten()
        .map(|name| bare(&name).to_owned())
        .collect();
    Err(Failure::Error {
        status,
        codes,
        message: member("message").unwrap_or_default(),
    })
}

/// The name without the namespace before it and the address behind it.
fn bare(name: &str) -> &str {
    let name = name.split(':').next().unwrap_or_default();
    name.rsplit('#').next().unwrap_or_default()
}
