//! Pauses that grow, under a deadline.
//!
//! Owns how long to wait before asking again. Does not know what is asked.

use std::time::Duration;

use super::{Clock, Settings};

/// Repetitions of one thing.
pub(super) struct Backoff<'a> {
    clock: &'a dyn Clock,
    deadline: Duration,
    next: Duration,
    longest: Duration,
}

impl<'a> Backoff<'a> {
    /// Patience for this long from now.
    pub(super) fn new(clock: &'a dyn Clock, settings: &Settings, timeout: Duration) -> Self {
        let longest = settings.longest_pause;
        Self {
            clock,
            deadline: clock.elapsed().saturating_add(timeout),
            next: settings.first_pause.min(longest),
            longest,
        }
    }

    /// Whether it is used up.
    pub(super) fn is_over(&self) -> bool {
        self.clock.elapsed() >= self.deadline
    }

    /// Pauses, at least for half of what is due: instances that wait for the same thing come back at different times.
    pub(super) async fn pause(&mut self) {
        let left = self.deadline.saturating_sub(self.clock.elapsed());
        let due = self.next.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.clock.sleep(due.min(left)).await;
        self.next = self.next.saturating_mul(2).min(self.longest);
    }
}
