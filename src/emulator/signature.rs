//! Verification of AWS Signature Version 4.
//!
//! Owns the parser of the `Authorization` header, and the verification: the message is signed again and the signatures are compared. The
//! time is passed in. Does not know actions.

use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use hyper::HeaderMap;
use sha2::{Digest, Sha256};
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

/// The maximum clock skew of a client (API reference, "Common Errors").
const MAX_SKEW: Duration = Duration::minutes(5);

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

const TOKEN_HEADER: &str = "x-amz-security-token";

/// The signed parts of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignedRequest<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// Without the question mark.
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// The credentials that a message must be signed with.
#[derive(Clone, Copy)]
pub(super) struct Credentials<'a> {
    pub(super) access_key: &'a str,
    pub(super) secret_key: &'a str,
}

/// A request has no valid signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SignatureError {
    /// It is not signed.
    Missing,
    /// The signature cannot be parsed.
    Incomplete(String),
    /// The access key does not exist.
    UnknownKey,
    /// The temporary credentials have expired.
    Expired,
    /// The signature is wrong, or for another scope or time.
    Invalid(String),
}

/// Verifies that the message was signed for the service with these credentials at this time; returns its region.
pub(super) fn verify(
    message: SignedRequest<'_>,
    credentials: Credentials<'_>,
    service: &str,
    now: OffsetDateTime,
) -> Result<String, SignatureError> {
    let authorization = Authorization::parse(message.headers)?;
    let signed_at = signed_at(message.headers)?;
    let scope = Credential::parse(authorization.credential)?;
    if scope.access_key != credentials.access_key {
        return Err(SignatureError::UnknownKey);
    }
    let timestamp = single_header(message.headers, "x-amz-date").unwrap_or_default();
    if !timestamp.starts_with(scope.date) || scope.date.len() != 8 {
        return Err(invalid("Credential should be scoped to a valid date."));
    }
    if scope.terminator != "aws4_request" {
        return Err(invalid(
            "Credential should be scoped with a valid terminator: 'aws4_request'.",
        ));
    }
    if scope.service != service {
        return Err(invalid(format!(
            "Credential should be scoped to correct service: '{service}'."
        )));
    }
    let skew = now - signed_at;
    if skew > MAX_SKEW {
        return Err(invalid(format!(
            "Signature expired: {timestamp} is more than 5 minutes ago."
        )));
    }
    if skew < -MAX_SKEW {
        return Err(invalid(format!(
            "Signature not yet current: {timestamp} is more than 5 minutes ahead."
        )));
    }
    let names: Vec<&str> = authorization.signed_headers.split(';').collect();
    check_signed_headers(message.headers, &names)?;

    let expected = sign_again(message, credentials, &scope, signed_at, &names);
    // Digests are compared, so that the time does not depend on how similar the signatures are.
    let digest = |signature: &str| Sha256::digest(signature);
    if expected.is_none_or(|expected| digest(&expected) != digest(authorization.signature)) {
        return Err(invalid(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
             Key and signing method. Consult the service documentation for details.",
        ));
    }
    Ok(scope.region.to_owned())
}

/// The access key of a message, if it can be parsed.
pub(super) fn access_key(headers: &HeaderMap) -> Option<&str> {
    let authorization = Authorization::parse(headers).ok()?;
    let credential = Credential::parse(authorization.credential).ok()?;
    Some(credential.access_key)
}

/// The session token of a message.
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    single_header(headers, TOKEN_HEADER)
}

/// Whether a message has a session token, valid or not.
pub(super) fn has_token(headers: &HeaderMap) -> bool {
    headers.contains_key(TOKEN_HEADER)
}

fn invalid(text: impl Into<String>) -> SignatureError {
    SignatureError::Invalid(text.into())
}

fn incomplete(text: impl Into<String>) -> SignatureError {
    SignatureError::Incomplete(text.into())
}

/// The parts of the `Authorization` header.
struct Authorization<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn parse(headers: &'a HeaderMap) -> Result<Self, SignatureError> {
        if !headers.contains_key("authorization") {
            return Err(SignatureError::Missing);
        }
        let text = single_header(headers, "authorization")
            .ok_or_else(|| incomplete("Authorization header cannot be read."))?;
        let parts = text
            .strip_prefix(ALGORITHM)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or_else(|| incomplete("Authorization header requires 'AWS4-HMAC-SHA256'."))?;
        let parameter = |name: &str| {
            let mut values = parts
                .split(',')
                .filter_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
            match (values.next(), values.next()) {
                (Some(value), None) if !value.is_empty() => Ok(value),
                _ => Err(incomplete(format!(
                    "Authorization header requires '{name}' parameter."
                ))),
            }
        };
        Ok(Self {
            credential: parameter("Credential")?,
            signed_headers: parameter("SignedHeaders")?,
            signature: parameter("Signature")?,
        })
    }
}

/// The access key and the scope of a signature.
struct Credential<'a> {
    access_key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    terminator: &'a str,
}

impl<'a> Credential<'a> {
    fn parse(credential: &'a str) -> Result<Self, SignatureError> {
        // An access key may contain slashes; the scope after it does not.
        let parts: Vec<&str> = credential.rsplitn(5, '/').collect();
        match parts[..] {
            [terminator, service, region, date, access_key]
                if parts.iter().all(|part| !part.is_empty()) =>
            {
                Ok(Self {
                    access_key,
                    date,
                    region,
                    service,
                    terminator,
                })
            }
            _ => Err(incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.",
            )),
        }
    }
}

/// The text of a header that occurs exactly once.
fn single_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// `X-Amz-Date`, such as `20150830T123600Z`.
fn signed_at(headers: &HeaderMap) -> Result<OffsetDateTime, SignatureError> {
    let text = single_header(headers, "x-amz-date").ok_or_else(|| {
        incomplete("Authorization header requires existence of an 'X-Amz-Date' header.")
    })?;
    parse_time(text).ok_or_else(|| incomplete("Date must be in ISO-8601 'basic format'."))
}

fn parse_time(text: &str) -> Option<OffsetDateTime> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    // A year may not have a sign.
    let time = PrimitiveDateTime::parse(text, format).ok()?;
    (text.len() == 16).then(|| time.assume_utc())
}

/// Checks that the signature covers the host, the time, the action, the token and the digest.
fn check_signed_headers(headers: &HeaderMap, names: &[&str]) -> Result<(), SignatureError> {
    for name in [
        "host",
        "x-amz-date",
        "x-amz-target",
        TOKEN_HEADER,
        "x-amz-content-sha256",
    ] {
        let is_required = name == "host" || headers.contains_key(name);
        if is_required && !names.contains(&name) {
            return Err(invalid(format!(
                "'{name}' must be a signed header in the AWS Authorization."
            )));
        }
    }
    Ok(())
}

/// The signature of the message with these credentials; `None` if it cannot be signed.
fn sign_again(
    message: SignedRequest<'_>,
    credentials: Credentials<'_>,
    scope: &Credential<'_>,
    at: OffsetDateTime,
    names: &[&str],
) -> Option<String> {
    let Credentials {
        access_key,
        secret_key,
    } = credentials;
    let signer =
        aws_credential_types::Credentials::new(access_key, secret_key, None, None, "emulator");
    let mut settings = SigningSettings::default();
    // Paths are not normalized, and all headers that the client signed are included.
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.excluded_headers = None;
    let identity = signer.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(scope.region)
        .name(scope.service)
        .time(at.into())
        .settings(settings)
        .build()
        .ok()?
        .into();
    let mut signed = Vec::with_capacity(names.len());
    for name in names {
        let previous = signed.len();
        for value in message.headers.get_all(*name) {
            signed.push((*name, str::from_utf8(value.as_bytes()).ok()?));
        }
        if signed.len() == previous {
            return None;
        }
    }
    let signed = signed.into_iter();
    let uri = format!("{}?{}", message.path, message.query);
    let body = SignableBody::Bytes(message.body);
    let request = SignableRequest::new(message.method, uri, signed, body).ok()?;
    Some(sign(request, &params).ok()?.into_parts().1)
}

#[cfg(test)]
pub(super) mod tests;
