//! Which operations on an instance are ours, and which show another writer.
//!
//! Owns the record of what one run sent to one instance. Does not ask the service.

use std::time::Duration;

use time::OffsetDateTime;

use super::Clock;
use crate::lightsail::{Operation, OperationStatus};
use crate::plan::{Call, Foreign};

/// Every action that changes a firewall.
const ACTIONS: [&str; 3] = [
    "OpenInstancePublicPorts",
    "CloseInstancePublicPorts",
    "PutInstancePublicPorts",
];

/// How far the service's clock may be from ours before it refuses our signatures.
const CLOCKS_APART: Duration = Duration::from_mins(5);

/// Times in replies are rounded to milliseconds.
const ROUNDING: Duration = Duration::from_millis(10);

/// What was sent to one instance.
pub(super) struct OwnOperations<'a> {
    clock: &'a dyn Clock,
    read_at: Duration,
    /// When the rules were read before the first write, by the service's clock.
    since: Option<OffsetDateTime>,
    operations: Vec<String>,
    /// Sent, and no operation came back; whether the service refused it.
    unclaimed: Vec<(Call, bool)>,
}

impl<'a> OwnOperations<'a> {
    /// Nothing yet. The moment of this call must not be after the read that the first write relies on.
    pub(super) fn new(clock: &'a dyn Clock) -> Self {
        Self {
            clock,
            read_at: clock.elapsed(),
            since: None,
            operations: Vec::new(),
            unclaimed: Vec::new(),
        }
    }

    /// A write was accepted under this operation.
    pub(super) fn accepted(&mut self, operation: &Operation) {
        // The service's clock at our read, without trusting our own clock: only time spans of it are used.
        if self.since.is_none() {
            self.since = operation
                .created_at
                .and_then(|at| at.checked_sub(span(self.since_read().saturating_add(ROUNDING))));
        }
        self.operations.push(operation.id.clone());
    }

    /// A write got no operation: refused, or its reply was lost.
    pub(super) fn unclaimed(&mut self, call: &Call, refused: bool) {
        self.unclaimed.push((call.clone(), refused));
    }

    fn since_read(&self) -> Duration {
        self.clock.elapsed().saturating_sub(self.read_at)
    }

    /// The ids of the operations that were accepted, in order.
    pub(super) fn into_operations(self) -> Vec<String> {
        self.operations
    }

    /// The first operation of another writer since our read.
    pub(super) fn foreign(&self, operations: &[Operation]) -> Option<Foreign> {
        let since = self.since.or_else(|| {
            self.clock
                .now()
                .checked_sub(span(self.since_read().saturating_add(CLOCKS_APART)))
        });
        let mut unclaimed: Vec<&(Call, bool)> = self.unclaimed.iter().collect();
        let foreign = operations.iter().find(|operation| {
            let recent = operation
                .created_at
                .is_none_or(|at| since.is_none_or(|since| at >= since));
            if !recent
                || !ACTIONS.contains(&operation.kind.as_str())
                || self.operations.contains(&operation.id)
            {
                return false;
            }
            match unclaimed
                .iter()
                .position(|(call, refused)| fits(call, *refused, operation))
            {
                Some(place) => {
                    unclaimed.remove(place);
                    false
                }
                None => true,
            }
        })?;
        let Operation {
            kind,
            details,
            created_at,
            ..
        } = foreign.clone();
        Some(Foreign {
            what: Some(kind),
            details,
            at: created_at,
            difference: None,
        })
    }
}

/// Whether an operation can be what became of our call. Details are only documented for a single port.
fn fits(call: &Call, refused: bool, operation: &Operation) -> bool {
    if operation.kind != call.action() || (refused && operation.status != OperationStatus::Failed) {
        return false;
    }
    match call {
        Call::Put { .. } => true,
        Call::Open { key, .. } | Call::Close { key, .. } => {
            let single = key.from() == key.to() && !key.protocol().is_icmp();
            !single
                || operation.details.is_empty()
                || operation.details == format!("{}/{}", key.from(), key.protocol())
        }
    }
}

fn span(duration: Duration) -> time::Duration {
    time::Duration::try_from(duration).unwrap_or(time::Duration::MAX)
}
