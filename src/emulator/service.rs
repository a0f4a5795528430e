//! The service: the state machine with fault injection, one request at a time.
//!
//! Owns the order of scripted events, refusals, lost messages and malformed responses. Every request, with or without HTTP, is handled
//! here. Time is passed in. Does not wait; it returns the delay.

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::inventory::Inventory;
use crate::model::{InstanceId, Site};

use super::context::{Context, Persist};
use super::error_response::{ErrorResponse, Result};
use super::fault_injector::{FaultInjector, NumberedRequest};
use super::faults::{Faults, RequestFault, ScriptedEvent};
use super::quirks::{ErrorHeader, PortStatesResponse, Quirks, ThrottleStatus, WriteResponse};
use super::request::{Action, Request};
use super::state::ServiceState;

#[derive(Debug)]
pub(super) struct Service {
    pub(super) state: ServiceState,
    pub(super) injector: FaultInjector,
    quirks: Quirks,
}

/// What a client receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// A response after a delay.
    Response(Response, Duration),
    /// The connection is refused.
    ConnectionRefused,
    /// The connection is lost. `applied` is whether a write was accepted.
    ConnectionLost { applied: bool },
    /// There is no response.
    NoResponse { applied: bool },
}

/// An HTTP response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    /// The header `x-amzn-ErrorType`.
    pub(super) error_type: Option<String>,
    pub(super) body: String,
}

const HTML: &str = "<html><body><h1>It works!</h1></body></html>";

impl Response {
    fn new(status: u16, content_type: &'static str, body: String) -> Self {
        Self {
            status,
            content_type,
            error_type: None,
            body,
        }
    }

    fn json(status: u16, body: String) -> Self {
        Self::new(status, "application/x-amz-json-1.1", body)
    }

    fn html(status: u16) -> Self {
        Self::new(status, "text/html", HTML.to_owned())
    }

    pub(super) fn xml(status: u16, body: String) -> Self {
        Self::new(status, "text/xml", body)
    }
}

impl From<Response> for Delivery {
    fn from(response: Response) -> Self {
        Self::Response(response, Duration::ZERO)
    }
}

impl Service {
    pub(super) fn new(inventory: Inventory, quirks: Quirks, faults: Faults) -> Self {
        Self {
            state: ServiceState::new(inventory, quirks.clone(), faults.seed),
            injector: FaultInjector::new(faults),
            quirks,
        }
    }

    /// Applies a scripted event to an instance now, or to the next request.
    pub(super) fn script(
        &mut self,
        id: &InstanceId,
        event: &ScriptedEvent,
        now: OffsetDateTime,
        persist: Persist<'_>,
    ) -> Result<()> {
        if let ScriptedEvent::RequestFault(fault) = event {
            self.injector.next = Some(*fault);
        }
        let random = self.injector.faults.seed;
        let site = &id.site();
        let mut context = Context { site, now, persist };
        self.state
            .apply_event(&id.name, event, random, &mut context)
    }

    /// The response for an error, with the quirks of this service.
    pub(super) fn error(&self, error: &ErrorResponse) -> Response {
        let quirks = &self.quirks;
        let has_header = quirks.error_header == ErrorHeader::Present;
        Response {
            error_type: has_header.then(|| error.type_name(quirks.error_type)),
            ..Response::json(error.status, error.body(quirks).to_string())
        }
    }

    /// Handles a request of a known sender.
    pub(super) fn handle(
        &mut self,
        site: &Site,
        action: Action,
        body: &[u8],
        now: OffsetDateTime,
        persist: Persist<'_>,
    ) -> Delivery {
        let context = &mut Context { site, now, persist };
        let parsed = Request::parse(action, body, &self.quirks);
        let name = parsed.as_ref().ok().and_then(Request::instance);
        let request = self.injector.count(site, name, action);
        if let Err(error) = self.apply_events(&request, context) {
            return self.error(&error).into();
        }
        let fault = self.injector.fault(&request);
        match fault {
            Some(RequestFault::Refused) => return Delivery::ConnectionRefused,
            Some(RequestFault::LostRequest) => return Delivery::ConnectionLost { applied: false },
            Some(RequestFault::SilentBefore) => return Delivery::NoResponse { applied: false },
            Some(RequestFault::ServerError) => return self.server_error(&request).into(),
            _ => {}
        }
        self.state.ignores_writes = fault == Some(RequestFault::Ignored);
        let result = self
            .check(&request, fault, now)
            .and(parsed)
            .and_then(|parsed| self.state.handle(parsed, context));
        let applied = action.is_write() && result.is_ok();
        match (fault, result) {
            (Some(RequestFault::LostResponse), _) => Delivery::ConnectionLost { applied },
            (Some(RequestFault::SilentAfter), _) => Delivery::NoResponse { applied },
            // An invalid request is refused before any fault.
            (Some(RequestFault::ServerErrorAfter), Ok(_)) => self.server_error(&request).into(),
            (fault, result) => {
                let response = match result {
                    Ok(value) => self.success(&request, value),
                    Err(error) => self.error(&error),
                };
                let delay = match fault {
                    Some(RequestFault::Slow(delay)) => delay,
                    _ => Duration::ZERO,
                };
                Delivery::Response(response, delay)
            }
        }
    }

    fn apply_events(&mut self, request: &NumberedRequest, context: &mut Context<'_>) -> Result<()> {
        let Some(name) = &request.name else {
            return Ok(());
        };
        let random = self.injector.random("what", request);
        for event in self.injector.events(request) {
            self.state.apply_event(name, &event, random, context)?;
        }
        Ok(())
    }

    /// Refuses a request because of a fault, expired credentials, a missing permission or the rate.
    fn check(
        &mut self,
        request: &NumberedRequest,
        fault: Option<RequestFault>,
        now: OffsetDateTime,
    ) -> Result<()> {
        if fault == Some(RequestFault::Rejected) {
            return Err(ErrorResponse::invalid_input("The input is not valid."));
        }
        if self.injector.has_expired(Some(request)) {
            return Err(ErrorResponse::expired("ExpiredTokenException", 400));
        }
        if fault == Some(RequestFault::Denied) || self.injector.denies(request.action) {
            return Err(ErrorResponse::access_denied(format!(
                "User: arn:aws:iam::000000000000:user/emulator is not authorized to perform: lightsail:{}",
                request.action.name()
            )));
        }
        if fault == Some(RequestFault::Throttled) || self.injector.throttles(request, now) {
            let status = match self.quirks.throttle_status {
                ThrottleStatus::Forbidden => 403,
                ThrottleStatus::BadRequest => 400,
            };
            return Err(ErrorResponse::throttled(status));
        }
        Ok(())
    }

    /// A 5xx of the service, of the AWS front end, or of a proxy in HTML.
    fn server_error(&self, request: &NumberedRequest) -> Response {
        let message = match self.injector.random("broken", request) % 3 {
            0 => ErrorResponse::service("An unexpected error occurred."),
            1 => ErrorResponse::common("InternalFailure", 500, "Try again later."),
            _ => return Response::html(503),
        };
        self.error(&message)
    }

    /// The response to a successful request.
    fn success(&self, request: &NumberedRequest, mut value: Value) -> Response {
        let every = u64::from(self.quirks.port_states_every.max(1));
        let is_due = (request.nth - 1).is_multiple_of(every);
        let body = match request.action {
            Action::GetInstancePortStates if is_due => match self.quirks.port_states {
                PortStatesResponse::Whole => value.to_string(),
                PortStatesResponse::Missing => json!({}).to_string(),
                PortStatesResponse::Null => {
                    value["portStates"] = Value::Null;
                    value.to_string()
                }
                PortStatesResponse::Truncated => truncated(&value),
                PortStatesResponse::Html => return Response::html(200),
                PortStatesResponse::Empty => String::new(),
            },
            action if action.is_write() => match self.quirks.write_reply {
                WriteResponse::Whole => value.to_string(),
                WriteResponse::NoOperation => json!({}).to_string(),
                WriteResponse::Truncated => truncated(&value),
                WriteResponse::Html => return Response::html(200),
                WriteResponse::Empty => String::new(),
            },
            _ => value.to_string(),
        };
        Response::json(200, body)
    }
}

/// A body that ends in the middle.
fn truncated(value: &Value) -> String {
    let mut body = value.to_string();
    // Responses are ASCII unless the inventory contains other characters.
    body.truncate(body.floor_char_boundary(body.len() / 2));
    body
}

#[cfg(test)]
mod tests;
