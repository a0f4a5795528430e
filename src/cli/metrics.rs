//! Metrics for the textfile collector, with what the last run left behind.
//!
//! Owns the clock and the reading of the old file. Does not word a metric.

use std::path::Path;

use time::OffsetDateTime;

use super::run::Run;
use crate::render::prometheus::{Counts, Metrics, last_success, text};

/// The metrics of a run that ends now. `file` is where they will stand, and where those of the last run are.
pub(super) fn of_run(run: &Run, file: Option<&Path>) -> String {
    let view = run.view();
    text(&Metrics {
        verb: view.verb,
        config: Some(view.config).filter(|config| !config.is_empty()),
        shard: run.facts.shard,
        counts: Counts::of_run(&view),
        calls: &run.facts.calls,
        seconds: Some(run.began.elapsed().as_secs_f64()),
        exit_code: view.exit_code,
        now: now(),
        last_success: before(file),
    })
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// The last success that a file of metrics tells.
pub(super) fn before(file: Option<&Path>) -> Option<i64> {
    last_success(&crate::input::read_text(file?).ok()?)
}
