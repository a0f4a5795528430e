//! Why nothing new is begun: somebody wishes to stop, or too much has failed.
//!
//! Owns the counting of failures of one run. Does not stop what is begun.

use std::cell::Cell;

use super::Stop;
use crate::plan::Outcome;
use crate::strings::count;

/// What every worker of one run asks before it begins, and again before its first write.
pub(super) struct FailureLimit<'a> {
    pub(super) stop: &'a Stop,
    most: Option<usize>,
    failed: Cell<usize>,
}

impl<'a> FailureLimit<'a> {
    /// Nothing has failed yet.
    pub(super) fn new(stop: &'a Stop, most: Option<usize>) -> Self {
        Self {
            stop,
            most,
            failed: Cell::new(0),
        }
    }

    /// Counts an ending.
    pub(super) fn ended(&self, outcome: &Outcome) {
        if outcome.is_failure() {
            self.failed.set(self.failed.get() + 1);
        }
    }

    /// Whether something new may be begun.
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

/// Not begun, because somebody wished to stop.
pub(super) fn interrupted() -> Outcome {
    Outcome::NotStarted("interrupted".to_owned())
}
