//! The service: the state machine with fault injection, one request at a time.
//!
//! Owns the order of scripted events, refusals, lost messages and malformed responses. Every request, with or without HTTP, is handled
//! here. Time is passed in. Does not wait; it returns the delay.

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::inventory::Inventory;
use crate::model::{InstanceId, Site};

use super::changes::Keep;
use super::fault::Fault;
use super::faults::{FaultInjector, Faults, ScriptedEvent, Trouble, Turn};
use super::quirks::{PortStatesReply, Presence, Quirks, ThrottleStatus, WriteReply};
use super::state::State;
use super::wire::{Action, Request};

/// The service.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) state: State,
    injector: FaultInjector,
    quirks: Quirks,
}

/// The result of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    /// The delay.
    pub(super) delay: Duration,
    pub(super) outcome: ReplyOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ReplyOutcome {
    Answered(Answer),
    /// The connection is refused.
    Refused,
    /// The connection is lost. `applied` is whether a write was accepted.
    Lost {
        applied: bool,
    },
    /// There is no response.
    Silent {
        applied: bool,
    },
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) html: bool,
    /// The header `x-amzn-ErrorType`.
    pub(super) error_type: Option<String>,
    pub(super) body: String,
}

const HTML: &str = "<html><body><h1>It works, but it is not what you asked for</h1></body></html>";

impl Service {
    pub(super) fn new(inventory: Inventory, quirks: Quirks, faults: Faults) -> Self {
        let injector = FaultInjector::new(faults);
        Self {
            state: State::new(inventory, quirks.clone(), injector.seed()),
            injector,
            quirks,
        }
    }

    /// Whether the next connection is refused.
    pub(super) fn refuses(&mut self) -> bool {
        self.injector.refuses()
    }

    /// Applies a scripted event to an instance now, or to the next request.
    pub(super) fn script(
        &mut self,
        id: &InstanceId,
        what: &ScriptedEvent,
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Result<(), Fault> {
        if let ScriptedEvent::Goes(trouble) = what {
            self.injector.disturb_next(*trouble);
        }
        self.state
            .apply_event(id, what, self.injector.seed(), now, keep)
    }

    /// Whether the credentials have expired.
    pub(super) fn expired(&self) -> bool {
        self.injector.expired(None)
    }

    /// An error response with the quirks of this service.
    pub(super) fn error(&self, fault: &Fault) -> Answer {
        let quirks = &self.quirks;
        let header = quirks.error_header == Presence::Present;
        Answer {
            status: fault.status,
            html: false,
            error_type: header.then(|| fault.type_name(quirks.error_type)),
            body: fault.body(quirks).to_string(),
        }
    }

    /// Handles a request of a known sender.
    pub(super) fn call(
        &mut self,
        site: &Site,
        action: Action,
        body: &[u8],
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Delivery {
        let request = Request::parse(action, body, &self.quirks);
        let name = request.as_ref().ok().and_then(Request::instance);
        let turn = self.injector.turn(site, name, action);
        if let Err(fault) = self.apply_events(&turn, now, keep) {
            return ReplyOutcome::Answered(self.error(&fault)).at_once();
        }
        let trouble = self.injector.trouble(&turn);
        match trouble {
            Some(Trouble::Refused) => return ReplyOutcome::Refused.at_once(),
            Some(Trouble::LostRequest) => return ReplyOutcome::Lost { applied: false }.at_once(),
            Some(Trouble::SilentBefore) => {
                return ReplyOutcome::Silent { applied: false }.at_once();
            }
            Some(Trouble::ServerError) => {
                return ReplyOutcome::Answered(self.broken(&turn)).at_once();
            }
            _ => {}
        }
        let barred = self.bar(&turn, trouble, now);
        self.state.ignores_writes = trouble == Some(Trouble::Ignored);
        let result = barred
            .and(request)
            .and_then(|request| self.state.answer(site, request, now, keep));
        let applied = action.is_write() && result.is_ok();
        match trouble {
            Some(Trouble::LostReply) => return ReplyOutcome::Lost { applied }.at_once(),
            Some(Trouble::SilentAfter) => return ReplyOutcome::Silent { applied }.at_once(),
            // An invalid request is refused before any fault.
            Some(Trouble::ServerErrorAfter) if result.is_ok() => {
                return ReplyOutcome::Answered(self.broken(&turn)).at_once();
            }
            _ => {}
        }
        let answer = match result {
            Ok(value) => self.shape_reply(&turn, value),
            Err(fault) => self.error(&fault),
        };
        let delay = match trouble {
            Some(Trouble::Slow(delay)) => delay,
            _ => Duration::ZERO,
        };
        Delivery {
            delay,
            outcome: ReplyOutcome::Answered(answer),
        }
    }

    /// Applies the events before this request.
    fn apply_events(
        &mut self,
        turn: &Turn,
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Result<(), Fault> {
        let Some(name) = &turn.name else {
            return Ok(());
        };
        let id = InstanceId {
            account: turn.site.account.clone(),
            region: turn.site.region.clone(),
            name: name.clone(),
        };
        let roll = self.injector.roll("what", turn);
        for what in self.injector.events(turn) {
            self.state.apply_event(&id, &what, roll, now, keep)?;
        }
        Ok(())
    }

    /// Why a request is not processed, if so.
    fn bar(
        &mut self,
        turn: &Turn,
        trouble: Option<Trouble>,
        now: OffsetDateTime,
    ) -> Result<(), Fault> {
        if trouble == Some(Trouble::Rejected) {
            return Err(Fault::invalid_input("The input is not valid."));
        }
        if self.injector.expired(Some(turn)) {
            return Err(Fault::expired("ExpiredTokenException", 400));
        }
        if trouble == Some(Trouble::Denied) || self.injector.denies(turn.action) {
            return Err(Fault::access_denied(format!(
                "User: arn:aws:iam::000000000000:user/emulator is not authorized to perform: lightsail:{}",
                turn.action.name()
            )));
        }
        if trouble == Some(Trouble::Throttled) || self.injector.throttles(turn, now) {
            return Err(Fault::throttled(match self.quirks.throttle_status {
                ThrottleStatus::Forbidden => 403,
                ThrottleStatus::BadRequest => 400,
            }));
        }
        Ok(())
    }

    /// A 5xx of the service, of its front end, or of a proxy in HTML.
    fn broken(&self, turn: &Turn) -> Answer {
        match self.injector.roll("broken", turn) % 3 {
            0 => self.error(&Fault::service("An unexpected error occurred.")),
            1 => self.error(&Fault::front("InternalFailure", 500, "Try again later.")),
            _ => Answer {
                status: 503,
                html: true,
                error_type: None,
                body: HTML.to_owned(),
            },
        }
    }

    /// The response to a successful request.
    fn shape_reply(&self, turn: &Turn, mut value: Value) -> Answer {
        let every = u64::from(self.quirks.port_states_every.max(1));
        let due = (turn.nth - 1).is_multiple_of(every);
        let how = match turn.action {
            Action::GetInstancePortStates if due => match self.quirks.port_states {
                PortStatesReply::Missing => {
                    value = json!({});
                    ReplyShape::None
                }
                PortStatesReply::Null => {
                    value["portStates"] = Value::Null;
                    ReplyShape::None
                }
                PortStatesReply::Whole => ReplyShape::None,
                PortStatesReply::Truncated => ReplyShape::Truncated,
                PortStatesReply::Html => ReplyShape::Html,
                PortStatesReply::Empty => ReplyShape::Empty,
            },
            action if action.is_write() => match self.quirks.write_reply {
                WriteReply::NoOperation => {
                    value = json!({});
                    ReplyShape::None
                }
                WriteReply::Whole => ReplyShape::None,
                WriteReply::Truncated => ReplyShape::Truncated,
                WriteReply::Html => ReplyShape::Html,
                WriteReply::Empty => ReplyShape::Empty,
            },
            _ => ReplyShape::None,
        };
        let mut body = value.to_string();
        match how {
            ReplyShape::None => {}
            // Responses are ASCII unless the inventory contains other characters.
            ReplyShape::Truncated => body.truncate(body.floor_char_boundary(body.len() / 2)),
            ReplyShape::Html => HTML.clone_into(&mut body),
            ReplyShape::Empty => body.clear(),
        }
        Answer {
            status: 200,
            html: how == ReplyShape::Html,
            error_type: None,
            body,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ReplyShape {
    None,
    Truncated,
    Html,
    Empty,
}

impl ReplyOutcome {
    fn at_once(self) -> Delivery {
        Delivery {
            delay: Duration::ZERO,
            outcome: self,
        }
    }
}

#[cfg(test)]
mod tests;
