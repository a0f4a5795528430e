//! From the SDK's errors to ours.
//!
//! Owns the reading of a failed reply and of a failed connection. Does not judge codes, which `Error` does.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_lightsail::config::http::HttpResponse;
use aws_sdk_lightsail::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lightsail::operation::RequestId;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use hyper_util::client::legacy::Error as HyperError;

use super::super::{Error, Kind};
use super::limits::Exceeded;
use super::profiles;

/// No more characters of a message are shown. Those of the service are a sentence or two.
const MESSAGE: usize = 1_000;

/// No more characters of a code or a request id are shown. The longest code is 40, a request id is 36.
const NAME: usize = 100;

/// What to do without credentials. The whole chain is in the log.
const CHAIN: &str = "name a profile with `--profile`, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; \
                     `portward doctor` looks at each source";

/// How a role's credentials are had.
const ASSUME: &str = "AssumeRole";

/// Any error of a call of the SDK.
pub(super) fn read<E>(
    action: &'static str,
    target: &str,
    error: &SdkError<E, HttpResponse>,
) -> Error
where
    E: StdError + ProvideErrorMetadata + 'static,
{
    match error {
        SdkError::ServiceError(service) => {
            let (code, message) = (service.err().code(), service.err().message());
            refusal(
                action,
                target,
                service.raw(),
                code,
                message,
                error.request_id(),
            )
        }
        // The SDK finds no code in it, but the status alone says that it is no success.
        SdkError::ResponseError(response) if response.raw().status().as_u16() >= 400 => refusal(
            action,
            target,
            response.raw(),
            None,
            None,
            error.request_id(),
        ),
        SdkError::ResponseError(_) => {
            let message = format!("the answer cannot be read: {}", chain(error));
            Error::new(Kind::BadReply, action, target, message)
        }
        SdkError::TimeoutError(_) => Error::new(Kind::Timeout, action, target, "no answer in time"),
        _ => unsent(action, target, error),
    }
}

/// A request that may never have left, or whose reply was not read to its end.
fn unsent<E>(action: &'static str, target: &str, error: &SdkError<E, HttpResponse>) -> Error
where
    E: StdError + 'static,
{
    if let Some(cause) = find::<CredentialsError>(error) {
        return no_credentials(action, target, Some(cause));
    }
    // The cache that shares the lookup gives up with an error of its own, which has no public type.
    if chain(error).contains("identity resolver timed out") {
        let message = "no usable credentials: looking for them took too long";
        return Error::new(Kind::Unauthenticated, action, target, message).with_hint(CHAIN);
    }
    if let Some(limit) = find::<Exceeded>(error) {
        return Error::new(Kind::BadReply, action, target, limit.to_string());
    }
    let SdkError::DispatchFailure(dispatch) = error else {
        return Error::new(
            Kind::InvalidInput,
            action,
            target,
            format!("cannot be asked: {}", chain(error)),
        );
    };
    let connecting = find::<HyperError>(error).is_some_and(HyperError::is_connect);
    let (kind, message) = match (connecting, dispatch.is_timeout()) {
        (true, true) => (Kind::Timeout, "no connection in time".to_owned()),
        (true, false) => (Kind::Connection, format!("no connection: {}", chain(error))),
        (false, true) => (Kind::Timeout, "no answer in time".to_owned()),
        (false, false) => (
            Kind::Connection,
            format!("connection lost: {}", chain(error)),
        ),
    };
    let untrusted = message.contains("invalid peer certificate");
    let error = Error::new(kind, action, target, message)
        .with_outcome_unknown(!connecting && !dispatch.is_user());
    if untrusted {
        return error.with_hint(
            "the endpoint's certificate is not trusted here: install the system's root certificates \
             (`ca-certificates`), or name a bundle in SSL_CERT_FILE",
        );
    }
    error
}

/// Nothing to sign with, and why.
pub(super) fn no_credentials(
    action: &'static str,
    target: &str,
    cause: Option<&CredentialsError>,
) -> Error {
    let Some(cause) = cause else {
        let message = "no usable credentials: nothing offers any";
        return Error::new(Kind::Unauthenticated, action, target, message).with_hint(CHAIN);
    };
    if let Some(error) = find::<SdkError<AssumeRoleError, HttpResponse>>(cause) {
        return role_refused(target, error);
    }
    // The chain tells of every source on a line of its own, and of each that it "was not enabled".
    let text = chain(cause).replace("the credential provider was not enabled: ", "");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let text = lines.join("; ").replace(":; ", ": ");
    tracing::info!("credentials: {text}");
    // Every source of the chain was tried, and each has its own reason.
    let text = text
        .split_once(" Attempted: ")
        .map_or(text.as_str(), |(what, _)| what);
    if let Some(profile) = undefined_profile(text) {
        let message = format!("no usable credentials: there is no profile `{profile}`");
        let error = Error::new(Kind::Unauthenticated, action, target, message);
        return error.with_hint(profiles_hint(&profiles::names()));
    }
    let message = match text.trim_end_matches('.') {
        "the credential provider was not enabled" => {
            let message = "no usable credentials: no shared file has this profile";
            let error = Error::new(Kind::Unauthenticated, action, target, message);
            return error.with_hint(profiles_hint(&profiles::names()));
        }
        "no credentials found in chain" => "no usable credentials were found".to_owned(),
        // The metadata service is the last source. A machine without it has no credentials anywhere.
        text if text.contains("IMDS") => "no usable credentials were found".to_owned(),
        text => format!("no usable credentials: {text}"),
    };
    Error::new(Kind::Unauthenticated, action, target, message).with_hint(CHAIN)
}

/// The profile that the SDK looked for in vain.
fn undefined_profile(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("profile `")?;
    let (profile, rest) = rest.split_once('`')?;
    rest.starts_with(" was not defined").then_some(profile)
}

fn profiles_hint(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let there = match names.len() {
        0 => "the shared files have no profile".to_owned(),
        1 => format!("the shared files have the profile {}", names[0]),
        _ => format!("the shared files have the profiles {}", names.join(", ")),
    };
    format!("{there}; without a profile, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
}

/// A role that is not to be had: by the word of STS, or because STS could not be asked.
fn role_refused(target: &str, error: &SdkError<AssumeRoleError, HttpResponse>) -> Error {
    let cause = read(ASSUME, target, error);
    // What was asked of Lightsail was never sent.
    let cause = cause.with_outcome_unknown(false);
    match cause.kind() {
        Kind::AccessDenied => cause.with_hint(
            "the trust policy of the role must name the caller, and the caller's own policy must allow `sts:AssumeRole` on it",
        ),
        _ => cause,
    }
}

/// An answer that is an error. Its body may name two codes, `code` and `__type`, which may carry a namespace before a `#`
/// and a link after a `:`; the SDK's choice comes first.
fn refusal(
    action: &'static str,
    target: &str,
    raw: &HttpResponse,
    code: Option<&str>,
    message: Option<&str>,
    request_id: Option<&str>,
) -> Error {
    let body = raw
        .body()
        .bytes()
        .and_then(|body| serde_json::from_slice::<serde_json::Value>(body).ok());
    let member = |name: &str| {
        body.as_ref()
            .and_then(|body| body.get(name))
            .and_then(|text| text.as_str())
    };
    let mut codes: Vec<String> = Vec::new();
    for code in [code, member("code"), member("__type")]
        .into_iter()
        .flatten()
    {
        let code = code.split(':').next().unwrap_or_default();
        let code = code.rsplit('#').next().unwrap_or_default().trim();
        if !code.is_empty() && !codes.iter().any(|known| known == code) {
            codes.push(brief(code, NAME));
        }
    }
    let message = message
        .or_else(|| member("message"))
        .or_else(|| member("Message"));
    // After the first line of a refused signature AWS shows the request that it expected, session token included.
    let message = message.map(|text| text.trim().lines().next().unwrap_or_default());
    let message = message.map(|text| brief(text, MESSAGE));
    let request_id = request_id.map(|text| brief(text, NAME));
    Error::from_reply(
        action,
        target,
        raw.status().as_u16(),
        &codes,
        message.as_deref(),
        request_id.as_deref(),
    )
}

/// The causes from the outside in, without the SDK's own wrapping, which says nothing to people, and without repetition.
fn chain(error: &(dyn StdError + 'static)) -> String {
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

/// The beginning of a text, with an ellipsis where something is left out.
fn brief(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<T>() {
            return Some(found);
        }
        next = cause.source();
    }
    None
}
