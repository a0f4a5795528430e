//! The error of a failed call.
//!
//! Owns the classification of failed calls: the kind, whether to retry, whether the call may have been carried out, and the hint. Does
//! not make calls.

use std::fmt;

use crate::model::Unreadable;

/// The kind of a failure. Callers branch on this, never on texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The instance or operation does not exist.
    NotFound,
    /// The request is not valid.
    InvalidInput,
    /// The service could not carry out the request, or not at this time.
    OperationFailure,
    /// The caller does not have the permission.
    AccessDenied,
    /// The credentials are missing or not valid.
    Unauthenticated,
    /// The account or the region is being set up.
    SetupInProgress,
    /// Too many requests.
    Throttled,
    /// The service failed.
    Service,
    /// There was no response in time. It is not known whether the request was carried out, unless
    /// [`Error::is_outcome_unknown`] says otherwise.
    Timeout,
    /// The connection could not be made or was lost. It is not known whether the request was carried out, unless
    /// [`Error::is_outcome_unknown`] says otherwise.
    Connection,
    /// The response cannot be parsed.
    InvalidResponse,
    /// An unknown error code.
    Other,
}

impl ErrorKind {
    /// The kind for an error code of the service; `None` for an unknown code.
    ///
    /// Knows the eight modelled exceptions and the common errors of AWS. Their lists differ in whether a name ends in `Exception`, so
    /// this suffix is ignored.
    pub fn from_code(code: &str) -> Option<Self> {
        Some(match code.strip_suffix("Exception").unwrap_or(code) {
            "NotFound" => Self::NotFound,
            "InvalidInput"
            | "Validation"
            | "ValidationError"
            | "Serialization"
            | "MissingParameter"
            | "InvalidParameterValue"
            | "InvalidParameterCombination"
            | "InvalidAction"
            | "UnknownOperation" => Self::InvalidInput,
            "OperationFailure" => Self::OperationFailure,
            "AccessDenied" | "UnauthorizedOperation" | "NotAuthorized" | "OptInRequired" => {
                Self::AccessDenied
            }
            "Unauthenticated"
            | "InvalidSignature"
            | "SignatureDoesNotMatch"
            | "UnrecognizedClient"
            | "InvalidClientTokenId"
            | "InvalidAccessKeyId"
            | "IncompleteSignature"
            | "MissingAuthenticationToken"
            | "ExpiredToken"
            | "RequestExpired"
            | "RequestTimeTooSkewed"
            | "AuthFailure" => Self::Unauthenticated,
            "AccountSetupInProgress" | "RegionSetupInProgress" => Self::SetupInProgress,
            "Throttling"
            | "ThrottledRequest"
            | "RequestThrottled"
            | "RequestLimitExceeded"
            | "TooManyRequests"
            | "SlowDown"
            | "LimitExceeded"
            | "BandwidthLimitExceeded"
            | "EC2Throttled"
            | "PriorRequestNotComplete" => Self::Throttled,
            "Service"
            | "ServiceUnavailable"
            | "InternalFailure"
            | "InternalError"
            | "InternalServer"
            | "InternalServerError" => Self::Service,
            _ => return None,
        })
    }
}

/// A failed call.
///
/// Displays as a fragment: action and target, then code, message and request ID, if there are any.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Fields>);

/// Boxed, so that every `Result` is small.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fields {
    kind: ErrorKind,
    action: &'static str,
    target: String,
    code: Option<String>,
    message: String,
    request_id: Option<String>,
    outcome_unknown: bool,
    hint: Option<String>,
}

impl Error {
    /// A failure of `action` on `target`, which is a region or `region/name`.
    ///
    /// The kind decides whether the outcome is unknown: it is for timeouts, lost connections, failures of the service and responses that
    /// cannot be parsed.
    pub fn new(
        kind: ErrorKind,
        action: &'static str,
        target: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self(Box::new(Fields {
            kind,
            action,
            target: target.into(),
            code: None,
            message: message.into(),
            request_id: None,
            outcome_unknown: matches!(
                kind,
                ErrorKind::Timeout
                    | ErrorKind::Connection
                    | ErrorKind::Service
                    | ErrorKind::InvalidResponse
            ),
            hint: None,
        }))
    }

    /// The error in a response of the service.
    ///
    /// `codes` are the codes in the response, the most reliable first. They may differ: the first known one decides, or, if none is
    /// known, the status. `message` is the text of the service.
    pub(super) fn from_response(
        action: &'static str,
        target: &str,
        status: u16,
        codes: &[String],
        message: Option<&str>,
        request_id: Option<&str>,
    ) -> Self {
        let known = codes
            .iter()
            .find_map(|code| ErrorKind::from_code(code).map(|kind| (kind, code)));
        let (kind, code) = match (known, codes.first()) {
            (Some((kind, code)), _) => (kind, Some(code)),
            (None, code) if status == 429 => (ErrorKind::Throttled, code),
            (None, code) if status >= 500 => (ErrorKind::Service, code),
            (None, Some(code)) => (ErrorKind::Other, Some(code)),
            (None, None) => (ErrorKind::InvalidResponse, None),
        };
        let message = match (message.map(str::trim), code) {
            (Some(message), _) if !message.is_empty() => message.to_owned(),
            (_, Some(_)) => format!("HTTP {status} without a message"),
            (_, None) => {
                format!("HTTP {status} with no error code, which is not how Lightsail answers")
            }
        };
        let mut error = Self::new(kind, action, target, message);
        error.0.code = code.cloned();
        error.0.request_id = request_id.map(str::to_owned);
        // A refusal with a status below 500 is definite, and so is throttling.
        error.0.outcome_unknown = status >= 500 && kind != ErrorKind::Throttled;
        error
    }

    /// Sets the code of the service.
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Sets the result of [`Self::is_outcome_unknown`].
    pub fn with_outcome_unknown(mut self, outcome_unknown: bool) -> Self {
        self.0.outcome_unknown = outcome_unknown;
        self
    }

    /// Replaces the hint of the kind.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The API action that failed.
    pub fn action(&self) -> &'static str {
        self.0.action
    }

    /// The target: a region or `region/name`.
    pub fn target(&self) -> &str {
        &self.0.target
    }

    /// The service's error code, if it returned one.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The message, from the service or from this program.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The service's request ID, if it returned one.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Whether the same request may succeed a little later. Does not say whether a write may be repeated.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::Throttled | ErrorKind::Service | ErrorKind::Timeout | ErrorKind::Connection
        )
    }

    /// Whether the request may have been carried out, so that only a read can tell.
    pub fn is_outcome_unknown(&self) -> bool {
        self.0.outcome_unknown
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        if let Some(hint) = &self.0.hint {
            return Some(hint.clone());
        }
        let code = self
            .code()
            .map(|code| code.strip_suffix("Exception").unwrap_or(code));
        let hint = match (self.0.kind, code) {
            (ErrorKind::AccessDenied, Some("OptInRequired")) => {
                "the account is not signed up for Lightsail, or has not enabled this region"
            }
            (ErrorKind::AccessDenied, _) => {
                let action = self.0.action;
                let service = if action == "GetCallerIdentity" {
                    "sts"
                } else {
                    "lightsail"
                };
                return Some(if action.starts_with("Get") {
                    format!(
                        "allow `{service}:{action}` in the caller's IAM policy; read actions know no single resources, so \
                         the statement needs `Resource: \"*\"`"
                    )
                } else {
                    format!(
                        "allow `lightsail:{action}` on this instance in the caller's IAM policy; beside it the read actions \
                         need a statement with `Resource: \"*\"`"
                    )
                });
            }
            (
                ErrorKind::Unauthenticated,
                Some("InvalidSignature" | "SignatureDoesNotMatch" | "IncompleteSignature"),
            ) => {
                "check the secret access key, and this machine's clock: it may be off by five minutes at most"
            }
            (ErrorKind::Unauthenticated, Some("RequestExpired" | "RequestTimeTooSkewed")) => {
                "check this machine's clock: it may be off by five minutes at most"
            }
            (
                ErrorKind::Unauthenticated,
                Some("UnrecognizedClient" | "InvalidClientTokenId" | "InvalidAccessKeyId"),
            ) => {
                "this access key does not exist here: check the key id, that the key is active, that a temporary key comes \
                 with its session token, and that the region is enabled for the account"
            }
            (ErrorKind::Unauthenticated, Some("ExpiredToken")) => {
                "the temporary credentials have run out: get new ones (`aws sso login`, or assume the role again)"
            }
            (ErrorKind::Unauthenticated, _) => {
                "check the credentials that the environment or the profile gives"
            }
            (ErrorKind::NotFound, _) if !self.0.action.contains("Operation") => {
                "names are looked up in one region: check the name and the region"
            }
            (ErrorKind::SetupInProgress, Some("RegionSetupInProgress")) => {
                "the region is being enabled: try again in some minutes"
            }
            (ErrorKind::SetupInProgress, _) => {
                "the account is being set up for Lightsail: try again later"
            }
            (ErrorKind::Throttled, _) => {
                "the account makes too many requests in this region: other tools and the console count too; lower \
                 `--concurrency`, or try again later"
            }
            (ErrorKind::Service, _) => "the service has trouble: try again later",
            (ErrorKind::Timeout | ErrorKind::Connection, _) => {
                "check the network, a proxy, and the endpoint and region names"
            }
            (ErrorKind::InvalidResponse, _) => {
                "check that the endpoint is Lightsail's own, and that no proxy answers in its place"
            }
            (
                ErrorKind::NotFound
                | ErrorKind::InvalidInput
                | ErrorKind::OperationFailure
                | ErrorKind::Other,
                _,
            ) => {
                return None;
            }
        };
        Some(hint.to_owned())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` for `{}` failed: ", self.0.action, self.0.target)?;
        if let Some(code) = &self.0.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(self.0.message.trim_end_matches('.'))?;
        match &self.0.request_id {
            Some(id) => write!(f, " (request id {id})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {}

impl From<&Error> for Unreadable {
    fn from(error: &Error) -> Self {
        Self::new(error.to_string()).with_hint(error.hint())
    }
}
