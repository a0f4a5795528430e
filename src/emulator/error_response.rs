//! Error responses of the service: code, status and body.
//!
//! Owns the codes and the texts that several operations share. Does not decide when an error occurs.

use serde_json::{Value, json};

use super::quirks::{ErrorCode, ErrorType, Quirks, RefusalCode};

/// A result whose error is the response.
pub(super) type Result<T, E = ErrorResponse> = std::result::Result<T, E>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ErrorResponse {
    pub(super) code: &'static str,
    /// The HTTP status.
    pub(super) status: u16,
    pub(super) message: String,
    /// The tip of the service. Only the exceptions of the service model have one, not the common errors of AWS.
    tip: Option<&'static str>,
}

impl ErrorResponse {
    /// An exception of the service model.
    fn modeled(code: &'static str, message: impl Into<String>, tip: &'static str) -> Self {
        Self {
            code,
            status: 400,
            message: message.into(),
            tip: Some(tip),
        }
    }

    /// A common error of AWS.
    pub(super) fn common(code: &'static str, status: u16, message: impl Into<String>) -> Self {
        Self {
            code,
            status,
            message: message.into(),
            tip: None,
        }
    }

    pub(super) fn invalid_input(message: impl Into<String>) -> Self {
        Self::modeled(
            "InvalidInputException",
            message,
            "Check the input and try again.",
        )
    }

    /// A required member is missing.
    pub(super) fn missing(name: &str) -> Self {
        Self::invalid_input(format!(
            "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"
        ))
    }

    pub(super) fn not_found(kind: &str, name: &str) -> Self {
        Self::modeled(
            "NotFoundException",
            format!("The {kind} does not exist: {name}"),
            "Check the name and the Region, and try again.",
        )
    }

    pub(super) fn access_denied(message: impl Into<String>) -> Self {
        Self::modeled(
            "AccessDeniedException",
            message,
            "Use an identity that is allowed to do this.",
        )
    }

    pub(super) fn service(message: impl Into<String>) -> Self {
        Self {
            status: 500,
            ..Self::modeled("ServiceException", message, "Try again later.")
        }
    }

    pub(super) fn serialization(message: impl Into<String>) -> Self {
        Self::common("SerializationException", 400, message)
    }

    pub(super) fn unknown_operation() -> Self {
        Self::common(
            "UnknownOperationException",
            400,
            "The requested operation is not recognized by the service.",
        )
    }

    /// A refusal whose code is not documented.
    pub(super) fn refusal(code: RefusalCode, message: impl Into<String>) -> Self {
        match code {
            RefusalCode::InvalidInput => Self::invalid_input(message),
            RefusalCode::OperationFailure => Self::modeled(
                "OperationFailureException",
                message,
                "Wait until the resource has settled, and try again.",
            ),
        }
    }

    pub(super) fn throttled(status: u16) -> Self {
        Self::common(
            "ThrottlingException",
            status,
            "The maximum rate of API requests of this account was exceeded. Make requests less often.",
        )
    }

    pub(super) fn expired(code: &'static str, status: u16) -> Self {
        Self::common(
            code,
            status,
            "The security token included in the request is expired",
        )
    }

    /// The code as it is in `__type` and in the header.
    pub(super) fn type_name(&self, quirk: ErrorType) -> String {
        let code = self.code;
        match quirk {
            ErrorType::Bare => code.to_owned(),
            ErrorType::Prefixed => format!("com.amazonaws.lightsail#{code}"),
            ErrorType::Suffixed => format!("{code}:http://lightsail.amazonaws.com/doc/2016-11-28/"),
        }
    }

    /// The body in AWS JSON. By default `__type` has no namespace and equals `code`, because clients differ in which they read first.
    pub(super) fn body(&self, quirks: &Quirks) -> Value {
        let name = self.type_name(quirks.error_type);
        let Some(tip) = self.tip else {
            return json!({"__type": name, "message": self.message});
        };
        let mut body = json!({
            "__type": name,
            "code": self.code,
            "message": self.message,
            "docs": "https://docs.aws.amazon.com/lightsail/2016-11-28/api-reference/",
            "tip": tip,
        });
        match quirks.error_code {
            ErrorCode::Same => {}
            ErrorCode::Null => body["code"] = Value::Null,
            ErrorCode::Different => body["code"] = self.status.to_string().into(),
            ErrorCode::Absent => {
                if let Some(members) = body.as_object_mut() {
                    members.remove("code");
                }
            }
        }
        body
    }
}
