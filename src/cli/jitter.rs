//! A random delay before the first call, so that many machines with synchronous clocks do not call at once.
//!
//! **Owns** the choice and the sleep, which a signal ends. **Does not** know when a verb needs a delay.

use std::time::Duration;

use super::error::CommandError;
use super::signals::interruptible;

/// A duration from 0 to `max`, seeded by the operating system.
pub(super) fn random_delay(max: Duration) -> Duration {
    scaled(max, fastrand::f64())
}

/// Sleeps; a signal is an error.
pub(super) async fn sleep(wait: Duration) -> Result<(), CommandError> {
    if wait.is_zero() {
        return Ok(());
    }
    tracing::info!(seconds = wait.as_secs(), "waiting a random time (--jitter)");
    interruptible(async {
        tokio::time::sleep(wait).await;
        Ok(())
    })
    .await
}

fn scaled(max: Duration, chance: f64) -> Duration {
    let seconds = max.as_secs_f64() * chance.clamp(0.0, 1.0);
    Duration::try_from_secs_f64(seconds).unwrap_or(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_below_its_maximum() {
        let max = Duration::from_mins(5);
        assert_eq!(scaled(max, 0.0), Duration::ZERO);
        assert_eq!(scaled(max, 0.5), Duration::from_secs(150));
        assert_eq!(scaled(max, 2.0), max);
        assert_eq!(random_delay(Duration::ZERO), Duration::ZERO);
        assert!((0..100).all(|_| random_delay(max) <= max));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn zero_jitter_does_not_wait() {
        assert!(sleep(Duration::ZERO).await.is_ok());
    }
}
