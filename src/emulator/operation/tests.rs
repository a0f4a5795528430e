//! Operations as lines of JSON.

use crate::model::InstanceId;

use super::super::operations::Operations;
use super::super::quirks::{OperationProgress, Quirks};
use super::*;

#[test]
fn operation_survives_a_round_trip() {
    let id = InstanceId {
        account: None,
        region: "eu-central-1".into(),
        name: "web-1".into(),
    };
    let at = OffsetDateTime::from_unix_timestamp_nanos(1_571_072_845_737_000_001);
    for operations in [
        OperationProgress::Immediate,
        OperationProgress::AfterReads(2),
        OperationProgress::Explicit,
    ] {
        let quirks = Quirks {
            operations,
            operation_unseen: 1,
            ..Quirks::default()
        };
        let action = "PutInstancePublicPorts";
        let operation = Operations::default().start(
            &id,
            "arn:aws:lightsail:eu-central-1:123456789012:Instance/1",
            action,
            "22/tcp".to_owned(),
            at.expect("a time"),
            &quirks,
        );
        let line = serde_json::to_string(&operation).expect("a line");
        assert!(!line.contains('\n'));
        let read: Operation = serde_json::from_str(&line).expect("a valid line");
        assert_eq!(read, operation);
    }
}

#[test]
fn invalid_line_of_operations_is_explained() {
    let line = r#"{"id":"1","region":"r","name":"n","arn":"a","operationType":"PutInstancePublicPorts","operationDetails":"","createdAt":"2026-01-01T00:00:00Z","statusChangedAt":"2026-01-01T00:00:00Z","status":"Succeeded","readsLeft":0,"endsAs":"Succeeded","unseenLeft":0}"#;
    let read = |line: &str| serde_json::from_str::<Operation>(line);
    read(line).expect("a valid line");
    for (from, to, message) in [
        (
            "PutInstance",
            "GetInstance",
            "`GetInstancePublicPorts` is not an operation type",
        ),
        (
            "PutInstancePublicPorts",
            "GetInstance",
            "`GetInstance` is not an operation type",
        ),
        (
            "2026-01-01T00",
            "2026-13-01T00",
            "`2026-13-01T00:00:00Z` is not a valid time",
        ),
        (
            "\"status\":\"Succeeded\"",
            "\"status\":\"Fine\"",
            "unknown variant `Fine`",
        ),
        ("\"name\"", "\"nom\"", "unknown field `nom`"),
    ] {
        let error = read(&line.replacen(from, to, 1)).expect_err(to).to_string();
        assert!(error.starts_with(message), "{error}");
    }
}
