//! AWS Signature Version 4, as a verifier.
//!
//! Owns the reading of the `Authorization` header and the judgement: the message is signed again and the signatures are
//! compared. The time is passed in. Does not know operations, nor tell a caller how far a wrong signature was off.

use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use hyper::HeaderMap;
use sha2::{Digest, Sha256};
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

/// How far a client's clock may be off, in both directions (API reference, "Common Errors").
const SKEW: Duration = Duration::minutes(5);

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

const TOKEN: &str = "x-amz-security-token";

/// As much of a request as is signed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// Without the question mark.
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// The pair of credentials that a message must be signed with.
#[derive(Clone, Copy)]
pub(super) struct Credentials<'a> {
    pub(super) access_key: &'a str,
    pub(super) secret_key: &'a str,
}

/// Why a request is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SignatureError {
    /// It is not signed.
    Missing,
    /// Its signature cannot be read.
    Incomplete(String),
    /// Nobody has this access key.
    UnknownKey,
    /// The credentials are temporary, and their time is over.
    Expired,
    /// The signature is wrong, for something else, or for another time.
    Invalid(String),
}

/// Whether the message was signed for `service` with these credentials at about this time. Says for which region.
pub(super) fn verify(
    message: Message<'_>,
    credentials: Credentials<'_>,
    service: &str,
    now: OffsetDateTime,
) -> Result<String, SignatureError> {
    let authorization = Authorization::read(message.headers)?;
    let signed_at = signed_at(message.headers)?;
    let Scope {
        access_key,
        date,
        region,
        service: scoped,
        terminator,
    } = Scope::read(authorization.credential)?;
    if access_key != credentials.access_key {
        return Err(SignatureError::UnknownKey);
    }
    let stamp = one(message.headers, "x-amz-date").unwrap_or_default();
    if !stamp.starts_with(date) || date.len() != 8 {
        return Err(invalid("Credential should be scoped to a valid date."));
    }
    if terminator != "aws4_request" {
        return Err(invalid(
            "Credential should be scoped with a valid terminator: 'aws4_request'.",
        ));
    }
    if scoped != service {
        return Err(SignatureError::Invalid(format!(
            "Credential should be scoped to correct service: '{service}'."
        )));
    }
    let off = now - signed_at;
    if off > SKEW {
        return Err(SignatureError::Invalid(format!(
            "Signature expired: {stamp} is more than 5 minutes ago."
        )));
    }
    if off < -SKEW {
        return Err(SignatureError::Invalid(format!(
            "Signature not yet current: {stamp} is more than 5 minutes ahead."
        )));
    }
    let names: Vec<&str> = authorization.signed_headers.split(';').collect();
    check_signed(message.headers, &names)?;

    let wanted = resign(message, credentials, (region, service), signed_at, &names);
    // Digests, so that the time it takes tells nothing about a signature that is almost right.
    let digest = |signature: &str| Sha256::digest(signature);
    if wanted.is_none_or(|wanted| digest(&wanted) != digest(authorization.signature)) {
        return Err(invalid(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
             Key and signing method. Consult the service documentation for details.",
        ));
    }
    Ok(region.to_owned())
}

/// The access key that a message says it is signed with, as far as it can be read.
pub(super) fn access_key(headers: &HeaderMap) -> Option<&str> {
    let authorization = Authorization::read(headers).ok()?;
    let scope = Scope::read(authorization.credential).ok()?;
    Some(scope.access_key)
}

/// The token of temporary credentials that comes with a message.
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    one(headers, TOKEN)
}

/// Whether a message comes with any token, even one that cannot be read.
pub(super) fn has_token(headers: &HeaderMap) -> bool {
    headers.contains_key(TOKEN)
}

fn invalid(text: &str) -> SignatureError {
    SignatureError::Invalid(text.to_owned())
}

/// The parts of the `Authorization` header.
struct Authorization<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn read(headers: &'a HeaderMap) -> Result<Self, SignatureError> {
        if !headers.contains_key("authorization") {
            return Err(SignatureError::Missing);
        }
        let incomplete = |text: &str| SignatureError::Incomplete(text.to_owned());
        let text = one(headers, "authorization")
            .ok_or_else(|| incomplete("Authorization header cannot be read."))?;
        let parts = text
            .strip_prefix(ALGORITHM)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or_else(|| incomplete("Authorization header requires 'AWS4-HMAC-SHA256'."))?;
        let part = |name: &str| {
            let mut values = parts
                .split(',')
                .filter_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
            match (values.next(), values.next()) {
                (Some(value), None) if !value.is_empty() => Ok(value),
                _ => Err(SignatureError::Incomplete(format!(
                    "Authorization header requires '{name}' parameter."
                ))),
            }
        };
        Ok(Self {
            credential: part("Credential")?,
            signed_headers: part("SignedHeaders")?,
            signature: part("Signature")?,
        })
    }
}

/// What a credential is good for.
struct Scope<'a> {
    access_key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    terminator: &'a str,
}

impl<'a> Scope<'a> {
    fn read(credential: &'a str) -> Result<Self, SignatureError> {
        // An access key may hold slashes; the scope behind it may not.
        let mut parts = credential.rsplitn(5, '/');
        let mut next = || parts.next().filter(|part| !part.is_empty());
        let (terminator, service, region, date, access_key) =
            (next(), next(), next(), next(), next());
        match (access_key, date, region, service, terminator) {
            (Some(access_key), Some(date), Some(region), Some(service), Some(terminator)) => {
                Ok(Self {
                    access_key,
                    date,
                    region,
                    service,
                    terminator,
                })
            }
            _ => Err(SignatureError::Incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term."
                    .to_owned(),
            )),
        }
    }
}

/// The text of a header that comes exactly once.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// `X-Amz-Date`, such as `20150830T123600Z`.
fn signed_at(headers: &HeaderMap) -> Result<OffsetDateTime, SignatureError> {
    let text = one(headers, "x-amz-date").ok_or_else(|| {
        SignatureError::Incomplete(
            "Authorization header requires existence of an 'X-Amz-Date' header.".to_owned(),
        )
    })?;
    parse_time(text).ok_or_else(|| {
        SignatureError::Incomplete("Date must be in ISO-8601 'basic format'.".to_owned())
    })
}

fn parse_time(text: &str) -> Option<OffsetDateTime> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    // A year may not have a sign.
    let time = PrimitiveDateTime::parse(text, format).ok()?;
    (text.len() == 16).then(|| time.assume_utc())
}

/// A signature that does not cover where the request goes, when it was made and what it asks for is worth nothing.
fn check_signed(headers: &HeaderMap, names: &[&str]) -> Result<(), SignatureError> {
    for name in [
        "host",
        "x-amz-date",
        "x-amz-target",
        TOKEN,
        "x-amz-content-sha256",
    ] {
        let must = name == "host" || headers.contains_key(name);
        if must && !names.contains(&name) {
            return Err(SignatureError::Invalid(format!(
                "'{name}' must be a signed header in the AWS Authorization."
            )));
        }
    }
    Ok(())
}

/// The signature that these credentials give the message as it arrived. `None`: such a message cannot be signed.
fn resign(
    message: Message<'_>,
    credentials: Credentials<'_>,
    (region, service): (&str, &str),
    at: OffsetDateTime,
    names: &[&str],
) -> Option<String> {
    let Message {
        method,
        path,
        query,
        headers,
        body,
    } = message;
    let Credentials {
        access_key,
        secret_key,
    } = credentials;
    let signer =
        aws_credential_types::Credentials::new(access_key, secret_key, None, None, "emulator");
    let mut settings = SigningSettings::default();
    // Paths are taken as they are escaped, and no header that the client signed is left out.
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.excluded_headers = None;
    let identity = signer.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(at.into())
        .settings(settings)
        .build()
        .ok()?
        .into();
    let mut signed = Vec::with_capacity(names.len());
    for name in names {
        let values = headers.get_all(*name).iter();
        let values = values.map(|value| str::from_utf8(value.as_bytes()));
        let before = signed.len();
        for value in values {
            signed.push((*name, value.ok()?));
        }
        if signed.len() == before {
            return None;
        }
    }
    let signed = signed.into_iter();
    let uri = format!("{path}?{query}");
    let request = SignableRequest::new(method, uri, signed, SignableBody::Bytes(body)).ok()?;
    Some(sign(request, &params).ok()?.into_parts().1)
}

#[cfg(test)]
pub(super) mod tests;
