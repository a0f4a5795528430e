//! Clock: the time, as the executor asks for it.
//!
//! **Owns** the questions that the executor has about time, and the answers of this machine. **Does not** decide how long
//! anything may take. A test brings a clock of its own, so that nothing depends on how busy the machine is.

use std::fmt;
use std::pin::Pin;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

/// A pause.
pub type Pause<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// What time it is, and how to wait.
pub trait Clock: fmt::Debug {
    /// The time of day.
    fn now(&self) -> OffsetDateTime;

    /// The time since some fixed moment. It never goes back.
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
