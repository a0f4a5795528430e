//! Who changed the rules last: the last port operation on instances that differ, as the service remembers it.
//!
//! Owns the question, which is put for a few instances only. Does not fail a run over it: that an instance differs is the
//! answer, and this is only a hint at why.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use futures_util::stream;

use crate::lightsail::{Operation, Reader};
use crate::model::InstanceId;
use crate::plan::Plan;
use crate::render::facts::LastChange;

/// How many instances are asked about: as many calls as the service takes at once.
const MOST: usize = 20;

/// How many are asked about at the same time.
const AT_ONCE: usize = 8;

/// Asks for the last change of the first instances that differ.
pub(super) async fn ask(plan: &Plan, reader: &impl Reader) -> BTreeMap<InstanceId, LastChange> {
    let differing = plan
        .instances
        .iter()
        .filter(|instance| instance.verdict.differs())
        .map(|instance| &instance.instance.id);
    stream::iter(differing.take(MOST))
        .map(|id| async move {
            let change = match reader.operations_for(id).await {
                Ok(operations) => last(operations),
                Err(error) => LastChange::Unreadable {
                    reason: error.to_string(),
                },
            };
            (id.clone(), change)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

/// The youngest operation on rules. One without a time counts as older than any that has one.
fn last(operations: Vec<Operation>) -> LastChange {
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
            assert_eq!(last(operations), known);
        }
        let other = vec![operation("RebootInstance", Some(30))];
        assert_eq!(last(other), LastChange::Forgotten);
    }
}
