//! Signed and unsigned messages to Lightsail and STS.

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use proptest::prelude::*;

use crate::inventory::Inventory;

use super::super::context::StateChange;
use super::super::faults::Faults;
use super::super::quirks::Quirks;
use super::super::signature::tests::{sha256, signature_of};
use super::*;

fn endpoint() -> Endpoint {
    let inventory = Inventory::new(BTreeMap::new());
    let service = Service::new(inventory, Quirks::default(), Faults::default());
    Endpoint::new(service, EmulatorOptions::default())
}

fn send(
    endpoint: &mut Endpoint,
    headers: &HeaderMap,
    method: &str,
    path: &str,
    body: &[u8],
) -> Response {
    let message = SignedRequest {
        method,
        path,
        query: "",
        headers,
        body,
    };
    let mut persist = |_: StateChange<'_>| Ok(());
    match endpoint.handle(message, OffsetDateTime::UNIX_EPOCH, &mut persist) {
        (Delivery::Response(response, _), _) => response,
        (other, _) => panic!("{other:?}"),
    }
}

#[test]
fn invalid_signature_has_the_error_of_each_protocol() {
    let mut endpoint = endpoint();
    let mut headers = HeaderMap::new();
    headers.insert(
        "x-amz-target",
        HeaderValue::from_static("Lightsail_20161128.GetInstances"),
    );
    let response = send(&mut endpoint, &headers, "POST", "/", b"{}");
    assert_eq!(
        (response.status, response.content_type),
        (400, "application/x-amz-json-1.1")
    );
    assert_eq!(
        response.body,
        r#"{"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"}"#
    );
    let response = send(&mut endpoint, &headers, "GET", "/", b"");
    assert!(response.body.contains("UnknownOperationException"));

    let mut headers = HeaderMap::new();
    headers.insert(
        "content-type",
        HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"),
    );
    let body = b"Action=GetCallerIdentity&Version=2011-06-15";
    let response = send(&mut endpoint, &headers, "POST", "/", body);
    assert_eq!((response.status, response.content_type), (403, "text/xml"));
    assert!(
        response
            .body
            .contains("<Code>MissingAuthenticationToken</Code>")
    );
    assert!(response.body.contains("<RequestId>"));
    assert_eq!(
        endpoint.requests,
        [("GetCallerIdentity", 1), ("GetInstances", 2)].into()
    );
}

#[test]
fn request_ids_are_unique() {
    let mut endpoint = endpoint();
    let now = OffsetDateTime::UNIX_EPOCH;
    assert_ne!(endpoint.request_id(now), endpoint.request_id(now));
}

proptest! {
    #[test]
    fn unsigned_requests_are_refused(
        method in "(GET|POST|PUT|X)",
        path in "/[ -~]{0,10}",
        target in "(Lightsail_20161128\\.)?(GetInstances|PutInstancePublicPorts|[ -~]{0,20})",
        kind in "(application/x-www-form-urlencoded|application/x-amz-json-1[.]1|[ -~]{0,20})",
        authorization in prop::option::of("(AWS4-HMAC-SHA256 )?(Credential=test/[0-9]{8}/r/lightsail/aws4_request,)?[ -~]{0,60}"),
        body in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-amz-target", Some(target)), ("content-type", Some(kind)), ("authorization", authorization)] {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_str(&value).expect("visible characters"));
            }
        }
        let mut endpoint = endpoint();
        let response = send(&mut endpoint, &headers, &method, &path, &body);
        prop_assert!(response.status >= 400);
        prop_assert!(endpoint.service.state.journal.is_empty());
    }
}

/// Two accounts, the second of which has another instance of the same name.
fn two_accounts() -> Endpoint {
    let entry = |account: &str| {
        format!(
            r#"{{"name": "web-1", "arn": "arn:aws:lightsail:r:{account}:Instance/1", "state": "running",
                "ipAddressType": "ipv4", "portStates": []}}"#
        )
    };
    let text = format!(
        r#"{{"format": "portward.inventory", "version": 1, "regions": {{"r": [{}, {}]}}}}"#,
        entry("111111111111"),
        entry("222222222222")
    );
    let inventory = Inventory::parse(&text).expect("an inventory");
    let service = Service::new(inventory, Quirks::default(), Faults::default());
    Endpoint::new(service, EmulatorOptions::default())
}

/// Headers with a real signature over them and the body.
fn signed(service: &str, key: &str, secret: &str, token: Option<&str>, body: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut names = vec!["host", "x-amz-date"];
    headers.insert("host", HeaderValue::from_static("localhost"));
    headers.insert("x-amz-date", HeaderValue::from_static("19700101T000000Z"));
    if let Some(token) = token {
        let token = HeaderValue::from_str(token).expect("a value");
        headers.insert("x-amz-security-token", token);
        names.push("x-amz-security-token");
    }
    if service == "sts" {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert("content-type", form);
    } else {
        let target = HeaderValue::from_static("Lightsail_20161128.GetInstances");
        headers.insert("x-amz-target", target);
        names.push("x-amz-target");
    }
    let mut lines = String::new();
    for name in &names {
        let value = headers[*name].to_str().expect("text");
        lines.extend([name, ":", value, "\n"]);
    }
    let names = names.join(";");
    let canonical = format!("POST\n/\n\n{lines}\n{names}\n{}", sha256(body));
    let scope = format!("19700101/r/{service}/aws4_request");
    let signature = signature_of(&canonical, secret, "19700101T000000Z", ("r", service));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
    );
    let authorization = HeaderValue::from_str(&authorization).expect("a value");
    headers.insert("authorization", authorization);
    headers
}

fn element<'a>(body: &'a str, name: &str) -> &'a str {
    let (_, rest) = body
        .split_once(&format!("<{name}>"))
        .unwrap_or_else(|| panic!("no {name} in {body}"));
    rest.split('<').next().expect("a text")
}

fn assume_role(endpoint: &mut Endpoint, account: &str) -> Response {
    let body = format!(
        "Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A{account}%3Arole%2Fx&RoleSessionName=portward&DurationSeconds=900"
    );
    let headers = signed("sts", "test", "test", None, body.as_bytes());
    send(endpoint, &headers, "POST", "/", body.as_bytes())
}

#[test]
fn role_can_access_only_its_account() {
    let mut endpoint = two_accounts();
    let session = assume_role(&mut endpoint, "222222222222");
    assert_eq!(session.status, 200, "{}", session.body);
    let member = |name: &str| element(&session.body, name).to_owned();
    let (key, secret, token) = (
        member("AccessKeyId"),
        member("SecretAccessKey"),
        member("SessionToken"),
    );
    assert_eq!(member("Expiration"), "1970-01-01T00:15:00Z");
    let mut list = |key: &str, secret: &str, token: Option<&str>| {
        let headers = signed("lightsail", key, secret, token, b"{}");
        send(&mut endpoint, &headers, "POST", "/", b"{}").body
    };
    let own = list("test", "test", None);
    assert!(
        own.contains("111111111111") && !own.contains("222222222222"),
        "{own}"
    );
    let theirs = list(&key, &secret, Some(&token));
    assert!(
        theirs.contains("222222222222") && !theirs.contains("111111111111"),
        "{theirs}"
    );
    for (secret, token, code) in [
        (secret.as_str(), None, "UnrecognizedClientException"),
        (&secret, Some("another"), "UnrecognizedClientException"),
        ("wrong", Some(token.as_str()), "InvalidSignatureException"),
    ] {
        let refused = list(&key, secret, token);
        assert!(refused.contains(code), "{refused}");
    }
    // An unknown key, with a token of another session.
    let refused = list("ASIA0000000000000000", &secret, Some(&token));
    assert!(refused.contains("UnrecognizedClientException"), "{refused}");
}

#[test]
fn token_with_permanent_keys_is_refused() {
    let mut endpoint = two_accounts();
    for token in ["bogus", ""] {
        for (service, body, status, code) in [
            ("lightsail", "{}", 400, "UnrecognizedClientException"),
            (
                "sts",
                "Action=GetCallerIdentity",
                403,
                "<Code>InvalidClientTokenId</Code>",
            ),
        ] {
            // With a valid signature or not.
            for secret in ["test", "wrong"] {
                let headers = signed(service, "test", secret, Some(token), body.as_bytes());
                let response = send(&mut endpoint, &headers, "POST", "/", body.as_bytes());
                assert_eq!(response.status, status);
                assert!(response.body.contains(code), "{}", response.body);
            }
        }
    }
}

#[test]
fn expired_session_is_refused() {
    let mut endpoint = two_accounts();
    let identity = Identity {
        account: "222222222222".to_owned(),
        role: Some(("x".to_owned(), "portward".to_owned())),
    };
    let duration = time::Duration::ZERO;
    let epoch = OffsetDateTime::UNIX_EPOCH;
    let session = endpoint
        .sessions
        .start(identity, duration, epoch, "test")
        .clone();
    let (key, secret) = (session.access_key.as_str(), session.secret_key.as_str());
    for (service, body, code) in [
        ("lightsail", "{}", "ExpiredTokenException"),
        (
            "sts",
            "Action=GetCallerIdentity",
            "<Code>ExpiredToken</Code>",
        ),
    ] {
        let headers = signed(service, key, secret, Some(&session.token), body.as_bytes());
        let response = send(&mut endpoint, &headers, "POST", "/", body.as_bytes());
        assert!(response.body.contains(code), "{}", response.body);
    }
}

#[test]
fn unknown_roles_and_invalid_requests_are_refused() {
    let mut endpoint = two_accounts();
    let refused = assume_role(&mut endpoint, "333333333333");
    assert_eq!(refused.status, 403);
    assert!(
        refused.body.contains("<Code>AccessDenied</Code>"),
        "{}",
        refused.body
    );
    let role = "RoleArn=arn:aws:iam::111111111111:role/x";
    for (body, code) in [
        (format!("Action=AssumeRole&{role}"), "ValidationError"),
        (
            "Action=AssumeRole&RoleArn=x&RoleSessionName=portward".to_owned(),
            "ValidationError",
        ),
        (
            format!("Action=AssumeRole&{role}&RoleSessionName=portward&DurationSeconds=1"),
            "ValidationError",
        ),
        (
            format!("Action=AssumeRole&{role}&RoleSessionName=portward&DurationSeconds=x"),
            "ValidationError",
        ),
        ("Action=GetSessionToken".to_owned(), "InvalidAction"),
    ] {
        let headers = signed("sts", "test", "test", None, body.as_bytes());
        let response = send(&mut endpoint, &headers, "POST", "/", body.as_bytes());
        assert!(response.body.contains(code), "{body}: {}", response.body);
    }
    // Only a request with a web identity token needs no signature.
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    let headers = HeaderMap::from_iter([(hyper::header::CONTENT_TYPE, form)]);
    for (token, code) in [
        ("e30.e30.c2ln", "<AccessKeyId>ASIA"),
        ("e30", "InvalidIdentityToken"),
        ("", "InvalidIdentityToken"),
    ] {
        let body = format!(
            "Action=AssumeRoleWithWebIdentity&{role}&RoleSessionName=portward&WebIdentityToken={token}"
        );
        let response = send(&mut endpoint, &headers, "POST", "/", body.as_bytes());
        assert!(response.body.contains(code), "{}", response.body);
    }
    let body = format!("Action=AssumeRole&{role}&RoleSessionName=portward");
    let response = send(&mut endpoint, &headers, "POST", "/", body.as_bytes());
    assert!(
        response.body.contains("MissingAuthenticationToken"),
        "{}",
        response.body
    );
}

proptest! {
    #[test]
    fn sts_form_parser_does_not_panic(body in prop::collection::vec(any::<u8>(), 0..200), role in "[ -~]{0,40}") {
        let mut endpoint = two_accounts();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let headers = HeaderMap::from_iter([(hyper::header::CONTENT_TYPE, form)]);
        let web = format!("Action=AssumeRoleWithWebIdentity&RoleArn={role}&RoleSessionName=ab&WebIdentityToken=a.b.c&");
        for body in [body.clone(), [web.into_bytes(), body].concat()] {
            let response = send(&mut endpoint, &headers, "POST", "/", &body);
            prop_assert!(response.status == 200 || response.body.contains("<Code>"), "{}", response.body);
        }
    }
}
