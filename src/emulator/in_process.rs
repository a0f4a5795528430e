//! The emulator without HTTP, with a clock that the caller controls.
//!
//! Owns the clock, and the parser of responses. The service is the same as over HTTP. Does not wait: a delayed response advances the
//! clock, and a missing response is an error at once.

use std::cell::Cell;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use crate::inventory::Inventory;
use crate::model::InstanceId;

use super::request::Action;
use super::service::{Delivery, Response};
use super::{Emulator, EmulatorOptions, ScriptedEvent};

/// An emulator that is called directly, with all quirks and faults. Every call is a new connection. Signatures are not checked.
#[derive(Debug)]
pub struct InProcess {
    emulator: Emulator,
    now: Cell<OffsetDateTime>,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// An error response.
    #[error("HTTP {status}, {}: {message}", codes.join(" or "))]
    Response {
        /// The HTTP status.
        status: u16,
        /// The codes in the response without namespace, in the order in which AWS SDKs read them: header, `code`, `__type`.
        codes: Vec<String>,
        /// The message.
        message: String,
    },
    /// The response is not a JSON object, or an error without a code.
    #[error("HTTP {status} with a body that cannot be read")]
    InvalidResponse {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: String,
    },
    /// The connection was refused.
    #[error("the connection was refused")]
    ConnectionRefused,
    /// The connection was lost.
    #[error("the connection was lost")]
    ConnectionLost {
        /// Whether a write was accepted, which a client cannot know.
        applied: bool,
    },
    /// There is no response. The clock does not advance, because the client decides how long it waits.
    #[error("no response came")]
    NoResponse {
        /// Whether a write was accepted, which a client cannot know.
        applied: bool,
    },
}

impl InProcess {
    /// An emulator of these instances, whose clock starts at `start`.
    pub fn new(inventory: Inventory, options: EmulatorOptions, start: OffsetDateTime) -> Self {
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

    /// Applies a scripted event to an instance now. The fault of a request applies to the next one.
    pub fn script(&self, id: &InstanceId, event: &ScriptedEvent) {
        self.emulator.script(id, event, self.now());
    }

    /// Calls an action of the API.
    ///
    /// # Errors
    /// The response is not a JSON object with status 200.
    pub fn call(&self, action: &str, region: &str, body: &Value) -> Result<Value, CallError> {
        let action = Action::from_name(action);
        let body = body.to_string();
        let call = self
            .emulator
            .call(region, action, body.as_bytes(), self.now());
        match call {
            Delivery::Response(response, delay) => {
                self.advance(delay);
                parse(response)
            }
            Delivery::ConnectionRefused => Err(CallError::ConnectionRefused),
            Delivery::ConnectionLost { applied } => Err(CallError::ConnectionLost { applied }),
            Delivery::NoResponse { applied } => Err(CallError::NoResponse { applied }),
        }
    }
}

impl CallError {
    /// The error code that an AWS SDK would use.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Response { codes, .. } => codes.first().map(String::as_str),
            _ => None,
        }
    }
}

fn parse(response: Response) -> Result<Value, CallError> {
    let status = response.status;
    let Ok(value @ Value::Object(_)) = serde_json::from_str(&response.body) else {
        let body = response.body;
        return Err(CallError::InvalidResponse { status, body });
    };
    if status == 200 {
        return Ok(value);
    }
    let member = |name: &str| value[name].as_str().map(ToOwned::to_owned);
    let codes = [response.error_type, member("code"), member("__type")].into_iter();
    let codes = codes.flatten().map(|name| error_code(&name).to_owned());
    Err(CallError::Response {
        status,
        codes: codes.collect(),
        message: member("message").unwrap_or_default(),
    })
}

/// The code without namespace and URL.
fn error_code(name: &str) -> &str {
    let name = name.split(':').next().unwrap_or_default();
    name.rsplit('#').next().unwrap_or_default()
}
