//! Backoff: growing pauses with a deadline.
//!
//! **Owns** the length of pauses. **Does not** know what is repeated.

use std::time::Duration;

use super::{Clock, Settings, Tools};

/// The pauses between repetitions of a request.
pub(super) struct Backoff<'a> {
    clock: &'a dyn Clock,
    deadline: Duration,
    next: Duration,
    longest: Duration,
}

impl<'a> Backoff<'a> {
    /// Pauses for at most this long from now.
    pub(super) fn new(clock: &'a dyn Clock, settings: &Settings, timeout: Duration) -> Self {
        let longest = settings.longest_pause;
        Self {
            clock,
            deadline: clock.elapsed().saturating_add(timeout),
            next: settings.first_pause.min(longest),
            longest,
        }
    }

    /// Whether the deadline has passed.
    pub(super) fn is_expired(&self) -> bool {
        self.clock.elapsed() >= self.deadline
    }

    /// Pauses for a random time of at least half of the due pause, so that instances that wait for the same thing do not come back at
    /// the same time.
    pub(super) async fn pause(&mut self) {
        let left = self.deadline.saturating_sub(self.clock.elapsed());
        let due = self.next.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.clock.sleep(due.min(left)).await;
        self.next = self.next.saturating_mul(2).min(self.longest);
    }
}

impl<R, W> Tools<'_, R, W> {
    /// Pauses for at most this long from now.
    pub(super) fn backoff(&self, timeout: Duration) -> Backoff<'_> {
        Backoff::new(self.clock, self.settings, timeout)
    }
}
