//! Queues of calls that wait for the request rates, one for each region and action of a connection.
//!
//! Owns the waiting, in the order of arrival. Does not know the rates; `pace` does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::pace::{Bucket, Rate};

/// The queues of one connection, which is for one account.
#[derive(Debug)]
pub(super) struct Queue {
    rate: Rate,
    began: Instant,
    lines: Mutex<BTreeMap<String, BTreeMap<&'static str, Arc<Line>>>>,
}

#[derive(Debug)]
struct Line {
    /// Held by the first in the queue. It is passed on in the order of arrival.
    first: tokio::sync::Mutex<()>,
    bucket: Mutex<Bucket>,
    /// The number of turns that were reserved for later calls.
    reserved: Mutex<usize>,
}

impl Queue {
    /// Empty queues.
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate,
            began: Instant::now(),
            lines: Mutex::default(),
        }
    }

    /// Waits for a turn, at most for `longest`. Returns how long it waited; `None` if the wait would be longer, and then no turn is used.
    pub(super) async fn turn(
        &self,
        action: &'static str,
        region: &str,
        longest: Duration,
    ) -> Option<Duration> {
        let Some(line) = self.line(action, region) else {
            return Some(Duration::ZERO);
        };
        if line.take_reserved() {
            return Some(Duration::ZERO);
        }
        self.wait(&line, longest).await
    }

    async fn wait(&self, line: &Line, longest: Duration) -> Option<Duration> {
        let asked = Instant::now();
        let turn = async {
            let _first = line.first.lock().await;
            while let Err(wait) = line.with_bucket(|bucket| bucket.take(self.began.elapsed())) {
                sleep(wait).await;
            }
        };
        timeout(longest, turn).await.ok()?;
        Some(asked.elapsed())
    }

    /// Waits for a turn like [`Self::turn`], and reserves it for the next call. `false` if the wait would be too long.
    pub(super) async fn reserve(
        &self,
        action: &'static str,
        region: &str,
        longest: Duration,
    ) -> bool {
        let Some(line) = self.line(action, region) else {
            return true;
        };
        let came = self.wait(&line, longest).await.is_some();
        if came {
            line.with_reserved(|reserved| *reserved += 1);
        }
        came
    }

    /// The minimum time for this many more calls.
    pub(super) fn least(&self, action: &'static str, region: &str, calls: usize) -> Duration {
        self.line(action, region).map_or(Duration::ZERO, |line| {
            line.with_bucket(|bucket| bucket.least(calls, self.began.elapsed()))
        })
    }

    /// Reacts to throttling by the service.
    pub(super) fn throttled(&self, action: &'static str, region: &str) {
        if let Some(line) = self.line(action, region) {
            tracing::debug!(action, region, "throttled: asking at half the rate");
            line.with_bucket(|bucket| bucket.throttled(self.began.elapsed()));
        }
    }

    fn line(&self, action: &'static str, region: &str) -> Option<Arc<Line>> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(region).and_then(|actions| actions.get(action)) {
            return Some(Arc::clone(line));
        }
        let line = Arc::new(Line {
            first: tokio::sync::Mutex::default(),
            bucket: Mutex::new(self.rate.bucket(action, self.began.elapsed())?),
            reserved: Mutex::default(),
        });
        lines
            .entry(region.to_owned())
            .or_default()
            .insert(action, Arc::clone(&line));
        Some(line)
    }
}

impl Line {
    fn take_reserved(&self) -> bool {
        self.with_reserved(|reserved| {
            let there = *reserved > 0;
            *reserved = reserved.saturating_sub(1);
            there
        })
    }

    fn with_reserved<T>(&self, act: impl FnOnce(&mut usize) -> T) -> T {
        act(&mut self.reserved.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn with_bucket<T>(&self, act: impl FnOnce(&mut Bucket) -> T) -> T {
        act(&mut self.bucket.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    const READ: &str = "GetInstancePortStates";
    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test(flavor = "current_thread")]
    async fn calls_beyond_the_burst_wait_in_order() {
        let queue = Queue::new(Rate::FULL);
        let ended = Mutex::new(Vec::new());
        let calls = (0..22).map(|place| {
            let (queue, ended) = (&queue, &ended);
            async move {
                assert!(queue.turn(READ, "eu-central-1", LONG).await.is_some());
                ended.lock().expect("one thread").push(place);
            }
        });
        let began = Instant::now();
        join_all(calls).await;
        assert!(began.elapsed() >= Duration::from_millis(290));
        let ended = ended.into_inner().expect("one thread");
        assert_eq!(ended, (0..22).collect::<Vec<_>>());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn queues_are_separate_by_region_and_action() {
        let queue = Queue::new(Rate::FULL);
        for (action, region) in [
            (READ, "eu-central-1"),
            (READ, "eu-west-1"),
            ("GetInstance", "eu-west-1"),
        ] {
            for _ in 0..19 {
                assert!(queue.turn(action, region, Duration::ZERO).await.is_some());
            }
            assert_eq!(queue.turn(action, region, Duration::ZERO).await, None);
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn reserved_turn_is_used_at_once() {
        let (queue, none) = (Queue::new(Rate::FULL), Duration::ZERO);
        for _ in 0..19 {
            assert!(queue.reserve(READ, "eu-central-1", none).await);
        }
        assert!(!queue.reserve(READ, "eu-central-1", none).await);
        for _ in 0..19 {
            assert_eq!(queue.turn(READ, "eu-central-1", none).await, Some(none));
        }
        assert_eq!(queue.turn(READ, "eu-central-1", none).await, None);
        assert!(
            Queue::new(Rate::UNLIMITED)
                .reserve(READ, "eu-central-1", none)
                .await
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn throttling_empties_the_bucket_and_an_expired_wait_uses_no_turn() {
        let queue = Queue::new(Rate::FULL);
        queue.throttled(READ, "eu-central-1");
        for _ in 0..30 {
            assert_eq!(queue.turn(READ, "eu-central-1", Duration::ZERO).await, None);
        }
        let waited = queue.turn(READ, "eu-central-1", LONG).await;
        assert!(waited.is_some_and(|waited| waited < Duration::from_secs(1)));
        let unlimited = Queue::new(Rate::UNLIMITED);
        unlimited.throttled(READ, "eu-central-1");
        let waited = unlimited.turn(READ, "eu-central-1", Duration::ZERO).await;
        assert_eq!(waited, Some(Duration::ZERO));
    }
}
