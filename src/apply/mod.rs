//! Executor: carries out a plan, with its calls, waiting, verification and receipt.
//!
//! Owns the execution of a plan with a reader and a writer. Does not decide anything: the plan says what may be sent, and if the
//! live state is not that of the plan, the executor stops and reports it. It knows no terminal, no signal, and no file
//! except the receipt.
//!
//! For each instance: wait until its state is settled, read the rules and compare them with `before`, check that it is still the
//! planned instance, make the calls (each recorded in the journal first), wait for each operation, and read back until the rules mean
//! `after`. If a call is refused, or the result differs although nobody else wrote, the fallback of the plan is sent, once.
//!
//! The conditions of a write are checked right before it: there is no other request between the check of the instance's identity and
//! the write, and an expired plan sends nothing.
//!
//! The changes of another writer are kept. They show in the read before the write, in the read-back, and in the operations on the
//! instance. The operations are read after Opens and Closes, which may have removed sources that somebody added to the same key
//! meanwhile, and after anything unusual (a response was lost, a call refused, a read-back differed once). So a Put costs one write and
//! three reads (rules, instance, rules), and an Open or a Close one more read. If leases may be granted during a run, the
//! operations and the tags are read after every write.
//!
//! Nothing waits forever. Every request has a deadline of its own, and every repetition here has one from [`Settings`].

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

// These tests run against the emulator.
#[cfg(test)]
pub(crate) mod tests;

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

/// Timeouts and limits of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The number of instances that are worked on at once; at least one.
    pub concurrency: usize,
    /// How long an instance may take to settle before the first write, and how long its writes may be throttled.
    pub timeout: Duration,
    /// How long an accepted operation may take.
    pub operation_timeout: Duration,
    /// How long a read-back may differ from what was written.
    pub proof_timeout: Duration,
    /// The pause before the first repetition; it doubles up to `longest_pause`, and is shortened at random.
    pub first_pause: Duration,
    /// The longest pause between two repetitions.
    pub longest_pause: Duration,
    /// How often a write is sent at most if its response is lost and a read shows that it had no effect.
    pub attempts: u32,
    /// The number of instances that failed, were stale or had another writer after which no other is started; at least one. Instances
    /// that were started are finished. `None` is no limit.
    pub max_failures: Option<usize>,
    /// Whether leases may be granted and revoked during the run, so that other writers are expected.
    pub leases: bool,
}

impl Default for Settings {
    /// Sixteen at once are below the documented burst of twenty, and a minute covers the start of an instance.
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

/// Observes a run. Every method does nothing by default.
pub trait Progress {
    /// Work on an instance begins.
    fn started(&self, _: &InstanceId) {}

    /// Work on an instance pauses. The reason is a fragment such as ``the instance is `pending` ``.
    fn waiting(&self, _: &InstanceId, _: &str) {}

    /// An instance is finished, or was not started.
    fn finished(&self, _: &InstanceResult) {}
}

/// Observes nothing.
impl Progress for () {}

/// The dependencies of a run.
pub struct Tools<'a, R, W> {
    /// Reads from the service.
    pub reader: &'a R,
    /// Writes to the service.
    pub writer: &'a W,
    /// Records every write before it is sent; `&()` records nothing.
    pub journal: &'a dyn Journal,
    /// Observes the run; `&()` observes nothing.
    pub progress: &'a dyn Progress,
    /// Timeouts and limits.
    pub settings: &'a Settings,
    /// Once set, no other instance is started.
    pub stop: &'a Stop,
    /// The validity of the plan and of its rules.
    pub validity: &'a Validity,
    /// The clock.
    pub clock: &'a dyn Clock,
}

/// Carries out a plan. The report has a result for each instance with calls, in the order of the plan.
pub async fn run<R: Reader, W: Writer>(plan: &Plan, tools: &Tools<'_, R, W>) -> Report {
    let failure_limit = FailureLimit::new(tools.stop, tools.settings.max_failures);
    let instances = plan.instances.iter();
    let planned = instances.filter(|instance| !instance.calls.is_empty());
    let work = async |instance| Worker::new(instance, tools, &failure_limit).run().await;
    Report {
        results: at_once(planned, tools.settings, work).await,
        interrupted: tools.stop.is_set(),
    }
}

/// Works on several items at once. The results are in the order of the items.
async fn at_once<T, U>(
    items: impl IntoIterator<Item = T>,
    settings: &Settings,
    work: impl AsyncFn(T) -> U,
) -> Vec<U> {
    let items = stream::iter(items.into_iter().enumerate());
    let work = items.map(async |(place, item)| (place, work(item).await));
    let work = work.buffer_unordered(settings.concurrency.max(1));
    let mut results: Vec<(usize, U)> = work.collect().await;
    results.sort_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}
