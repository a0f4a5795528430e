//! From a plan to what became of it: the calls, the waiting, and the proof.
//!
//! Owns the execution of a plan against a reader and a writer. Refuses to decide anything: what may be sent stands in the
//! plan, and where the world is not as the plan says, it stops and says so. It knows no file, no terminal and no signal.
//!
//! For each instance: wait until it is settled, read the rules and compare them with `before`, make the calls and wait for
//! each operation, read back until the rules mean `after`. A call that is refused, or a result that differs though nobody
//! else wrote, is answered with the plan's one fallback, once. Another writer is left alone.

mod endings;
mod instance;
mod ours;
mod rules;
mod stop;
mod wait;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trouble_tests;

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

pub use stop::Stop;

use crate::lightsail::{Reader, Writer};
use crate::model::InstanceId;
use crate::plan::{InstanceResult, Plan, Report};
use instance::Worker;

/// How patient to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many instances are worked on at once; at least one.
    pub concurrency: usize,
    /// How long an instance may take to settle before the first write, and how long its writes may be throttled.
    pub timeout: Duration,
    /// How long an accepted operation may take.
    pub operation_timeout: Duration,
    /// How long a read-back may show something else than what was written.
    pub proof_timeout: Duration,
    /// The pause before the first repetition of anything; it doubles up to `longest_pause`, and chance shortens it.
    pub first_pause: Duration,
    /// The longest pause between two repetitions.
    pub longest_pause: Duration,
    /// How often a write is sent at most where its reply is lost and a read shows that it had no effect.
    pub attempts: u32,
    /// Whether identity, state and address type are read again for instances that the plan found settled. A caller that
    /// made the plan from a listing of this very run may save the call.
    pub recheck: bool,
}

impl Default for Settings {
    /// Sixteen at once keeps below the documented burst of twenty; a minute covers the start of an instance; operations on
    /// firewalls are over in a second or two where they were observed.
    fn default() -> Self {
        Self {
            concurrency: 16,
            timeout: Duration::from_mins(1),
            operation_timeout: Duration::from_mins(1),
            proof_timeout: Duration::from_secs(20),
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(5),
            attempts: 3,
            recheck: true,
        }
    }
}

/// Hears how a run goes on. Every method does nothing unless it is implemented.
pub trait Progress {
    /// Work on an instance begins.
    fn started(&self, id: &InstanceId) {
        let _ = id;
    }

    /// Work on an instance pauses; `why` is a fragment such as ``the instance is `pending` ``.
    fn waiting(&self, id: &InstanceId, why: &str) {
        let _ = (id, why);
    }

    /// An instance is done with, or was not begun.
    fn finished(&self, result: &InstanceResult) {
        let _ = result;
    }
}

/// Nobody listens.
impl Progress for () {}

/// Carries out a plan. Instances without calls take no part; the others are in the report in the order of the plan,
/// whatever happened to them.
pub async fn run(
    plan: &Plan,
    reader: &impl Reader,
    writer: &impl Writer,
    settings: &Settings,
    progress: &impl Progress,
    stop: &Stop,
) -> Report {
    let work = plan
        .instances
        .iter()
        .filter(|instance| !instance.calls.is_empty())
        .enumerate();
    let work = stream::iter(work).map(async |(place, instance)| {
        let worker = Worker::new(instance, reader, writer, settings, progress, stop);
        (place, worker.run().await)
    });
    let mut results: Vec<_> = work
        .buffer_unordered(settings.concurrency.max(1))
        .collect()
        .await;
    results.sort_by_key(|(place, _)| *place);
    let results = results.into_iter().map(|(_, result)| result).collect();
    Report {
        results,
        interrupted: stop.is_set(),
    }
}
