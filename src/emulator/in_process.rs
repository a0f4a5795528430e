//! The emulator without HTTP, with a clock that the caller controls.
//!
//! Owns the clock, and the parser of responses that acts like a client. The service is the same that is served. Does not wait: a
//! delayed response advances the clock, and a missing response is reported at once.

use std::cell::Cell;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use crate::inventory::Inventory;
use crate::model::InstanceId;

use super::service::{Answer, ReplyOutcome};
use super::wire::Action;
use super::{Emulator, Options, ScriptedEvent};

/// An emulator that is called directly, with all quirks and faults. Every call is a new connection. Signatures are not checked.
#[derive(Debug)]
pub struct InProcess {
    emulator: Emulator,
    now: Cell<OffsetDateTime>,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// An error response.
    #[error("HTTP {status}, {}: {message}", codes.join(" or "))]
    Error {
        /// The HTTP status.
        status: u16,
        /// The codes in the response without namespace, in the order in which AWS SDKs read them: header, `code`, `__type`.
        codes: Vec<String>,
        /// The message.
        message: String,
    },
    /// The response is not a JSON object, or an error without a code.
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
    /// There is no response. The clock does not advance, because the client decides how long it waits.
    #[error("no reply came")]
    Never {
        /// Whether a write was accepted, which a client cannot know.
        applied: bool,
    },
}

impl InProcess {
    /// An emulator of these instances, whose clock starts at `start`.
    pub fn new(inventory: Inventory, options: Options, start: OffsetDateTime) -> Self {
        Self {
            emulator: Emulator::new(inventory, options),
            now: Cell::new(start),
        }
    }

    /// A handle to the instances and the journal.
    pub fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    /// The current time of the clock.
    pub fn now(&self) -> OffsetDateTime {
        self.now.get()
    }

    /// Advances the clock.
    pub fn advance(&self, by: Duration) {
        let by = time::Duration::try_from(by).unwrap_or(time::Duration::MAX);
        self.now.set(self.now.get().saturating_add(by));
    }

    /// Applies a scripted event to an instance now. A failure applies to the next request.
    pub fn script(&self, id: &InstanceId, what: &ScriptedEvent) {
        self.emulator.script(id, what, self.now());
    }

    /// Calls an action of the API.
    ///
    /// # Errors
    /// The response is not a JSON object with status 200.
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
    /// The error code that an AWS SDK would use.
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

/// The code without namespace and URL.
fn bare(name: &str) -> &str {
    let name = name.split(':').next().unwrap_or_default();
    name.rsplit('#').next().unwrap_or_default()
}
