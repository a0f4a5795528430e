//! From a plan to what became of it: the calls, the waiting, the proof, and the record of it.
//!
//! Owns the execution of a plan against a reader and a writer. Does not decide anything: what may be sent stands in the
//! plan, and where the world is not as the plan says, it stops and says so. It knows no terminal and no signal, and no file
//! but the receipt.
//!
//! For each instance: wait until it is settled, read the rules and compare them with `before`, ask whether it is still the
//! instance that was planned for, make the calls, each told to the journal first, and wait for each operation, read back
//! until the rules mean `after`. A call that is refused, or a result that differs though nobody else wrote, is answered with
//! the plan's one fallback, once.
//!
//! What is written is true at the moment of the write. Between the question which instance has the name and the write that
//! follows lies no other request, and a plan whose time is over sends nothing more.
//!
//! Another writer is left alone. It shows in the read before the write, in the read-back, and in the operations on the
//! instance. Those are asked for after Opens and Closes, which may have taken with them what somebody added to the same key
//! meanwhile, and where anything was out of the ordinary (a reply was lost, a call refused, a read-back differed even once).
//! So a Put costs one write and three reads (rules, instance, rules), and an Open or a Close one read more. Where access may be
//! granted for a time while a run goes on, the operations and the tags are asked for after every write.
//!
//! Nothing waits for ever. Every call of a reader and a writer ends by a deadline of its own, and every repetition here has
//! one from [`Settings`].

mod clock;
mod confirm;
mod failure_limit;
mod instance;
mod journal;
pub mod leases;
mod outcomes;
mod own_operations;
mod precondition;
mod proof;
pub mod receipt;
mod revert;
mod rules;
mod stop;
mod validity;
mod wait;
mod write;

// They run against the emulator.
#[cfg(all(test, feature = "emulator"))]
mod tests;

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

pub use clock::{Clock, Pause, SystemClock};
pub use confirm::{Confirmation, confirm, irreversible};
pub use journal::{Intent, Journal, Stage};
pub use stop::Stop;
pub use validity::Validity;

use crate::lightsail::{Reader, Writer};
use crate::model::InstanceId;
use crate::plan::{InstanceResult, Plan, Report};
use failure_limit::FailureLimit;
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
    /// After how many instances that failed, were stale or had another writer nothing new is begun; at least one. What is
    /// begun by then is finished. `None` is never.
    pub max_failures: Option<usize>,
    /// Whether access may be granted and revoked for a time while this runs, so that other writers are to be expected.
    pub leases: bool,
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
            max_failures: None,
            leases: false,
        }
    }
}

/// Hears how a run goes on. Every method does nothing unless it is implemented.
pub trait Progress {
    /// Work on an instance begins.
    fn started(&self, _: &InstanceId) {}

    /// Work on an instance pauses. Why is a fragment such as ``the instance is `pending` ``.
    fn waiting(&self, _: &InstanceId, _: &str) {}

    /// An instance is done with, or was not begun.
    fn finished(&self, _: &InstanceResult) {}
}

/// Nobody listens.
impl Progress for () {}

/// What a plan is carried out with.
#[derive(Debug)]
pub struct Tools<'a, R, W, J, P> {
    /// Looks.
    pub reader: &'a R,
    /// Writes.
    pub writer: &'a W,
    /// Is told of every write before it is sent; `&()` keeps nothing.
    pub journal: &'a J,
    /// Hears how it goes; `&()` hears nothing.
    pub progress: &'a P,
    /// How patient to be.
    pub settings: &'a Settings,
    /// Once set, nothing new is begun.
    pub stop: &'a Stop,
    /// Until when the plan may be carried out.
    pub validity: &'a Validity,
    /// What time it is.
    pub clock: &'a dyn Clock,
}

/// Carries out a plan. Instances without calls take no part; the others are in the report in the order of the plan,
/// whatever happened to them.
pub async fn run<R: Reader, W: Writer, J: Journal, P: Progress>(
    plan: &Plan,
    tools: &Tools<'_, R, W, J, P>,
) -> Report {
    let failure_limit = FailureLimit::new(tools.stop, tools.settings.max_failures);
    let work = plan
        .instances
        .iter()
        .filter(|instance| !instance.calls.is_empty())
        .enumerate();
    let work = stream::iter(work).map(async |(place, instance)| {
        let worker = Worker::new(instance, tools, &failure_limit);
        (place, worker.run().await)
    });
    let mut results: Vec<_> = work
        .buffer_unordered(tools.settings.concurrency.max(1))
        .collect()
        .await;
    results.sort_by_key(|(place, _)| *place);
    let results = results.into_iter().map(|(_, result)| result).collect();
    Report {
        results,
        interrupted: tools.stop.is_set(),
    }
}
