//! Verification of published signatures, and of changed requests.

use std::fmt::Write as _;

use hyper::header::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

/// The example credentials of the AWS documentation and test suite.
const EXAMPLE: Credentials<'static> = Credentials {
    access_key: "AKIDEXAMPLE",
    secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};

fn headers(list: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        headers.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    headers
}

fn authorization(scope: &str, signed: &str, signature: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, Signature={signature}")
}

fn at(text: &str) -> OffsetDateTime {
    parse_time(text).expect("a time")
}

const SUITE_SCOPE: &str = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request";

/// The request `post-vanilla` of the AWS test suite.
fn post_vanilla() -> HeaderMap {
    let signature = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
    headers(&[
        ("host", "example.amazonaws.com"),
        ("x-amz-date", "20150830T123600Z"),
        (
            "authorization",
            &authorization(SUITE_SCOPE, "host;x-amz-date", signature),
        ),
    ])
}

fn verify_at(headers: &HeaderMap, now: &str) -> Result<String, SignatureError> {
    let message = SignedRequest {
        method: "POST",
        path: "/",
        query: "",
        headers,
        body: b"",
    };
    verify(message, EXAMPLE, "service", at(now))
}

/// The signature of a canonical request.
pub(in super::super) fn signature_of(
    canonical: &str,
    secret: &str,
    stamp: &str,
    (region, service): (&str, &str),
) -> String {
    let date = &stamp[..8];
    let digest = sha256(canonical.as_bytes());
    let text = format!("{ALGORITHM}\n{stamp}\n{date}/{region}/{service}/aws4_request\n{digest}");
    let key = v4::generate_signing_key(secret, at(stamp).into(), region, service);
    v4::calculate_signature(key, text.as_bytes())
}

/// In hexadecimal.
pub(in super::super) fn sha256(text: &[u8]) -> String {
    let mut hex = String::new();
    for byte in Sha256::digest(text) {
        write!(hex, "{byte:02x}").expect("a string takes everything");
    }
    hex
}

#[test]
fn published_signatures_are_valid() {
    assert_eq!(
        verify_at(&post_vanilla(), "20150830T123600Z"),
        Ok("us-east-1".to_owned())
    );
    // `ListUsers`, the worked example of the AWS General Reference: a query, three headers.
    let listed = headers(&[
        ("host", "iam.amazonaws.com"),
        (
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        ),
        ("x-amz-date", "20150830T123600Z"),
        (
            "authorization",
            &authorization(
                "AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request",
                "content-type;host;x-amz-date",
                "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
            ),
        ),
    ]);
    for query in [
        "Action=ListUsers&Version=2010-05-08",
        "Version=2010-05-08&Action=ListUsers",
    ] {
        let message = SignedRequest {
            method: "GET",
            path: "/",
            query,
            headers: &listed,
            body: b"",
        };
        assert_eq!(
            verify(message, EXAMPLE, "iam", at("20150830T123600Z")),
            Ok("us-east-1".to_owned())
        );
    }
}

#[test]
fn header_values_are_trimmed_and_joined() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let canonical = format!(
        "GET\n/\na=&a=1&b=2\nhost:example.amazonaws.com\nmy-header1:a b,c\nx-amz-date:20150830T123600Z\n\nhost;my-header1;x-amz-date\n{empty}"
    );
    let stamp = "20150830T123600Z";
    let signature = signature_of(
        &canonical,
        EXAMPLE.secret_key,
        stamp,
        ("us-east-1", "service"),
    );
    let headers = headers(&[
        ("host", "example.amazonaws.com"),
        ("my-header1", "  a   b  "),
        ("my-header1", "c"),
        ("x-amz-date", "20150830T123600Z"),
        (
            "authorization",
            &authorization(SUITE_SCOPE, "host;my-header1;x-amz-date", &signature),
        ),
    ]);
    let message = SignedRequest {
        method: "GET",
        path: "/",
        query: "b=2&a=1&a",
        headers: &headers,
        body: b"",
    };
    let region = verify(message, EXAMPLE, "service", at(stamp));
    assert_eq!(region, Ok("us-east-1".to_owned()));
}

#[test]
fn clock_skew_of_five_minutes_is_accepted() {
    for (now, is_valid) in [
        ("20150830T124100Z", true),
        ("20150830T124101Z", false),
        ("20150830T123100Z", true),
        ("20150830T123059Z", false),
    ] {
        assert_eq!(verify_at(&post_vanilla(), now).is_ok(), is_valid, "{now}");
    }
}

#[test]
fn each_invalid_signature_is_refused() {
    let with = |name: &'static str, value: Option<&str>| {
        let mut headers = post_vanilla();
        headers.remove(name);
        if let Some(value) = value {
            headers.insert(name, HeaderValue::from_str(value).expect("a value"));
        }
        verify_at(&headers, "20150830T123600Z").expect_err("refused")
    };
    let signed = |scope: &str| {
        with(
            "authorization",
            Some(&authorization(scope, "host;x-amz-date", &"0".repeat(64))),
        )
    };
    assert_eq!(with("authorization", None), SignatureError::Missing);
    for (header, value) in [
        ("authorization", Some("Bearer abc")),
        (
            "authorization",
            Some("AWS4-HMAC-SHA256 Credential=a/b/c/d/e"),
        ),
        (
            "authorization",
            Some("AWS4-HMAC-SHA256 Credential=a/b,SignedHeaders=host,Signature=0"),
        ),
        ("x-amz-date", None),
        ("x-amz-date", Some("20150230T123600Z")),
        ("x-amz-date", Some("2015-08-30T12:36")),
    ] {
        assert!(
            matches!(with(header, value), SignatureError::Incomplete(_)),
            "{header} {value:?}"
        );
    }
    assert_eq!(
        signed("OTHER/20150830/us-east-1/service/aws4_request"),
        SignatureError::UnknownKey
    );
    for scope in [
        SUITE_SCOPE,
        "AKIDEXAMPLE/20150831/us-east-1/service/aws4_request",
        "AKIDEXAMPLE/2015/us-east-1/service/aws4_request",
        "AKIDEXAMPLE/20150830/us-east-1/s3/aws4_request",
        "AKIDEXAMPLE/20150830/us-east-1/service/aws5_request",
    ] {
        assert!(
            matches!(signed(scope), SignatureError::Invalid(_)),
            "{scope}"
        );
    }
    // A signed header is missing.
    assert!(matches!(with("host", None), SignatureError::Invalid(_)));
    let token = with("x-amz-security-token", Some("not signed"));
    assert!(matches!(token, SignatureError::Invalid(_)));
}

proptest! {
    #[test]
    fn changed_requests_fail_verification(
        secret in "[a-z]{1,40}",
        body in prop::collection::vec(any::<u8>(), 1..20),
        path in "/[a-z]{1,5}",
        signature in "[0-9a-fA-F]{0,66}",
    ) {
        let headers = post_vanilla();
        let message = SignedRequest { method: "POST", path: "/", query: "", headers: &headers, body: b"" };
        let now = at("20150830T123600Z");
        let mut other = post_vanilla();
        let text = authorization(SUITE_SCOPE, "host;x-amz-date", &format!("0{signature}"));
        other.insert("authorization", HeaderValue::from_str(&text).expect("a value"));
        let wrong = [
            (message, Credentials { secret_key: &secret, ..EXAMPLE }),
            (SignedRequest { body: &body, ..message }, EXAMPLE),
            (SignedRequest { path: &path, ..message }, EXAMPLE),
            (SignedRequest { method: "PUT", ..message }, EXAMPLE),
            (SignedRequest { headers: &other, ..message }, EXAMPLE),
        ];
        for (message, credentials) in wrong {
            let outcome = verify(message, credentials, "service", now);
            let invalid = matches!(outcome, Err(SignatureError::Invalid(_)));
            prop_assert!(invalid);
        }
    }

    #[test]
    fn signature_parser_does_not_panic(authorization in "[ -~]{0,120}", tail in "[ -~]{0,80}", date in "[0-9TZé]{0,18}") {
        for text in [authorization, format!("AWS4-HMAC-SHA256 {tail}"), format!("AWS4-HMAC-SHA256 Credential={tail},SignedHeaders=host;x-amz-date,Signature=00")] {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", HeaderValue::from_str(&text).expect("visible characters"));
            if let Ok(date) = HeaderValue::from_bytes(date.as_bytes()) {
                headers.insert("x-amz-date", date);
            }
            prop_assert!(verify_at(&headers, "20150830T123600Z").is_err());
        }
    }
}
