//! Clock: the source of time of the executor.
//!
//! **Owns** the trait, and the clock of this machine. **Does not** decide how long anything may take. Tests have a clock of their
//! own, so that they do not depend on the load of the machine.

use std::fmt;
use std::pin::Pin;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

/// A future that ends after a pause.
pub type Pause<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Tells the time and waits.
pub trait Clock: fmt::Debug {
    /// The time of day.
    fn now(&self) -> OffsetDateTime;

    /// The time since a fixed moment. It never decreases.
    fn elapsed(&self) -> Duration;

    /// Waits for this long.
    fn sleep(&self, span: Duration) -> Pause<'_>;
}

/// The clock of this machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn elapsed(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }

    fn sleep(&self, span: Duration) -> Pause<'_> {
        Box::pin(tokio::time::sleep(span))
    }
}
