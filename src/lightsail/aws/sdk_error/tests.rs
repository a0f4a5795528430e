//! Errors of calls to a server on loopback: their classification and messages.

use std::net::TcpListener;
use std::time::Duration;

use super::super::stub::{StubResponse, StubServer};
use super::super::tests::{aws, keys, web};
use super::super::{Aws, ConnectionSettings, Deadlines};
use crate::lightsail::{Error, ErrorKind, Reader, Writer};
use crate::model::Firewall;

/// The error of a put, and the number of requests.
async fn put_error(response: StubResponse) -> (Error, usize) {
    let stub = StubServer::serve(move |_| response.clone());
    let error = aws(&stub.url)
        .await
        .writer()
        .put(&web(), &Firewall::new())
        .await
        .expect_err("refused");
    (error, stub.requests().len())
}

/// The kind, whether the call is retryable, and whether its outcome is unknown.
type Classification = (ErrorKind, bool, bool);

async fn classify(status: u16, body: &str) -> (Error, Classification) {
    let id = vec![("x-amzn-RequestId", "req-1".to_owned())];
    let (error, requests) = put_error(StubResponse::Http(status, id, body.to_owned())).await;
    assert_eq!(requests, 1, "a write is sent once: {status} {body}");
    let classification = (
        error.kind(),
        error.is_retryable(),
        error.is_outcome_unknown(),
    );
    (error, classification)
}

const REFUSED: [bool; 2] = [false, false];
const THROTTLED: (ErrorKind, [bool; 2]) = (ErrorKind::Throttled, [true, false]);
const BROKEN: (ErrorKind, [bool; 2]) = (ErrorKind::Service, [true, true]);

#[tokio::test(flavor = "current_thread")]
async fn error_codes_are_recognized_in_every_spelling() {
    for (status, code, (kind, [retryable, unknown])) in [
        (400, "NotFoundException", (ErrorKind::NotFound, REFUSED)),
        (
            400,
            "InvalidInputException",
            (ErrorKind::InvalidInput, REFUSED),
        ),
        (
            400,
            "OperationFailureException",
            (ErrorKind::OperationFailure, REFUSED),
        ),
        (
            400,
            "AccessDeniedException",
            (ErrorKind::AccessDenied, REFUSED),
        ),
        (
            400,
            "UnauthenticatedException",
            (ErrorKind::Unauthenticated, REFUSED),
        ),
        (
            400,
            "AccountSetupInProgressException",
            (ErrorKind::SetupInProgress, REFUSED),
        ),
        (
            400,
            "RegionSetupInProgressException",
            (ErrorKind::SetupInProgress, REFUSED),
        ),
        (500, "ServiceException", BROKEN),
        (503, "ServiceUnavailable", BROKEN),
        (403, "ThrottlingException", THROTTLED),
        (400, "ThrottlingException", THROTTLED),
        (429, "TooManyRequestsException", THROTTLED),
        (503, "SlowDown", THROTTLED),
        (
            403,
            "InvalidSignatureException",
            (ErrorKind::Unauthenticated, REFUSED),
        ),
        (
            400,
            "UnrecognizedClientException",
            (ErrorKind::Unauthenticated, REFUSED),
        ),
        (
            400,
            "ExpiredTokenException",
            (ErrorKind::Unauthenticated, REFUSED),
        ),
        (403, "OptInRequired", (ErrorKind::AccessDenied, REFUSED)),
        (400, "QuotaBurstException", (ErrorKind::Other, REFUSED)),
    ] {
        for body in [
            format!(r#"{{"__type":"{code}","message":"No."}}"#),
            format!(r#"{{"__type":"com.amazonaws.lightsail#{code}:http://x/","Message":"No."}}"#),
            format!(r#"{{"__type":"{code}","code":null,"message":"No."}}"#),
            format!(r#"{{"__type":"Fault","code":"{code}","message":"No."}}"#),
        ] {
            let (error, classification) = classify(status, &body).await;
            assert_eq!(
                classification,
                (kind, retryable, unknown),
                "{status} {body}: {error}"
            );
            assert_eq!(
                (error.code(), error.request_id()),
                (Some(code), Some("req-1"))
            );
            let text = format!(
                "`PutInstancePublicPorts` for `eu-central-1/web-1` failed: {code}: No \
                 (request id req-1)"
            );
            assert_eq!(error.to_string(), text, "{body}");
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn known_type_takes_precedence_over_unknown_code() {
    let body = r#"{"code":"SomethingElse","__type":"NotFoundException","message":"No."}"#;
    let (error, _) = classify(400, body).await;
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::NotFound, Some("NotFoundException"))
    );
}

#[tokio::test(flavor = "current_thread")]
async fn responses_without_a_code_are_classified_by_status() {
    for (status, body, classification) in [
        (429, "{}", (ErrorKind::Throttled, true, false)),
        (
            502,
            "<html><body>Bad gateway</body></html>",
            (ErrorKind::Service, true, true),
        ),
        (500, "", (ErrorKind::Service, true, true)),
        (
            403,
            "<html><body>No</body></html>",
            (ErrorKind::InvalidResponse, false, false),
        ),
        (200, "", (ErrorKind::InvalidResponse, false, true)),
        (
            200,
            "<html></html>",
            (ErrorKind::InvalidResponse, false, true),
        ),
        (
            200,
            r#"{"operation":{"id":22.5}}"#,
            (ErrorKind::InvalidResponse, false, true),
        ),
        (
            200,
            r#"{"operation":{"status":"Succeeded"}}"#,
            (ErrorKind::InvalidResponse, false, true),
        ),
    ] {
        let (error, found) = classify(status, body).await;
        assert_eq!(
            (found, error.code()),
            (classification, None),
            "{status} {body}: {error}"
        );
        assert!(!error.to_string().contains("<html>"), "{error}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn hint_names_the_missing_permission() {
    let denied = r#"{"__type":"AccessDeniedException","message":"no"}"#;
    let stub = StubServer::serve(move |_| StubResponse::json(400, denied));
    let aws = aws(&stub.url).await;
    let hint = aws
        .reader()
        .port_states(&web())
        .await
        .expect_err("denied")
        .hint()
        .unwrap_or_default();
    assert!(
        hint.contains("`lightsail:GetInstancePortStates`") && hint.contains("`Resource: \"*\"`"),
        "{hint}"
    );
    let hint = aws
        .writer()
        .put(&web(), &Firewall::new())
        .await
        .expect_err("denied")
        .hint()
        .unwrap_or_default();
    assert!(
        hint.contains("`lightsail:PutInstancePublicPorts`"),
        "{hint}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn lost_connection_leaves_the_outcome_unknown_and_refused_does_not() {
    let (error, requests) = put_error(StubResponse::Hangup).await;
    assert_eq!(
        (error.kind(), error.is_outcome_unknown(), requests),
        (ErrorKind::Connection, true, 1),
        "{error}"
    );

    let closed = TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a port that is free again");
    let aws = aws(&format!("http://{closed}")).await;
    let error = aws
        .writer()
        .put(&web(), &Firewall::new())
        .await
        .expect_err("refused");
    assert_eq!(
        (error.kind(), error.is_outcome_unknown()),
        (ErrorKind::Connection, false),
        "{error}"
    );
    let error = aws.reader().port_states(&web()).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
}

#[tokio::test(flavor = "current_thread")]
async fn missing_response_is_a_timeout() {
    let stub = StubServer::serve(|_| StubResponse::Silence);
    let short = Duration::from_millis(20);
    let deadlines = Deadlines {
        attempt: short,
        read: short * 3,
        write: short,
        backoff: Duration::ZERO,
        ..Deadlines::default()
    };
    let settings = ConnectionSettings {
        endpoint_url: Some(stub.url.clone()),
        keys: Some(keys()),
        deadlines,
        ..ConnectionSettings::default()
    };
    let aws = Aws::connect(settings).await.expect("a valid endpoint");
    let error = aws
        .writer()
        .put(&web(), &Firewall::new())
        .await
        .expect_err("silence");
    assert_eq!(
        (error.kind(), error.is_outcome_unknown()),
        (ErrorKind::Timeout, true)
    );
    assert_eq!(
        aws.reader().port_states(&web()).await.map_err(|e| e.kind()),
        Err(ErrorKind::Timeout)
    );
    assert!(
        stub.requests().len() <= 1 + 3,
        "the deadline ends the attempts"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn failed_tls_handshake_is_not_an_unknown_outcome() {
    let stub = StubServer::serve(|_| StubResponse::Hangup);
    let aws = aws(&stub.url.replace("http://", "https://")).await;
    let error = aws
        .writer()
        .put(&web(), &Firewall::new())
        .await
        .expect_err("no TLS there");
    assert_eq!(
        (error.kind(), error.is_outcome_unknown()),
        (ErrorKind::Connection, false),
        "{error}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn expected_request_is_not_in_the_message() {
    let stub = StubServer::serve(|_| {
        let message = r"It does not match.\n\nThe Canonical String should have been\n'POST\nx-amz-security-token:hush'";
        let body = format!(r#"{{"__type":"InvalidSignatureException","message":"{message}"}}"#);
        StubResponse::json(403, body)
    });
    let error = aws(&stub.url).await.reader().port_states(&web()).await;
    let error = error.expect_err("refused");
    assert_eq!(error.message(), "It does not match.");
    assert!(!format!("{error} {error:?}").contains("hush"));
}
