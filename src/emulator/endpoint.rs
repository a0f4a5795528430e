//! Endpoint: handles a complete HTTP request and returns the response, without a socket.
//!
//! Owns the dispatch between Lightsail and STS, the order of checks (signature, operation, then the service), and the response to an
//! invalid signature in each protocol. Does not do I/O.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::context::Persist;
use super::error_response::ErrorResponse;
use super::operation::uuid;
use super::options::EmulatorOptions;
use super::request::Action;
use super::service::{Delivery, Response, Service};
use super::sessions::{Identity, Sessions};
use super::signature::{self, Credentials, SignatureError, SignedRequest};
use super::sts;

/// The account ID if no instance has one in its ARN.
const DEFAULT_ACCOUNT: &str = "000000000000";

/// The service with the state of the endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) service: Service,
    options: EmulatorOptions,
    sessions: Sessions,
    /// The number of requests by action, including refused ones.
    pub(super) requests: BTreeMap<&'static str, usize>,
    /// The number of all requests, for unique IDs.
    total: u64,
}

impl Endpoint {
    pub(super) fn new(service: Service, options: EmulatorOptions) -> Self {
        Self {
            service,
            options,
            sessions: Sessions::default(),
            requests: BTreeMap::new(),
            total: 0,
        }
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

    /// Handles a message that arrives now; returns the request ID too.
    pub(super) fn handle(
        &mut self,
        message: SignedRequest<'_>,
        now: OffsetDateTime,
        persist: Persist<'_>,
    ) -> (Delivery, String) {
        let request_id = self.request_id(now);
        let target = message.headers.get("x-amz-target");
        let content_type = message.headers.get("content-type");
        let is_form = content_type.is_some_and(|content_type| {
            let content_type = content_type.as_bytes();
            content_type.starts_with(b"application/x-www-form-urlencoded")
        });
        let mut delivery = if target.is_none() && is_form {
            self.handle_sts(message, now, &request_id).into()
        } else {
            let target = target.and_then(|target| target.to_str().ok());
            let action = target.and_then(Action::from_target);
            self.handle_lightsail(message, action, now, persist)
        };
        if let Delivery::Response(_, delay) = &mut delivery {
            *delay = delay.saturating_add(self.options.latency);
        }
        (delivery, request_id)
    }

    fn handle_lightsail(
        &mut self,
        message: SignedRequest<'_>,
        action: Option<Action>,
        now: OffsetDateTime,
        persist: Persist<'_>,
    ) -> Delivery {
        let sender = if message.method == "POST" && message.path == "/" {
            let sender = self.verify(message, "lightsail", now);
            sender.map_err(signature_error)
        } else {
            Err(ErrorResponse::unknown_operation())
        };
        if let Some(action) = action {
            self.count(action.name());
        }
        let action = action.ok_or_else(ErrorResponse::unknown_operation);
        match sender.and_then(|sender| Ok((sender, action?))) {
            Err(error) => self.service.error(&error).into(),
            Ok(((region, identity), action)) => {
                let site = self.service.state.site(&identity.account, &region);
                self.service
                    .handle(&site, action, message.body, now, persist)
            }
        }
    }

    /// Handles a request with the emulator's own keys, without a signature.
    pub(super) fn call(
        &mut self,
        region: &str,
        action: Action,
        body: &[u8],
        now: OffsetDateTime,
        persist: Persist<'_>,
    ) -> Delivery {
        self.count(action.name());
        let site = self.service.state.site(&self.user().account, region);
        self.service.handle(&site, action, body, now, persist)
    }

    /// The identity of the emulator's own keys: a user in the account of the first instance.
    fn user(&self) -> Identity {
        let inventory = self.service.state.inventory();
        let mut accounts = inventory.entries().map(|(_, entry)| entry.account());
        let first = accounts.find(|account| !account.is_empty());
        Identity {
            account: first.unwrap_or(DEFAULT_ACCOUNT).to_owned(),
            role: None,
        }
    }

    fn count(&mut self, action: &'static str) {
        *self.requests.entry(action).or_default() += 1;
    }

    fn handle_sts(
        &mut self,
        message: SignedRequest<'_>,
        now: OffsetDateTime,
        request_id: &str,
    ) -> Response {
        let form = sts::parse_form(message.body);
        let operation = sts::StsAction::from_form(&form);
        if let Some(operation) = operation {
            self.count(operation.into());
        }
        let caller = if operation.is_none_or(sts::StsAction::is_signed) {
            let sender = self.verify(message, "sts", now);
            sender.map(|(_, identity)| Some(identity))
        } else {
            Ok(None)
        };
        let result = caller.map_err(sts::signature_error).and_then(|caller| {
            if self.service.injector.has_expired(None) {
                return Err(ErrorResponse::expired("ExpiredToken", 403));
            }
            let accounts = self.service.state.inventory().accounts();
            let context = sts::StsContext {
                accounts: accounts.into_iter().collect(),
                sessions: &mut self.sessions,
                secret: &self.options.secret_key,
                now,
            };
            sts::handle(operation, &form, caller.as_ref(), context, request_id)
        });
        match result {
            Ok(body) => Response::xml(200, body),
            Err(error) => Response::xml(error.status, sts::error_body(&error, request_id)),
        }
    }

    /// Verifies the signature; returns its region and the identity of the sender.
    fn verify(
        &self,
        message: SignedRequest<'_>,
        service: &str,
        now: OffsetDateTime,
    ) -> Result<(String, Identity), SignatureError> {
        let key = signature::access_key(message.headers);
        let session = key.and_then(|key| self.sessions.find(key));
        let is_token_valid = match session {
            Some(session) => signature::token(message.headers) == Some(session.token.as_str()),
            // Permanent keys have no token.
            None => key.is_none() || !signature::has_token(message.headers),
        };
        if !is_token_valid {
            return Err(SignatureError::UnknownKey);
        }
        let options = &self.options;
        let (access_key, secret_key) = match session {
            Some(session) => (&session.access_key, &session.secret_key),
            None => (&options.access_key, &options.secret_key),
        };
        let credentials = Credentials {
            access_key,
            secret_key,
        };
        let region = signature::verify(message, credentials, service, now)?;
        match session {
            Some(session) if session.expires <= now => Err(SignatureError::Expired),
            Some(session) => Ok((region, session.identity.clone())),
            None => Ok((region, self.user())),
        }
    }
}

/// The error of Lightsail for an invalid signature.
fn signature_error(error: SignatureError) -> ErrorResponse {
    let (code, message) = match error {
        SignatureError::Missing => (
            "MissingAuthenticationTokenException",
            "Missing Authentication Token".to_owned(),
        ),
        SignatureError::Incomplete(message) => ("IncompleteSignatureException", message),
        SignatureError::UnknownKey => (
            "UnrecognizedClientException",
            "The security token included in the request is invalid.".to_owned(),
        ),
        SignatureError::Expired => return ErrorResponse::expired("ExpiredTokenException", 400),
        SignatureError::Invalid(message) => ("InvalidSignatureException", message),
    };
    ErrorResponse::common(code, 400, message)
}

#[cfg(test)]
mod tests;
