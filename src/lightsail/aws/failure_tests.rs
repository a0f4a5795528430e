//! Failures against raw replies on loopback: how each is judged and what it says.

use std::net::TcpListener;
use std::time::Duration;

use super::stub::{Reply, Stub};
use super::tests::{aws, keys, web};
use super::{Aws, Deadlines, Settings};
use crate::lightsail::{Error, Kind, Reader, Writer};
use crate::model::Firewall;

async fn put_fails(reply: Reply) -> (Error, usize) {
    let stub = Stub::serve(move |_| reply.clone());
    let error = aws(&stub.url)
        .await
        .writer()
        .put(&web(), &Firewall::new())
        .await
        .expect_err("refused");
    (error, stub.requests().len())
}

/// What is said of a failed write: kind, whether to try again, whether it may have been carried out.
type Judgement = (Kind, bool, bool);

async fn judge(status: u16, body: &str) -> (Error, Judgement) {
    let id = vec![("x-amzn-RequestId", "req-1".to_owned())];
    let (error, requests) = put_fails(Reply::Http(status, id, body.to_owned())).await;
    assert_eq!(requests, 1, "a write is sent once: {status} {body}");
    let judgement = (
        error.kind(),
        error.is_retryable(),
        error.is_outcome_unknown(),
    );
    (error, judgement)
}

const REFUSED: [bool; 2] = [false, false];
const THROTTLED: (Kind, [bool; 2]) = (Kind::Throttled, [true, false]);
const BROKEN: (Kind, [bool; 2]) = (Kind::Service, [true, true]);

#[tokio::test(flavor = "current_thread")]
async fn every_code_is_known_under_every_spelling() {
    for (status, code, (kind, [retryable, unknown])) in [
        (400, "NotFoundException", (Kind::NotFound, REFUSED)),
        (400, "InvalidInputException", (Kind::InvalidInput, REFUSED)),
        (
            400,
            "OperationFailureException",
            (Kind::OperationFailure, REFUSED),
        ),
        (400, "AccessDeniedException", (Kind::AccessDenied, REFUSED)),
        (
            400,
            "UnauthenticatedException",
            (Kind::Unauthenticated, REFUSED),
        ),
        (
            400,
            "AccountSetupInProgressException",
            (Kind::SetupInProgress, REFUSED),
        ),
        (
            400,
            "RegionSetupInProgressException",
            (Kind::SetupInProgress, REFUSED),
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
            (Kind::Unauthenticated, REFUSED),
        ),
        (
            400,
            "UnrecognizedClientException",
            (Kind::Unauthenticated, REFUSED),
        ),
        (
            400,
            "ExpiredTokenException",
            (Kind::Unauthenticated, REFUSED),
        ),
        (403, "OptInRequired", (Kind::AccessDenied, REFUSED)),
        (400, "QuotaBurstException", (Kind::Other, REFUSED)),
    ] {
        for body in [
            format!(r#"{{"__type":"{code}","message":"Told so."}}"#),
            format!(
                r#"{{"__type":"com.amazonaws.lightsail#{code}:http://x/","Message":"Told so."}}"#
            ),
            format!(r#"{{"__type":"{code}","code":null,"message":"Told so."}}"#),
            format!(r#"{{"__type":"Fault","code":"{code}","message":"Told so."}}"#),
        ] {
            let (error, judgement) = judge(status, &body).await;
            assert_eq!(
                judgement,
                (kind, retryable, unknown),
                "{status} {body}: {error}"
            );
            assert_eq!(
                (error.code(), error.request_id()),
                (Some(code), Some("req-1"))
            );
            let text = format!(
                "`PutInstancePublicPorts` for `eu-central-1/web-1` failed: {code}: Told so \
                 (request id req-1)"
            );
            assert_eq!(error.to_string(), text, "{body}");
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_unknown_code_does_not_hide_a_known_type() {
    let body = r#"{"code":"SomethingElse","__type":"NotFoundException","message":"Told so."}"#;
    let (error, _) = judge(400, body).await;
    assert_eq!(
        (error.kind(), error.code()),
        (Kind::NotFound, Some("NotFoundException"))
    );
}

#[tokio::test(flavor = "current_thread")]
async fn answers_without_a_code_are_judged_by_their_status() {
    for (status, body, judgement) in [
        (429, "{}", (Kind::Throttled, true, false)),
        (
            502,
            "<html><body>Bad gateway</body></html>",
            (Kind::Service, true, true),
        ),
        (500, "", (Kind::Service, true, true)),
        (
            403,
            "<html><body>No</body></html>",
            (Kind::BadReply, false, false),
        ),
        (200, "", (Kind::BadReply, false, true)),
        (200, "<html></html>", (Kind::BadReply, false, true)),
        (
            200,
            r#"{"operation":{"id":22.5}}"#,
            (Kind::BadReply, false, true),
        ),
        (
            200,
            r#"{"operation":{"status":"Succeeded"}}"#,
            (Kind::BadReply, false, true),
        ),
    ] {
        let (error, found) = judge(status, body).await;
        assert_eq!(
            (found, error.code()),
            (judgement, None),
            "{status} {body}: {error}"
        );
        assert!(!error.to_string().contains("<html>"), "{error}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_missing_permission_is_named() {
    let denied = r#"{"__type":"AccessDeniedException","message":"no"}"#;
    let stub = Stub::serve(move |_| Reply::json(400, denied));
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
async fn lost_and_refused_are_told_apart() {
    let (error, requests) = put_fails(Reply::Hangup).await;
    assert_eq!(
        (error.kind(), error.is_outcome_unknown(), requests),
        (Kind::Connection, true, 1),
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
        (Kind::Connection, false),
        "{error}"
    );
    let error = aws.reader().port_states(&web()).await.expect_err("refused");
    assert_eq!(error.kind(), Kind::Connection, "{error}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_silent_server_is_left_at_the_deadline() {
    let stub = Stub::serve(|_| Reply::Silence);
    let short = Duration::from_millis(20);
    let deadlines = Deadlines {
        attempt: short,
        read: short * 3,
        write: short,
        backoff: Duration::ZERO,
        ..Deadlines::default()
    };
    let settings = Settings {
        endpoint_url: Some(stub.url.clone()),
        keys: Some(keys()),
        deadlines,
        ..Settings::default()
    };
    let aws = Aws::connect(settings).await.expect("a valid endpoint");
    let error = aws
        .writer()
        .put(&web(), &Firewall::new())
        .await
        .expect_err("silence");
    assert_eq!(
        (error.kind(), error.is_outcome_unknown()),
        (Kind::Timeout, true)
    );
    assert_eq!(
        aws.reader().port_states(&web()).await.map_err(|e| e.kind()),
        Err(Kind::Timeout)
    );
    assert!(
        stub.requests().len() <= 1 + 3,
        "the deadline ends the attempts"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_failed_handshake_is_no_connection() {
    let stub = Stub::serve(|_| Reply::Hangup);
    let aws = aws(&stub.url.replace("http://", "https://")).await;
    let error = aws
        .writer()
        .put(&web(), &Firewall::new())
        .await
        .expect_err("no TLS there");
    assert_eq!(
        (error.kind(), error.is_outcome_unknown()),
        (Kind::Connection, false),
        "{error}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn the_expected_request_is_not_passed_on() {
    let stub = Stub::serve(|_| {
        let message = r"It does not match.\n\nThe Canonical String should have been\n'POST\nx-amz-security-token:hush'";
        let body = format!(r#"{{"__type":"InvalidSignatureException","message":"{message}"}}"#);
        Reply::json(403, body)
    });
    let error = aws(&stub.url).await.reader().port_states(&web()).await;
    let error = error.expect_err("refused");
    assert_eq!(error.message(), "It does not match.");
    assert!(!format!("{error} {error:?}").contains("hush"));
}
