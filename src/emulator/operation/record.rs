//! An operation as a line of JSON, for the file of operations.
//!
//! **Owns** the members of a line. **Does not** read or write files.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::InstanceId;

use super::super::request::Action;
use super::{Operation, Status};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Record {
    id: String,
    region: String,
    name: String,
    arn: String,
    operation_type: String,
    operation_details: String,
    created_at: String,
    status_changed_at: String,
    status: Status,
    /// The number of `GetOperation` reads until it ends; `null` if no read ends it.
    reads_left: Option<u32>,
    ends_as: Status,
    unseen_left: u32,
}

impl Operation {
    /// The line without a line break.
    pub(in super::super) fn to_line(&self) -> Result<String, String> {
        let time = |at: OffsetDateTime| at.format(&Rfc3339).map_err(|error| error.to_string());
        let record = Record {
            id: self.id.clone(),
            region: self.instance.region.clone(),
            name: self.instance.name.clone(),
            arn: self.arn.clone(),
            operation_type: self.action.to_owned(),
            operation_details: self.details.clone(),
            created_at: time(self.created_at)?,
            status_changed_at: time(self.changed_at)?,
            status: self.status,
            reads_left: self.reads_left,
            ends_as: self.final_status,
            unseen_left: self.unseen_left,
        };
        serde_json::to_string(&record).map_err(|error| error.to_string())
    }

    /// Parses a line. The caller sets the account of the instance.
    pub(in super::super) fn from_line(line: &str) -> Result<Self, String> {
        let record: Record = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let action = Action::from_name(&record.operation_type)
            .filter(|action| action.is_write())
            .ok_or_else(|| format!("`{}` is not an operation type", record.operation_type))?;
        let time = |text: &str| {
            OffsetDateTime::parse(text, &Rfc3339)
                .map_err(|_| format!("`{text}` is not a valid time"))
        };
        Ok(Self {
            instance: InstanceId {
                account: None,
                region: record.region,
                name: record.name,
            },
            arn: record.arn,
            action: action.name(),
            details: record.operation_details,
            created_at: time(&record.created_at)?,
            changed_at: time(&record.status_changed_at)?,
            status: record.status,
            reads_left: record.reads_left,
            final_status: record.ends_as,
            unseen_left: record.unseen_left,
            id: record.id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::operations::Operations;
    use super::super::super::quirks::{OperationProgress, Quirks};
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
            let line = operation.to_line().expect("a line");
            assert!(!line.contains('\n'));
            assert_eq!(Operation::from_line(&line), Ok(operation));
        }
    }

    #[test]
    fn invalid_line_of_operations_is_explained() {
        let line = r#"{"id":"1","region":"r","name":"n","arn":"a","operationType":"PutInstancePublicPorts","operationDetails":"","createdAt":"2026-01-01T00:00:00Z","statusChangedAt":"2026-01-01T00:00:00Z","status":"Succeeded","readsLeft":0,"endsAs":"Succeeded","unseenLeft":0}"#;
        Operation::from_line(line).expect("a valid line");
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
            let error = Operation::from_line(&line.replacen(from, to, 1)).expect_err(to);
            assert!(error.starts_with(message), "{error}");
        }
    }
}
