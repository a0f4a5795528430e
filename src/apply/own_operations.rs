//! Own operations: distinguishes the operations of this run from those of other writers.
//!
//! **Owns** the record of the writes of one run to one instance. **Does not** read from the service.

use time::{Duration, OffsetDateTime};

use super::Clock;
use crate::lightsail::{Operation, OperationStatus};
use crate::plan::{Call, ForeignWrite};

/// Every action that changes a firewall.
const ACTIONS: [&str; 3] = [
    "OpenInstancePublicPorts",
    "CloseInstancePublicPorts",
    "PutInstancePublicPorts",
];

/// The difference between our clock and the service's at which it refuses our signatures.
const MAX_CLOCK_SKEW: Duration = Duration::minutes(5);

/// The tolerance for times in responses, which are rounded to milliseconds.
const ROUNDING: Duration = Duration::milliseconds(10);

/// The writes of one run to one instance.
pub(super) struct OwnOperations<'a> {
    clock: &'a dyn Clock,
    /// When the read before the first write began, by our clock.
    read_at: std::time::Duration,
    /// The time of the read before the first write, by the service's clock.
    since: Option<OffsetDateTime>,
    /// The IDs of the operations of accepted writes, in order.
    pub(super) operations: Vec<String>,
    /// Calls for which no operation was returned, and whether the service refused them.
    unclaimed: Vec<(Call, bool)>,
}

impl<'a> OwnOperations<'a> {
    /// No writes yet. Must be called before the read that the first write relies on.
    pub(super) fn new(clock: &'a dyn Clock) -> Self {
        Self {
            clock,
            read_at: clock.elapsed(),
            since: None,
            operations: Vec::new(),
            unclaimed: Vec::new(),
        }
    }

    /// Records the operation of an accepted write.
    pub(super) fn accepted(&mut self, operation: &Operation) {
        if self.since.is_none() {
            let at = operation.created_at;
            self.since = at.and_then(|at| self.before_read(at, ROUNDING));
        }
        self.operations.push(operation.id.clone());
    }

    /// Records a write without an operation, which was refused, or whose response was lost.
    pub(super) fn unclaimed(&mut self, call: &Call, refused: bool) {
        self.unclaimed.push((call.clone(), refused));
    }

    /// The time of the read less `tolerance`, by the clock that shows `now`. Our own clock may show a wrong time, so only
    /// durations are taken from it.
    fn before_read(&self, now: OffsetDateTime, tolerance: Duration) -> Option<OffsetDateTime> {
        let since_read = self.clock.elapsed().saturating_sub(self.read_at);
        let since_read = Duration::try_from(since_read).unwrap_or(Duration::MAX);
        now.checked_sub(since_read.saturating_add(tolerance))
    }

    /// The first operation of another writer since the read.
    pub(super) fn first_foreign(&self, operations: &[Operation]) -> Option<ForeignWrite> {
        let now = self.clock.now();
        let since = self.since.or_else(|| self.before_read(now, MAX_CLOCK_SKEW));
        let mut unclaimed: Vec<&(Call, bool)> = self.unclaimed.iter().collect();
        let foreign = operations.iter().find(|operation| {
            let recent = operation
                .created_at
                .is_none_or(|at| since.is_none_or(|since| at >= since));
            if !recent
                || !ACTIONS.contains(&operation.action.as_str())
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
        Some(ForeignWrite {
            action: Some(foreign.action.clone()),
            details: foreign.details.clone(),
            at: foreign.created_at,
            difference: None,
        })
    }
}

/// Whether an operation may be from this call. Its details are documented only for a single port.
fn fits(call: &Call, refused: bool, operation: &Operation) -> bool {
    if operation.action != call.action() || (refused && operation.status != OperationStatus::Failed)
    {
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
