//! AWS Signature Version 4, as a verifier.
//!
//! Owns the reading of the `Authorization` header, the canonical request and the judgement. The time is passed in.
//! Does not sign, to know operations, and to tell a caller how far a wrong signature was off.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use sha2::{Digest, Sha256};
use time::{Date, Duration, Month, OffsetDateTime, Time};

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

    let canonical = canonical_request(message, &names);
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let digest = hex(&Sha256::digest(&canonical));
    let to_sign = format!("{ALGORITHM}\n{stamp}\n{scope}\n{digest}");
    let mut key = format!("AWS4{}", credentials.secret_key).into_bytes();
    for part in [date, region, service, "aws4_request"] {
        key = mac(&key, part.as_bytes()).finalize().into_bytes().to_vec();
    }
    // `verify_slice` takes as long for a signature that is almost right as for any other.
    let given = unhex(authorization.signature).unwrap_or_default();
    mac(&key, to_sign.as_bytes())
        .verify_slice(&given)
        .map_err(|_| {
            invalid(
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                 Access Key and signing method. Consult the service documentation for details.",
            )
        })?;
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
    let bytes = text.as_bytes();
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<u16> {
        let digits = text.get(from..to)?;
        digits
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| digits.parse().ok())?
    };
    let small = |from: usize| u8::try_from(number(from, from + 2)?).ok();
    let month = Month::try_from(small(4)?).ok()?;
    let date = Date::from_calendar_date(i32::from(number(0, 4)?), month, small(6)?).ok()?;
    let time = Time::from_hms(small(9)?, small(11)?, small(13)?).ok()?;
    Some(date.with_time(time).assume_utc())
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

/// The text that is hashed: what the client says it signed, put together again from what arrived.
fn canonical_request(message: Message<'_>, names: &[&str]) -> Vec<u8> {
    let Message {
        method,
        path,
        query,
        headers,
        body,
    } = message;
    let mut text = Vec::with_capacity(512);
    for part in [method, "\n", path, "\n", &canonical_query(query), "\n"] {
        text.extend_from_slice(part.as_bytes());
    }
    for name in names {
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        for (nth, value) in headers.get_all(*name).iter().enumerate() {
            if nth > 0 {
                text.push(b',');
            }
            let words = value.as_bytes().split(|byte| *byte == b' ');
            let words: Vec<&[u8]> = words.filter(|word| !word.is_empty()).collect();
            text.extend_from_slice(&words.join(&b' '));
        }
        text.push(b'\n');
    }
    text.push(b'\n');
    text.extend_from_slice(names.join(";").as_bytes());
    text.push(b'\n');
    text.extend_from_slice(hex(&Sha256::digest(body)).as_bytes());
    text
}

/// Parameters in order, each with its equals sign. They are taken as they are escaped.
fn canonical_query(query: &str) -> String {
    let mut parameters: Vec<(&str, &str)> = query
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
        .collect();
    parameters.sort_unstable();
    let texts: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    texts.join("&")
}

pub(super) fn mac(key: &[u8], text: &[u8]) -> Hmac<Sha256> {
    let mut mac =
        <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes everything");
    }
    text
}

/// Lower-case hexadecimal only, as clients send it.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? * 16 + digit(*low)?))
        .collect()
}

#[cfg(test)]
mod tests;
