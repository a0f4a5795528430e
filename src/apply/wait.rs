//! Pauses that grow, under a deadline.
//!
//! Owns how long to wait before asking again. Refuses to know what is asked.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Settings;

/// Repetitions of one thing.
pub(super) struct Patience {
    deadline: Instant,
    next: Duration,
    longest: Duration,
}

impl Patience {
    /// Patience for this long from now.
    pub(super) fn new(settings: &Settings, timeout: Duration) -> Self {
        let longest = settings.longest_pause;
        Self {
            deadline: Instant::now() + timeout,
            next: settings.first_pause.min(longest),
            longest,
        }
    }

    /// Whether it is used up.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Pauses, at least for half of what is due: instances that wait for the same thing come back at different times.
    pub(super) async fn pause(&mut self) {
        let left = self.deadline.saturating_duration_since(Instant::now());
        sleep(self.next.mul_f64(0.5 + fastrand::f64() / 2.0).min(left)).await;
        self.next = self.next.saturating_mul(2).min(self.longest);
    }
}
