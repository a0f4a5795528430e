//! The conditions under which no other instance is started: a request to stop, or too many failures.
//!
//! **Owns** the number of failures of one run. **Does not** stop instances that have been started.

use std::cell::Cell;

use super::Stop;
use crate::plan::Outcome;
use crate::strings::count;

/// Checked by every worker of a run before it starts, and again before its first write.
pub(super) struct FailureLimit<'a> {
    pub(super) stop: &'a Stop,
    most: Option<usize>,
    failed: Cell<usize>,
}

impl<'a> FailureLimit<'a> {
    /// No failures yet.
    pub(super) fn new(stop: &'a Stop, most: Option<usize>) -> Self {
        Self {
            stop,
            most,
            failed: Cell::new(0),
        }
    }

    /// Counts an outcome.
    pub(super) fn record(&self, outcome: &Outcome) {
        if outcome.is_failure() {
            self.failed.set(self.failed.get() + 1);
        }
    }

    /// Whether an instance may be started.
    pub(super) fn check(&self) -> Result<(), Outcome> {
        if self.stop.is_set() {
            return Err(interrupted());
        }
        let failed = self.failed.get();
        match self.most {
            Some(most) if failed >= most.max(1) => {
                let instances = count(failed, "instance");
                Err(Outcome::NotStarted(format!(
                    "{instances} had failed by then, and no more than that may"
                )))
            }
            _ => Ok(()),
        }
    }
}

/// The instance was not started because of a request to stop.
pub(super) fn interrupted() -> Outcome {
    Outcome::NotStarted("interrupted".to_owned())
}
