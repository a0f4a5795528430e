//! What becomes known of a run on its way, for whatever is written in the end.
//!
//! Owns the notes. Refuses to judge them.

use std::cell::{Ref, RefCell};
use std::time::Instant;

use crate::lightsail::Tally;
use crate::render::facts::{Calls, Facts};
use crate::render::notification::Message;

/// Notes that are taken while others are read.
#[derive(Default)]
pub(super) struct Notebook(RefCell<Known>);

/// Everything that is known so far.
pub(super) struct Known {
    pub(super) facts: Facts,
    /// The configuration as it was named.
    pub(super) config_file: Option<String>,
    /// When the work began.
    pub(super) began: Instant,
    /// What a notification would say.
    pub(super) message: Option<Message>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            facts: Facts::default(),
            config_file: None,
            began: Instant::now(),
            message: None,
        }
    }
}

impl Notebook {
    pub(super) fn learn(&self, learn: impl FnOnce(&mut Known)) {
        learn(&mut self.0.borrow_mut());
    }

    pub(super) fn read(&self) -> Ref<'_, Known> {
        self.0.borrow()
    }
}

impl Known {
    /// Takes the calls that a connection counted.
    pub(super) fn count(&mut self, tally: &Tally) {
        let calls = tally.iter().map(|(action, answers)| Calls {
            action: action.to_owned(),
            answered: answers.answered,
            throttled: answers.throttled,
            failed: answers.failed,
        });
        self.facts.calls = calls.collect();
    }
}
