//! Conversion of the errors of the SDK.
//!
//! Owns the parsing of error responses and the classification of failed connections and credentials. Does not classify error codes;
//! `Error` does.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_lightsail::config::http::HttpResponse;
use aws_sdk_lightsail::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lightsail::operation::RequestId;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use hyper_util::client::legacy::Error as HyperError;
use serde_json::Value;

use super::super::{Error, ErrorKind};
use super::call::ApiCall;
use super::limits::LimitError;
use super::profiles;

/// The maximum length of a message in characters. Messages of the service are one or two sentences.
const MAX_MESSAGE: usize = 1_000;

/// The maximum length of a code or a request ID in characters. The longest code has 40, a request ID has 36.
const MAX_NAME: usize = 100;

/// The hint if there are no credentials. The log has the error of every source.
const CREDENTIALS_HINT: &str = "name a profile with `--profile`, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; \
                     `portward doctor` looks at each source";

pub(super) fn convert<E>(call: &ApiCall<'_>, error: &SdkError<E, HttpResponse>) -> Error
where
    E: StdError + ProvideErrorMetadata + 'static,
{
    match error {
        SdkError::ServiceError(service) => {
            let metadata = (service.err().code(), service.err().message());
            error_response(call, service.raw(), metadata, error.request_id())
        }
        // The SDK found no error code, but the status is an error.
        SdkError::ResponseError(response) if response.raw().status().as_u16() >= 400 => {
            error_response(call, response.raw(), (None, None), error.request_id())
        }
        SdkError::ResponseError(_) => {
            let message = format!("the response cannot be read: {}", causes(error));
            call.error(ErrorKind::InvalidResponse, message)
        }
        SdkError::TimeoutError(_) => call.error(ErrorKind::Timeout, "no response in time"),
        _ => transport_error(call, error),
    }
}

/// A request that may not have been sent, or whose response was not read completely.
fn transport_error<E>(call: &ApiCall<'_>, error: &SdkError<E, HttpResponse>) -> Error
where
    E: StdError + 'static,
{
    if let Some(cause) = find_cause::<CredentialsError>(error) {
        return no_credentials(call, Some(cause));
    }
    let causes = causes(error);
    // The error of the identity cache has no public type.
    if causes.contains("identity resolver timed out") {
        let message = "no usable credentials: looking for them took too long";
        return call
            .error(ErrorKind::Unauthenticated, message)
            .with_hint(CREDENTIALS_HINT);
    }
    if let Some(limit) = find_cause::<LimitError>(error) {
        return call.error(ErrorKind::InvalidResponse, limit.to_string());
    }
    let SdkError::DispatchFailure(dispatch) = error else {
        return call.error(
            ErrorKind::InvalidInput,
            format!("cannot be asked: {causes}"),
        );
    };
    let is_connecting = find_cause::<HyperError>(error).is_some_and(HyperError::is_connect);
    let (kind, message) = match (is_connecting, dispatch.is_timeout()) {
        (true, true) => (ErrorKind::Timeout, "no connection in time".to_owned()),
        (true, false) => (ErrorKind::Connection, format!("no connection: {causes}")),
        (false, true) => (ErrorKind::Timeout, "no response in time".to_owned()),
        (false, false) => (ErrorKind::Connection, format!("connection lost: {causes}")),
    };
    let is_untrusted = message.contains("invalid peer certificate");
    let error = call
        .error(kind, message)
        .with_outcome_unknown(!is_connecting && !dispatch.is_user());
    if is_untrusted {
        return error.with_hint(
            "the endpoint's certificate is not trusted here: install the system's root certificates \
             (`ca-certificates`), or name a bundle in SSL_CERT_FILE",
        );
    }
    error
}

/// There are no usable credentials, for this cause.
pub(super) fn no_credentials(call: &ApiCall<'_>, cause: Option<&CredentialsError>) -> Error {
    let unauthenticated = |message: String| call.error(ErrorKind::Unauthenticated, message);
    let Some(cause) = cause else {
        let message = "no usable credentials: nothing offers any".to_owned();
        return unauthenticated(message).with_hint(CREDENTIALS_HINT);
    };
    if let Some(error) = find_cause::<SdkError<AssumeRoleError, HttpResponse>>(cause) {
        return role_error(call, error);
    }
    // The message has a line for every source of the chain, each with "was not enabled".
    let text = causes(cause).replace("the credential provider was not enabled: ", "");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let text = lines.join("; ").replace(":; ", ": ");
    tracing::info!("credentials: {text}");
    // The errors of the attempted sources are only in the log.
    let text = text
        .split_once(" Attempted: ")
        .map_or(text.as_str(), |(summary, _)| summary);
    if let Some(profile) = undefined_profile(text) {
        let message = format!("no usable credentials: there is no profile `{profile}`");
        return unauthenticated(message).with_hint(profiles_hint(&profiles::names()));
    }
    let message = match text.trim_end_matches('.') {
        "the credential provider was not enabled" => {
            let message = "no usable credentials: no shared file has this profile".to_owned();
            return unauthenticated(message).with_hint(profiles_hint(&profiles::names()));
        }
        "no credentials found in chain" => "no usable credentials were found".to_owned(),
        // The metadata service is the last source of the chain.
        text if text.contains("IMDS") => "no usable credentials were found".to_owned(),
        text => format!("no usable credentials: {text}"),
    };
    unauthenticated(message).with_hint(CREDENTIALS_HINT)
}

/// The profile that the SDK did not find.
fn undefined_profile(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("profile `")?;
    let (profile, rest) = rest.split_once('`')?;
    rest.starts_with(" was not defined").then_some(profile)
}

fn profiles_hint(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let existing = match names.len() {
        0 => "the shared files have no profile".to_owned(),
        1 => format!("the shared files have the profile {}", names[0]),
        _ => format!("the shared files have the profiles {}", names.join(", ")),
    };
    format!("{existing}; without a profile, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
}

/// A role cannot be assumed: STS refused it, or could not be called.
fn role_error(call: &ApiCall<'_>, error: &SdkError<AssumeRoleError, HttpResponse>) -> Error {
    // The call of Lightsail was not sent.
    let call = ApiCall::new("AssumeRole", call.region, call.target.as_str());
    let error = convert(&call, error).with_outcome_unknown(false);
    match error.kind() {
        ErrorKind::AccessDenied => error.with_hint(
            "the trust policy of the role must name the caller, and the caller's own policy must allow `sts:AssumeRole` on it",
        ),
        _ => error,
    }
}

/// Converts an error response. Its body may have two codes, `code` and `__type`, each perhaps with a namespace before a `#` and a URL
/// after a `:`. The code that the SDK chose comes first.
fn error_response(
    call: &ApiCall<'_>,
    raw: &HttpResponse,
    (code, message): (Option<&str>, Option<&str>),
    request_id: Option<&str>,
) -> Error {
    let body = raw.body().bytes();
    let body: Option<Value> = body.and_then(|body| serde_json::from_slice(body).ok());
    let member = |name: &str| body.as_ref()?.get(name)?.as_str();
    let found = [code, member("code"), member("__type")];
    let mut codes: Vec<String> = Vec::new();
    for code in found.into_iter().flatten() {
        let code = code.split(':').next().unwrap_or_default();
        let code = code.rsplit('#').next().unwrap_or_default().trim();
        if !code.is_empty() && !codes.iter().any(|known| known == code) {
            codes.push(truncate(code, MAX_NAME));
        }
    }
    let message = message
        .or_else(|| member("message"))
        .or_else(|| member("Message"));
    // After the first line of the error for an invalid signature, AWS shows the expected request with the session token.
    let message = message.map(|text| text.trim().lines().next().unwrap_or_default());
    let message = message.map(|text| truncate(text, MAX_MESSAGE));
    let request_id = request_id.map(|text| truncate(text, MAX_NAME));
    Error::from_response(
        call.action,
        &call.target,
        raw.status().as_u16(),
        &codes,
        message.as_deref(),
        request_id.as_deref(),
    )
}

/// The messages of the causes, outermost first, without the one of the SDK itself and without repetitions.
fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        next = cause.source();
    }
    if texts.is_empty() {
        error.to_string()
    } else {
        texts.join(": ")
    }
}

/// The beginning of a text, with an ellipsis if the rest was cut off.
fn truncate(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn find_cause<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<T>() {
            return Some(found);
        }
        next = cause.source();
    }
    None
}

#[cfg(test)]
mod tests;
