//! Calls to a server on loopback: requests, parsed responses, and retries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::stub::{StubResponse, StubServer};
use super::{Aws, ConnectionSettings, Deadlines, Keys};
use crate::lightsail::{ErrorKind, OperationStatus, Rate, Reader, Writer};
use crate::model::{Firewall, InstanceId, InstanceState, Key, Protocol, Site, Sources};

pub(super) fn keys() -> Keys {
    Keys {
        access_key_id: "test".into(),
        secret_access_key: "verysecret".into(),
        session_token: None,
    }
}

pub(super) async fn aws(url: &str) -> Aws {
    let deadlines = Deadlines {
        backoff: Duration::ZERO,
        ..Deadlines::default()
    };
    let settings = ConnectionSettings {
        endpoint_url: Some(url.into()),
        keys: Some(keys()),
        deadlines,
        // Many of these tests are about throttled calls, and none about waiting.
        rate: Rate::UNLIMITED,
        ..ConnectionSettings::default()
    };
    Aws::connect(settings).await.expect("a valid endpoint")
}

pub(super) fn web() -> InstanceId {
    InstanceId {
        account: None,
        region: "eu-central-1".into(),
        name: "web-1".into(),
    }
}

fn ssh() -> (Key, Sources) {
    (
        Key::new(Protocol::Tcp, 22, 22).expect("a key"),
        Sources::parse_live("192.0.2.1/32").into_iter().collect(),
    )
}

#[tokio::test(flavor = "current_thread")]
async fn reads_are_repeated_after_throttling_and_errors() {
    let count = AtomicUsize::new(0);
    let stub = StubServer::serve(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0..7 => StubResponse::json(
            403,
            r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#,
        ),
        _ => StubResponse::json(
            200,
            r#"{"portStates":[{"fromPort":22,"toPort":22,"protocol":"TCP","state":"open"}]}"#,
        ),
    });
    let states = aws(&stub.url)
        .await
        .reader()
        .port_states(&web())
        .await
        .expect("repeated");
    assert_eq!(
        (states[0].protocol.as_str(), stub.requests().len()),
        ("TCP", 8)
    );

    let stub = StubServer::serve(|_| StubResponse::json(500, "{}"));
    assert!(
        aws(&stub.url)
            .await
            .reader()
            .port_states(&web())
            .await
            .is_err()
    );
    assert_eq!(stub.requests().len(), 5);
}

#[tokio::test(flavor = "current_thread")]
async fn response_without_rules_is_an_error() {
    for (body, readable) in [
        (r#"{"portStates":[]}"#, true),
        ("{}", false),
        (r#"{"portStates":null}"#, false),
        ("", false),
    ] {
        let stub = StubServer::serve(move |_| StubResponse::json(200, body));
        let response = aws(&stub.url).await.reader().port_states(&web()).await;
        assert_eq!(
            response.map_err(|e| e.kind()),
            if readable {
                Ok(vec![])
            } else {
                Err(ErrorKind::InvalidResponse)
            },
            "{body}"
        );
    }
}

#[tokio::test(flavor = "current_thread")]
async fn all_pages_are_read() {
    let instance = |n: usize| {
        format!(
            r#"{{"name":"web-{n}","arn":"arn:aws:lightsail:eu-central-1:1:Instance/{n}","ipAddressType":"ipv6",
                "state":{{"code":0,"name":"pending"}},"tags":[{{"key":"role","value":"web"}},{{"key":"bare"}}]}}"#
        )
    };
    let stub = StubServer::serve(move |request| match request.body.as_str() {
        "{}" => StubResponse::json(
            200,
            format!(r#"{{"instances":[{}],"nextPageToken":"two"}}"#, instance(1)),
        ),
        _ => StubResponse::json(
            200,
            format!(r#"{{"instances":[{}],"nextPageToken":""}}"#, instance(2)),
        ),
    });
    let all = aws(&stub.url)
        .await
        .reader()
        .instances(&Site::of_region("eu-central-1"))
        .await
        .expect("two pages");
    assert_eq!(
        all.iter().map(|i| i.id.to_string()).collect::<Vec<_>>(),
        ["eu-central-1/web-1", "eu-central-1/web-2"]
    );
    assert_eq!(
        (all[0].state.clone(), all[0].address_type.as_ref()),
        (InstanceState::Pending, "ipv6")
    );
    assert_eq!(all[0].tags.get("bare").map(String::as_str), Some(""));

    for body in [
        r#"{"instances":[],"nextPageToken":"again"}"#,
        "{}",
        r#"{"instances":[{"arn":"a"}]}"#,
    ] {
        let stub = StubServer::serve(move |_| StubResponse::json(200, body));
        let all = aws(&stub.url)
            .await
            .reader()
            .instances(&Site::of_region("eu-central-1"))
            .await;
        assert_eq!(
            all.map_err(|e| e.kind()),
            Err(ErrorKind::InvalidResponse),
            "{body}"
        );
    }
}

#[tokio::test(flavor = "current_thread")]
async fn writes_send_all_members() {
    let done = r#"{"operation":{"id":"op-1","operationType":"PutInstancePublicPorts","operationDetails":"22/tcp",
        "isTerminal":false,"status":"Started","createdAt":1571072845.737,"errorCode":"E","errorDetails":"why"}}"#;
    let stub = StubServer::serve(move |_| StubResponse::json(200, done));
    let writer = aws(&stub.url).await.writer();
    let (key, sources) = ssh();
    let operation = writer.open(&web(), key, &sources).await.expect("opened");
    assert_eq!(
        (operation.id.as_str(), operation.status),
        ("op-1", OperationStatus::Pending)
    );
    assert_eq!(operation.error.as_deref(), Some("E: why"));
    assert_eq!(
        operation
            .created_at
            .map(time::OffsetDateTime::unix_timestamp),
        Some(1_571_072_845)
    );
    writer.close(&web(), key, &sources).await.expect("closed");
    writer
        .put(&web(), &[(key, sources)].into_iter().collect())
        .await
        .expect("put");
    writer.put(&web(), &Firewall::new()).await.expect("put");
    assert_eq!(
        writer
            .open(&web(), key, &Sources::new())
            .await
            .map_err(|e| e.kind()),
        Err(ErrorKind::InvalidInput)
    );

    let sent = stub.requests();
    let rule = r#"{"fromPort":22,"toPort":22,"protocol":"tcp","cidrs":["192.0.2.1/32"],"ipv6Cidrs":[],"cidrListAliases":[]}"#;
    let bodies = [
        (
            "OpenInstancePublicPorts",
            format!(r#"{{"portInfo":{rule},"instanceName":"web-1"}}"#),
        ),
        (
            "CloseInstancePublicPorts",
            format!(r#"{{"portInfo":{rule},"instanceName":"web-1"}}"#),
        ),
        (
            "PutInstancePublicPorts",
            format!(r#"{{"portInfos":[{rule}],"instanceName":"web-1"}}"#),
        ),
        (
            "PutInstancePublicPorts",
            r#"{"portInfos":[],"instanceName":"web-1"}"#.into(),
        ),
    ];
    assert_eq!(sent.len(), bodies.len());
    for (request, (action, body)) in sent.iter().zip(bodies) {
        assert_eq!(
            request.header("x-amz-target"),
            format!("Lightsail_20161128.{action}")
        );
        assert_eq!(request.line, "POST / HTTP/1.1");
        assert!(
            request
                .header("authorization")
                .contains("/eu-central-1/lightsail/aws4_request")
        );
        let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(json(&request.body), json(&body));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn tag_changes_send_only_the_tags() {
    let done = r#"{"operations":[{"id":"op-1","operationType":"TagResource","isTerminal":true,"status":"Succeeded"}]}"#;
    let stub = StubServer::serve(move |_| StubResponse::json(200, done));
    let writer = aws(&stub.url).await.writer();
    let tags = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect()
    };
    let keys = |keys: &[&str]| {
        keys.iter()
            .map(ToString::to_string)
            .collect::<BTreeSet<_>>()
    };
    let two = tags(&[("portward:grant:1", "v1"), ("role", "")]);
    let operations = writer.tag(&web(), &two).await.expect("tagged");
    let statuses = operations.iter().map(|it| (it.id.as_str(), it.status));
    assert_eq!(
        statuses.collect::<Vec<_>>(),
        [("op-1", OperationStatus::Succeeded)]
    );
    let untagged = writer.untag(&web(), &keys(&["role"])).await;
    assert_eq!(untagged.expect("untagged"), operations);
    // None of these is sent.
    let long = "x".repeat(257);
    for refused in [
        &[][..],
        &[("", "")],
        &[("aws:x", "")],
        &[("x", &long)],
        &[("a;b", "")],
    ] {
        let error = writer
            .tag(&web(), &tags(refused))
            .await
            .expect_err("refused");
        assert_eq!(
            (error.kind(), error.is_outcome_unknown()),
            (ErrorKind::InvalidInput, false)
        );
    }
    for refused in [&[][..], &[""], &["a;b"]] {
        let error = writer
            .untag(&web(), &keys(refused))
            .await
            .expect_err("refused");
        assert_eq!(
            (error.kind(), error.is_outcome_unknown()),
            (ErrorKind::InvalidInput, false)
        );
    }
    let sent = stub.requests();
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    let bodies = [
        (
            "TagResource",
            r#"{"resourceName":"web-1","tags":[{"key":"portward:grant:1","value":"v1"},{"key":"role","value":""}]}"#,
        ),
        (
            "UntagResource",
            r#"{"resourceName":"web-1","tagKeys":["role"]}"#,
        ),
    ];
    assert_eq!(sent.len(), bodies.len());
    for (request, (action, body)) in sent.iter().zip(bodies) {
        let target = format!("Lightsail_20161128.{action}");
        assert_eq!(request.header("x-amz-target"), target);
        assert_eq!(json(&request.body), json(body));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn tag_change_is_sent_once_and_its_outcome_may_stay_unknown() {
    let one: BTreeMap<String, String> = [("role".to_owned(), "web".to_owned())].into();
    for (status, body, outcome) in [
        (200, r#"{"operations":[]}"#, Ok(0)),
        (200, "{}", Err((ErrorKind::InvalidResponse, true))),
        (
            200,
            r#"{"operations":null}"#,
            Err((ErrorKind::InvalidResponse, true)),
        ),
        (
            200,
            r#"{"operations":[{}]}"#,
            Err((ErrorKind::InvalidResponse, true)),
        ),
        (200, "", Err((ErrorKind::InvalidResponse, true))),
        (500, "{}", Err((ErrorKind::Service, true))),
        (
            403,
            r#"{"__type":"ThrottlingException"}"#,
            Err((ErrorKind::Throttled, false)),
        ),
        (
            400,
            r#"{"__type":"AccessDeniedException"}"#,
            Err((ErrorKind::AccessDenied, false)),
        ),
    ] {
        let stub = StubServer::serve(move |_| StubResponse::json(status, body));
        let writer = aws(&stub.url).await.writer();
        let response = writer.tag(&web(), &one).await;
        let found = response.map(|all| all.len());
        let found = found.map_err(|error| (error.kind(), error.is_outcome_unknown()));
        assert_eq!(found, outcome, "{status} {body}");
        assert_eq!(stub.requests().len(), 1, "{status} {body}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn invalid_regions_and_endpoints_are_refused() {
    let aws = aws("http://127.0.0.1:1").await;
    for region in ["", "eu.example.org/", "EU-CENTRAL-1", "eu-central-1#"] {
        assert_eq!(
            aws.reader()
                .instances(&Site::of_region(region))
                .await
                .map_err(|e| e.kind()),
            Err(ErrorKind::InvalidInput),
            "{region}"
        );
    }
    for url in [
        "",
        "127.0.0.1:1",
        "ftp://x",
        "http://",
        "http:///x",
        "https://a b",
    ] {
        let settings = ConnectionSettings {
            endpoint_url: Some(url.into()),
            keys: Some(keys()),
            ..ConnectionSettings::default()
        };
        assert!(Aws::connect(settings).await.is_err(), "{url}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn debug_output_has_no_secrets() {
    let settings = ConnectionSettings {
        keys: Some(keys()),
        ..ConnectionSettings::default()
    };
    let aws = Aws::connect(settings.clone())
        .await
        .expect("a valid endpoint");
    let printed = format!("{settings:?} {aws:?} {:?} {:?}", aws.reader(), aws.writer());
    assert!(
        printed.contains("Settings") && !printed.contains("verysecret"),
        "{printed}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn call_that_is_not_permitted_in_time_is_not_sent() {
    let stub = StubServer::serve(|_| StubResponse::json(200, r#"{"portStates":[]}"#));
    let settings = ConnectionSettings {
        endpoint_url: Some(stub.url.clone()),
        keys: Some(keys()),
        deadlines: Deadlines {
            queue: Duration::ZERO,
            ..Deadlines::default()
        },
        rate: "0.01".parse().expect("a rate"),
        ..ConnectionSettings::default()
    };
    let aws = Aws::connect(settings).await.expect("a valid endpoint");
    assert!(aws.reader().port_states(&web()).await.is_ok());
    assert!(aws.writer().put(&web(), &Firewall::new()).await.is_err());
    for error in [
        aws.reader().port_states(&web()).await.err(),
        aws.writer().put(&web(), &Firewall::new()).await.err(),
    ] {
        let error = error.expect("not permitted");
        assert_eq!(
            (error.kind(), error.is_outcome_unknown()),
            (ErrorKind::Throttled, false)
        );
    }
    assert_eq!(stub.requests().len(), 2);
}

#[tokio::test(flavor = "current_thread")]
async fn endless_list_is_a_timeout() {
    let page = AtomicUsize::new(0);
    let stub = StubServer::serve(move |_| {
        let page = page.fetch_add(1, Ordering::Relaxed);
        StubResponse::json(
            200,
            format!(r#"{{"instances":[],"nextPageToken":"{page}"}}"#),
        )
    });
    let settings = ConnectionSettings {
        endpoint_url: Some(stub.url.clone()),
        keys: Some(keys()),
        deadlines: Deadlines {
            list: Duration::from_millis(50),
            ..Deadlines::default()
        },
        rate: Rate::UNLIMITED,
        ..ConnectionSettings::default()
    };
    let aws = Aws::connect(settings).await.expect("a valid endpoint");
    let list = aws
        .reader()
        .instances(&Site::of_region("eu-central-1"))
        .await;
    assert_eq!(list.map_err(|error| error.kind()), Err(ErrorKind::Timeout));
}
