//! Front: handles a complete HTTP request and returns the response, without a socket.
//!
//! Owns the dispatch between Lightsail and STS, the order of checks (signature, operation, then the service), and the response to an
//! invalid signature in each protocol. Does not do I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use time::OffsetDateTime;

use super::changes::Keep;
use super::fault::Fault;
use super::operation::uuid;
use super::options::Options;
use super::service::{Answer, Delivery, ReplyOutcome, Service};
use super::sessions::{Identity, Sessions};
use super::signature::{self, Credentials, Message, SignatureError};
use super::sts;
use super::wire::Action;

/// The account ID if no instance has one in its ARN.
const NO_ACCOUNT: &str = "000000000000";

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) request_id: String,
    /// The header `x-amzn-ErrorType`.
    pub(super) error_type: Option<String>,
    pub(super) body: String,
}

impl Reply {
    /// A response of Lightsail.
    fn of(request_id: String, answer: Answer) -> Self {
        let Answer {
            status,
            html,
            error_type,
            body,
        } = answer;
        Self {
            status,
            content_type: if html {
                "text/html"
            } else {
                "application/x-amz-json-1.1"
            },
            request_id,
            error_type,
            body,
        }
    }
}

/// The result of a request for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A response, with a delay.
    Reply(Reply, Duration),
    /// The connection is closed.
    Gone,
    /// No response.
    Silence,
}

/// The service, with the state of the front.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) service: Service,
    options: Options,
    sessions: Sessions,
    /// The number of requests by action, including refused ones.
    requests: BTreeMap<&'static str, usize>,
    /// The number of all requests, for unique IDs.
    total: u64,
}

impl Front {
    pub(super) fn new(service: Service, options: Options) -> Self {
        Self {
            service,
            options,
            sessions: Sessions::default(),
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

    /// The request ID of the next response.
    pub(super) fn request_id(&mut self, now: OffsetDateTime) -> String {
        self.total += 1;
        uuid(&[
            "request",
            &self.total.to_string(),
            &now.unix_timestamp_nanos().to_string(),
        ])
    }

    /// The response to a message that cannot be parsed.
    pub(super) fn unreadable(&mut self, fault: &Fault, now: OffsetDateTime) -> Reply {
        Reply::of(self.request_id(now), self.service.error(fault))
    }

    /// Handles a message that arrives now.
    pub(super) fn answer(
        &mut self,
        message: Message<'_>,
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Outcome {
        let request_id = self.request_id(now);
        let target = message.headers.get("x-amz-target");
        let kind = message.headers.get("content-type");
        let form = kind.is_some_and(|kind| {
            kind.as_bytes()
                .starts_with(b"application/x-www-form-urlencoded")
        });
        if target.is_none() && form {
            let reply = self.answer_sts(message, now, request_id);
            return Outcome::Reply(reply, self.options.latency);
        }
        let target = target.and_then(|value| value.to_str().ok());
        let action = target.and_then(Action::from_target);
        let delivery = match self.check(message, now) {
            Err(fault) => self.refuse(action, &fault),
            Ok((region, who)) => match action {
                None => self.refuse(None, &Fault::unknown_operation()),
                Some(action) => {
                    self.call_as(&who.account, &region, action, message.body, now, keep)
                }
            },
        };
        match delivery.outcome {
            ReplyOutcome::Answered(answer) => {
                let delay = self.options.latency.saturating_add(delivery.delay);
                Outcome::Reply(Reply::of(request_id, answer), delay)
            }
            ReplyOutcome::Refused | ReplyOutcome::Lost { .. } => Outcome::Gone,
            ReplyOutcome::Silent { .. } => Outcome::Silence,
        }
    }

    /// Handles a request with the emulator's own keys.
    pub(super) fn call(
        &mut self,
        region: &str,
        action: Action,
        body: &[u8],
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Delivery {
        let account = self.user().account;
        self.call_as(&account, region, action, body, now, keep)
    }

    /// Handles a request of an identity.
    fn call_as(
        &mut self,
        account: &str,
        region: &str,
        action: Action,
        body: &[u8],
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Delivery {
        self.count(action);
        let site = self.service.state.site(account, region);
        self.service.call(&site, action, body, now, keep)
    }

    /// The identity of the emulator's own keys: a user in the account of the first instance.
    fn user(&self) -> Identity {
        let inventory = self.service.state.inventory();
        let accounts = inventory.entries().map(|(_, entry)| entry.account());
        let first = accounts.into_iter().find(|account| !account.is_empty());
        Identity {
            account: first.unwrap_or(NO_ACCOUNT).to_owned(),
            role: None,
        }
    }

    /// Refuses a request before it reaches the service.
    fn refuse(&mut self, action: Option<Action>, fault: &Fault) -> Delivery {
        if let Some(action) = action {
            self.count(action);
        }
        Delivery {
            delay: Duration::ZERO,
            outcome: ReplyOutcome::Answered(self.service.error(fault)),
        }
    }

    fn count(&mut self, action: Action) {
        *self.requests.entry(action.name()).or_default() += 1;
    }

    /// Verifies the signature; returns its region and identity.
    fn check(
        &self,
        message: Message<'_>,
        now: OffsetDateTime,
    ) -> Result<(String, Identity), Fault> {
        if message.method != "POST" || message.path != "/" {
            return Err(Fault::unknown_operation());
        }
        self.verify(message, "lightsail", now).map_err(refuse)
    }

    fn answer_sts(
        &mut self,
        message: Message<'_>,
        now: OffsetDateTime,
        request_id: String,
    ) -> Reply {
        let form = sts::form(message.body);
        let operation = sts::Operation::of(&form);
        if let Some(operation) = operation {
            *self.requests.entry(operation.into()).or_default() += 1;
        }
        let caller = if operation.is_none_or(sts::Operation::is_signed) {
            let who = self.verify(message, "sts", now).map_err(sts::refuse);
            who.map(|(_, who)| Some(who))
        } else {
            Ok(None)
        };
        let result = caller.and_then(|caller| {
            if self.service.expired() {
                return Err(Fault::expired("ExpiredToken", 403));
            }
            let context = sts::Context {
                accounts: self
                    .service
                    .state
                    .inventory()
                    .accounts()
                    .into_iter()
                    .collect(),
                sessions: &mut self.sessions,
                secret: &self.options.secret_key,
                now,
            };
            sts::answer(operation, &form, caller.as_ref(), context, &request_id)
        });
        let (status, body) = match result {
            Ok(body) => (200, body),
            Err(fault) => (fault.status, sts::error(&fault, &request_id)),
        };
        Reply {
            status,
            content_type: "text/xml",
            request_id,
            error_type: None,
            body,
        }
    }

    fn verify(
        &self,
        message: Message<'_>,
        service: &str,
        now: OffsetDateTime,
    ) -> Result<(String, Identity), SignatureError> {
        let named = signature::access_key(message.headers);
        let Some(session) = named.and_then(|key| self.sessions.find(key)) else {
            // Permanent keys have no token, so a token with them is not valid.
            if named.is_some() && signature::has_token(message.headers) {
                return Err(SignatureError::UnknownKey);
            }
            let credentials = Credentials {
                access_key: &self.options.access_key,
                secret_key: &self.options.secret_key,
            };
            let region = signature::verify(message, credentials, service, now)?;
            return Ok((region, self.user()));
        };
        if signature::token(message.headers) != Some(session.token.as_str()) {
            return Err(SignatureError::UnknownKey);
        }
        let credentials = Credentials {
            access_key: &session.access_key,
            secret_key: &session.secret_key,
        };
        let region = signature::verify(message, credentials, service, now)?;
        if session.expires <= now {
            return Err(SignatureError::Expired);
        }
        Ok((region, session.identity.clone()))
    }
}

fn refuse(refusal: SignatureError) -> Fault {
    match refusal {
        SignatureError::Missing => Fault::front(
            "MissingAuthenticationTokenException",
            400,
            "Missing Authentication Token",
        ),
        SignatureError::Incomplete(why) => Fault::front("IncompleteSignatureException", 400, why),
        SignatureError::UnknownKey => Fault::front(
            "UnrecognizedClientException",
            400,
            "The security token included in the request is invalid.",
        ),
        SignatureError::Expired => Fault::expired("ExpiredTokenException", 400),
        SignatureError::Invalid(why) => Fault::front("InvalidSignatureException", 400, why),
    }
}

#[cfg(test)]
mod tests;
