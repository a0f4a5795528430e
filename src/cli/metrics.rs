//! Metrics for the textfile collector, with the last success from the file of the previous run.
//!
//! **Owns** the clock and the reading of the old file. **Does not** define a metric.

use std::path::Path;

use time::OffsetDateTime;

use super::run::Run;
use crate::render::prometheus::{InstanceCounts, Metrics, last_success, text};

/// The metrics of a run that ends now. `file` has those of the previous run, and will be replaced.
pub(super) fn of_run(run: &Run, file: Option<&Path>) -> String {
    let view = run.view();
    text(&Metrics {
        verb: view.verb,
        config: Some(view.config).filter(|config| !config.is_empty()),
        shard: run.metadata.shard,
        counts: InstanceCounts::of_run(&view),
        calls: &run.metadata.calls,
        seconds: Some(run.started.elapsed().as_secs_f64()),
        exit_code: view.exit_code,
        now: unix_time(),
        last_success: previous_success(file),
    })
}

/// Seconds since 1970.
pub(super) fn unix_time() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// The last success in a file of metrics.
pub(super) fn previous_success(file: Option<&Path>) -> Option<i64> {
    last_success(&crate::input::read_text(file?).ok()?)
}
