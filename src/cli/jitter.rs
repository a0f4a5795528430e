//! A random wait before the first call, so that many machines whose clocks agree do not ask at once.
//!
//! Owns the choice and the wait. Does not outlast a signal.

use std::time::Duration;

use super::error::CommandError;
use super::signals::interruptible;

/// Somewhere between nothing and `most`, seeded by the operating system.
pub(super) fn chosen(most: Duration) -> Duration {
    part(most, fastrand::f64())
}

/// Waits, unless a signal ends it.
pub(super) async fn wait(wait: Duration) -> Result<(), CommandError> {
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

fn part(most: Duration, chance: f64) -> Duration {
    let seconds = most.as_secs_f64() * chance.clamp(0.0, 1.0);
    Duration::try_from_secs_f64(seconds).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_below_its_maximum() {
        let most = Duration::from_mins(5);
        assert_eq!(part(most, 0.0), Duration::ZERO);
        assert_eq!(part(most, 0.5), Duration::from_secs(150));
        assert_eq!(part(most, 2.0), most);
        assert_eq!(chosen(Duration::ZERO), Duration::ZERO);
        assert!((0..100).all(|_| chosen(most) <= most));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn zero_jitter_does_not_wait() {
        assert!(wait(Duration::ZERO).await.is_ok());
    }
}
