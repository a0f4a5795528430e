//! The last port operation on instances that differ, as the service remembers it.
//!
//! **Owns** the calls, which it makes for a few instances only. **Does not** fail a run: the operation is only a hint at the
//! cause of a difference.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use futures_util::stream;

use crate::lightsail::{Operation, Reader};
use crate::model::InstanceId;
use crate::plan::Plan;
use crate::render::metadata::LastChange;

/// Instances that are read: the burst of calls that the service accepts.
const MAX_INSTANCES: usize = 20;

/// Calls at the same time.
const CONCURRENCY: usize = 8;

/// Reads the last change of the first instances that differ.
pub(super) async fn read_last_changes(
    plan: &Plan,
    reader: &impl Reader,
) -> BTreeMap<InstanceId, LastChange> {
    let differing = plan
        .instances
        .iter()
        .filter(|instance| instance.verdict.differs())
        .map(|instance| &instance.instance.id);
    stream::iter(differing.take(MAX_INSTANCES))
        .map(|id| async move {
            let change = match reader.operations_for(id).await {
                Ok(operations) => latest(operations),
                Err(error) => LastChange::Unreadable {
                    reason: error.to_string(),
                },
            };
            (id.clone(), change)
        })
        .buffer_unordered(CONCURRENCY)
        .collect()
        .await
}

/// The latest operation on rules. One without a time counts as the oldest.
fn latest(operations: Vec<Operation>) -> LastChange {
    let on_ports = operations
        .into_iter()
        .filter(|operation| operation.action.ends_with("InstancePublicPorts"));
    match on_ports.max_by_key(|operation| operation.created_at) {
        None => LastChange::Forgotten,
        Some(operation) => LastChange::Known {
            action: operation.action,
            at: operation.created_at,
        },
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::lightsail::OperationStatus;

    fn operation(action: &str, at: Option<i64>) -> Operation {
        Operation {
            id: "1".to_owned(),
            action: action.to_owned(),
            details: String::new(),
            status: OperationStatus::Succeeded,
            created_at: at.and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok()),
            error: None,
        }
    }

    #[test]
    fn latest_port_operation_wins_in_any_order() {
        let operations = vec![
            operation("OpenInstancePublicPorts", Some(10)),
            operation("PutInstancePublicPorts", Some(20)),
            operation("CloseInstancePublicPorts", None),
            operation("RebootInstance", Some(30)),
        ];
        let mut turned = operations.clone();
        turned.reverse();
        for operations in [operations, turned] {
            let known = LastChange::Known {
                action: "PutInstancePublicPorts".to_owned(),
                at: OffsetDateTime::from_unix_timestamp(20).ok(),
            };
            assert_eq!(latest(operations), known);
        }
        let other = vec![operation("RebootInstance", Some(30))];
        assert_eq!(latest(other), LastChange::Forgotten);
    }
}
