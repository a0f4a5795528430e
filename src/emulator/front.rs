//! The front: from a whole HTTP message to a whole reply, without a socket.
//!
//! Owns the dispatch between Lightsail and STS, the order of checks (signature, operation, body, state) and how a refused
//! signature is told in each protocol. Refuses to do I/O.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::fault::Fault;
use super::operations::uuid;
use super::options::Options;
use super::signature::{self, Credentials, Message, Refusal};
use super::state::{Keep, State};
use super::sts;
use super::wire::{Action, Request};

/// A whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) request_id: String,
    pub(super) body: String,
}

impl Reply {
    /// A reply of Lightsail.
    pub(super) fn json(request_id: String, result: Result<serde_json::Value, Fault>) -> Self {
        let (status, body) = match result {
            Ok(value) => (200, value),
            Err(fault) => (fault.status, fault.body()),
        };
        Self {
            status,
            content_type: "application/x-amz-json-1.1",
            request_id,
            body: body.to_string(),
        }
    }
}

/// The state machine with what the front needs to know beside it.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) state: State,
    options: Options,
    /// Requests by action, refused ones included.
    requests: BTreeMap<&'static str, usize>,
    /// Every request ever, for ids that differ.
    total: u64,
}

impl Front {
    pub(super) fn new(state: State, options: Options) -> Self {
        Self {
            state,
            options,
            requests: BTreeMap::new(),
            total: 0,
        }
    }

    pub(super) fn requests(&self) -> BTreeMap<String, usize> {
        self.requests
            .iter()
            .map(|(action, count)| ((*action).to_owned(), *count))
            .collect()
    }

    /// An id for the next reply.
    pub(super) fn request_id(&mut self, now: OffsetDateTime) -> String {
        self.total += 1;
        uuid(&[
            "request",
            &self.total.to_string(),
            &now.unix_timestamp_nanos().to_string(),
        ])
    }

    /// Answers a message that arrived now.
    pub(super) fn answer(
        &mut self,
        message: Message<'_>,
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Reply {
        let request_id = self.request_id(now);
        let target = message.headers.get("x-amz-target");
        let kind = message.headers.get("content-type");
        let form = kind.is_some_and(|kind| {
            kind.as_bytes()
                .starts_with(b"application/x-www-form-urlencoded")
        });
        if target.is_none() && form {
            return self.answer_sts(message, now, request_id);
        }
        let target = target.and_then(|value| value.to_str().ok());
        let action = target.and_then(Action::from_target);
        if let Some(action) = action {
            *self.requests.entry(action.name()).or_default() += 1;
        }
        let result = self.answer_lightsail(action, message, now, keep);
        Reply::json(request_id, result)
    }

    fn answer_lightsail(
        &mut self,
        action: Option<Action>,
        message: Message<'_>,
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Result<serde_json::Value, Fault> {
        if message.method != "POST" || message.path != "/" {
            return Err(Fault::unknown_operation());
        }
        let region = self.verify(message, "lightsail", now).map_err(refuse)?;
        let action = action.ok_or_else(Fault::unknown_operation)?;
        let request = Request::parse(action, message.body)?;
        self.state.answer(&region, request, now, keep)
    }

    fn answer_sts(
        &mut self,
        message: Message<'_>,
        now: OffsetDateTime,
        request_id: String,
    ) -> Reply {
        if sts::is_get_caller_identity(message.body) {
            *self.requests.entry(sts::GET_CALLER_IDENTITY).or_default() += 1;
        }
        let result = self
            .verify(message, "sts", now)
            .map_err(sts::refuse)
            .and_then(|_| sts::answer(message.body, self.state.inventory(), &request_id));
        let (status, body) = match result {
            Ok(body) => (200, body),
            Err(fault) => (fault.status, sts::error(&fault, &request_id)),
        };
        Reply {
            status,
            content_type: "text/xml",
            request_id,
            body,
        }
    }

    fn verify(
        &self,
        message: Message<'_>,
        service: &str,
        now: OffsetDateTime,
    ) -> Result<String, Refusal> {
        let credentials = Credentials {
            access_key: &self.options.access_key,
            secret_key: &self.options.secret_key,
        };
        signature::verify(message, credentials, service, now)
    }
}

fn refuse(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::Missing => Fault::front(
            "MissingAuthenticationTokenException",
            400,
            "Missing Authentication Token",
        ),
        Refusal::Incomplete(why) => Fault::front("IncompleteSignatureException", 400, why),
        Refusal::UnknownKey => Fault::front(
            "UnrecognizedClientException",
            400,
            "The security token included in the request is invalid.",
        ),
        Refusal::Invalid(why) => Fault::front("InvalidSignatureException", 400, why),
    }
}

#[cfg(test)]
mod tests;
