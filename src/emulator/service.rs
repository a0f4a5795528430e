//! The service: the state machine with everything that can go wrong around it, one request at a time.
//!
//! Owns the order of events: who acts first, what is refused, what gets lost, and what the reply is disguised as. Every
//! way in, with or without HTTP, ends here. Pure: the time is passed in. Refuses to wait; it only says how long one has to.

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::inventory::Inventory;
use crate::model::{InstanceId, Site};

use super::fault::Fault;
use super::faults::{Faults, Mishaps, Trouble, Turn};
use super::quirks::{PortStatesReply, Presence, Quirks, ThrottleStatus, WriteReply};
use super::state::{Keep, State};
use super::wire::{Action, Request};

/// The service as its clients find it.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) state: State,
    mishaps: Mishaps,
    quirks: Quirks,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    /// How late it is.
    pub(super) delay: Duration,
    pub(super) fate: Fate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Answered(Answer),
    /// The connection was never there.
    Refused,
    /// The connection is lost. `applied` is whether a write was accepted.
    Lost {
        applied: bool,
    },
    /// Nothing ever comes.
    Silent {
        applied: bool,
    },
}

/// A reply.
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
        let mishaps = Mishaps::new(faults);
        Self {
            state: State::new(inventory, quirks.clone(), mishaps.seed()),
            mishaps,
            quirks,
        }
    }

    /// Whether the next connection is refused.
    pub(super) fn refuses(&mut self) -> bool {
        self.mishaps.refuses()
    }

    /// Whether the credentials are no longer good.
    pub(super) fn expired(&self) -> bool {
        self.mishaps.expired(None)
    }

    /// An error as this service words it.
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

    /// Answers a request whose sender is known.
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
        let turn = self.mishaps.turn(site, name, action);
        if let Err(fault) = self.happen(&turn, now, keep) {
            return Fate::Answered(self.error(&fault)).at_once();
        }
        let trouble = self.mishaps.trouble(&turn);
        match trouble {
            Some(Trouble::Refused) => return Fate::Refused.at_once(),
            Some(Trouble::LostRequest) => return Fate::Lost { applied: false }.at_once(),
            Some(Trouble::SilentBefore) => return Fate::Silent { applied: false }.at_once(),
            Some(Trouble::ServerError) => return Fate::Answered(self.broken(&turn)).at_once(),
            _ => {}
        }
        let result = match self.bar(&turn, now) {
            Err(fault) => Err(fault),
            Ok(()) => request.and_then(|request| self.state.answer(site, request, now, keep)),
        };
        let applied = action.is_write() && result.is_ok();
        match trouble {
            Some(Trouble::LostReply) => return Fate::Lost { applied }.at_once(),
            Some(Trouble::SilentAfter) => return Fate::Silent { applied }.at_once(),
            // A request that was refused is refused: that needs no service.
            Some(Trouble::ServerErrorAfter) if result.is_ok() => {
                return Fate::Answered(self.broken(&turn)).at_once();
            }
            _ => {}
        }
        let answer = match result {
            Ok(value) => self.disguise(&turn, value),
            Err(fault) => self.error(&fault),
        };
        let delay = match trouble {
            Some(Trouble::Slow(delay)) => delay,
            _ => Duration::ZERO,
        };
        Delivery {
            delay,
            fate: Fate::Answered(answer),
        }
    }

    /// What others do before this request gets its turn.
    fn happen(&mut self, turn: &Turn, now: OffsetDateTime, keep: Keep<'_>) -> Result<(), Fault> {
        let Some(name) = &turn.name else {
            return Ok(());
        };
        let id = InstanceId {
            account: turn.site.account.clone(),
            region: turn.site.region.clone(),
            name: name.clone(),
        };
        let roll = self.mishaps.roll("what", turn);
        for what in self.mishaps.happenings(turn) {
            self.state.happen(&id, &what, roll, now, keep)?;
        }
        Ok(())
    }

    /// What keeps a request from being looked at.
    fn bar(&mut self, turn: &Turn, now: OffsetDateTime) -> Result<(), Fault> {
        if self.mishaps.expired(Some(turn)) {
            return Err(Fault::expired("ExpiredTokenException", 400));
        }
        if self.mishaps.denies(turn.action) {
            return Err(Fault::access_denied(format!(
                "User: arn:aws:iam::000000000000:user/emulator is not authorized to perform: lightsail:{}",
                turn.action.name()
            )));
        }
        if self.mishaps.throttles(turn, now) {
            return Err(Fault::throttled(match self.quirks.throttle_status {
                ThrottleStatus::Forbidden => 403,
                ThrottleStatus::BadRequest => 400,
            }));
        }
        Ok(())
    }

    /// A 5xx: of the service, of its front end, or of a proxy that speaks HTML.
    fn broken(&self, turn: &Turn) -> Answer {
        match self.mishaps.roll("broken", turn) % 3 {
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

    /// The reply to a request that went well.
    fn disguise(&self, turn: &Turn, mut value: Value) -> Answer {
        let every = u64::from(self.quirks.port_states_every.max(1));
        let due = (turn.nth - 1).is_multiple_of(every);
        let how = match turn.action {
            Action::GetInstancePortStates if due => match self.quirks.port_states {
                PortStatesReply::Missing => {
                    value = json!({});
                    Disguise::None
                }
                PortStatesReply::Null => {
                    value["portStates"] = Value::Null;
                    Disguise::None
                }
                PortStatesReply::Whole => Disguise::None,
                PortStatesReply::Truncated => Disguise::Truncated,
                PortStatesReply::Html => Disguise::Html,
                PortStatesReply::Empty => Disguise::Empty,
            },
            action if action.is_write() => match self.quirks.write_reply {
                WriteReply::NoOperation => {
                    value = json!({});
                    Disguise::None
                }
                WriteReply::Whole => Disguise::None,
                WriteReply::Truncated => Disguise::Truncated,
                WriteReply::Html => Disguise::Html,
                WriteReply::Empty => Disguise::Empty,
            },
            _ => Disguise::None,
        };
        let mut body = value.to_string();
        match how {
            Disguise::None => {}
            // Replies are ASCII unless an inventory says otherwise.
            Disguise::Truncated => body.truncate(body.floor_char_boundary(body.len() / 2)),
            Disguise::Html => HTML.clone_into(&mut body),
            Disguise::Empty => body.clear(),
        }
        Answer {
            status: 200,
            html: how == Disguise::Html,
            error_type: None,
            body,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Disguise {
    None,
    Truncated,
    Html,
    Empty,
}

impl Fate {
    fn at_once(self) -> Delivery {
        Delivery {
            delay: Duration::ZERO,
            fate: self,
        }
    }
}

#[cfg(test)]
mod tests;
