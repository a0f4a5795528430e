//! Rate limiter: makes calls wait until the request rates permit them, one queue for each region and action.
//!
//! Owns the waiting, in the order of arrival. Does not know the rates; `rate` does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::rate::{Rate, TokenBucket};

/// The queues of one connection, which is for one account.
#[derive(Debug)]
pub(super) struct RateLimiter {
    rate: Rate,
    started: Instant,
    /// By region and action.
    queues: Mutex<BTreeMap<String, BTreeMap<&'static str, Arc<CallQueue>>>>,
}

#[derive(Debug)]
struct CallQueue {
    /// Held by the first call in the queue. It is passed on in the order of arrival.
    head: tokio::sync::Mutex<()>,
    bucket: Mutex<TokenBucket>,
    /// The number of tokens that were taken for later calls.
    reserved: AtomicUsize,
}

impl RateLimiter {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate,
            started: Instant::now(),
            queues: Mutex::default(),
        }
    }

    /// Waits until a call is permitted and returns how long that took; `None` if it would take longer than `max_wait`, and then no
    /// token is used.
    pub(super) async fn acquire(
        &self,
        action: &'static str,
        region: &str,
        max_wait: Duration,
    ) -> Option<Duration> {
        let Some(queue) = self.queue(action, region) else {
            return Some(Duration::ZERO);
        };
        if queue.take_reserved() {
            return Some(Duration::ZERO);
        }
        self.wait(&queue, max_wait).await
    }

    async fn wait(&self, queue: &CallQueue, max_wait: Duration) -> Option<Duration> {
        let arrived = Instant::now();
        let token = async {
            let _head = queue.head.lock().await;
            while let Err(wait) = queue.with_bucket(|bucket| bucket.take(self.started.elapsed())) {
                sleep(wait).await;
            }
        };
        timeout(max_wait, token).await.ok()?;
        Some(arrived.elapsed())
    }

    /// Waits like [`Self::acquire`], and permits the next call at once. `false` if the wait would be too long.
    pub(super) async fn reserve(
        &self,
        action: &'static str,
        region: &str,
        max_wait: Duration,
    ) -> bool {
        let Some(queue) = self.queue(action, region) else {
            return true;
        };
        let permitted = self.wait(&queue, max_wait).await.is_some();
        if permitted {
            queue.reserved.fetch_add(1, Ordering::Relaxed);
        }
        permitted
    }

    /// The minimum time for this many more calls.
    pub(super) fn minimum_time(
        &self,
        action: &'static str,
        region: &str,
        calls: usize,
    ) -> Duration {
        self.queue(action, region).map_or(Duration::ZERO, |queue| {
            queue.with_bucket(|bucket| bucket.minimum_time(calls, self.started.elapsed()))
        })
    }

    /// Slows down after the service throttled a call.
    pub(super) fn record_throttling(&self, action: &'static str, region: &str) {
        if let Some(queue) = self.queue(action, region) {
            tracing::debug!(action, region, "throttled: asking at half the rate");
            queue.with_bucket(|bucket| bucket.record_throttling(self.started.elapsed()));
        }
    }

    /// The queue of an action; `None` if there is no limit.
    fn queue(&self, action: &'static str, region: &str) -> Option<Arc<CallQueue>> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(region).and_then(|actions| actions.get(action)) {
            return Some(Arc::clone(queue));
        }
        let queue = Arc::new(CallQueue {
            head: tokio::sync::Mutex::default(),
            bucket: Mutex::new(self.rate.bucket(action, self.started.elapsed())?),
            reserved: AtomicUsize::default(),
        });
        queues
            .entry(region.to_owned())
            .or_default()
            .insert(action, Arc::clone(&queue));
        Some(queue)
    }
}

impl CallQueue {
    fn take_reserved(&self) -> bool {
        let taken = |reserved: usize| reserved.checked_sub(1);
        self.reserved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken)
            .is_ok()
    }

    fn with_bucket<T>(&self, act: impl FnOnce(&mut TokenBucket) -> T) -> T {
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
        let limiter = RateLimiter::new(Rate::FULL);
        let ended = Mutex::new(Vec::new());
        let calls = (0..22).map(|index| {
            let (limiter, ended) = (&limiter, &ended);
            async move {
                assert!(limiter.acquire(READ, "eu-central-1", LONG).await.is_some());
                ended.lock().expect("one thread").push(index);
            }
        });
        let started = Instant::now();
        join_all(calls).await;
        assert!(started.elapsed() >= Duration::from_millis(290));
        let ended = ended.into_inner().expect("one thread");
        assert_eq!(ended, (0..22).collect::<Vec<_>>());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn queues_are_separate_by_region_and_action() {
        let limiter = RateLimiter::new(Rate::FULL);
        for (action, region) in [
            (READ, "eu-central-1"),
            (READ, "eu-west-1"),
            ("GetInstance", "eu-west-1"),
        ] {
            for _ in 0..19 {
                assert!(
                    limiter
                        .acquire(action, region, Duration::ZERO)
                        .await
                        .is_some()
                );
            }
            assert_eq!(limiter.acquire(action, region, Duration::ZERO).await, None);
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn reserved_call_does_not_wait() {
        let (limiter, none) = (RateLimiter::new(Rate::FULL), Duration::ZERO);
        for _ in 0..19 {
            assert!(limiter.reserve(READ, "eu-central-1", none).await);
        }
        assert!(!limiter.reserve(READ, "eu-central-1", none).await);
        for _ in 0..19 {
            assert_eq!(
                limiter.acquire(READ, "eu-central-1", none).await,
                Some(none)
            );
        }
        assert_eq!(limiter.acquire(READ, "eu-central-1", none).await, None);
        assert!(
            RateLimiter::new(Rate::UNLIMITED)
                .reserve(READ, "eu-central-1", none)
                .await
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn throttling_empties_the_bucket_and_expired_waits_use_no_token() {
        let limiter = RateLimiter::new(Rate::FULL);
        limiter.record_throttling(READ, "eu-central-1");
        for _ in 0..30 {
            assert_eq!(
                limiter.acquire(READ, "eu-central-1", Duration::ZERO).await,
                None
            );
        }
        let waited = limiter.acquire(READ, "eu-central-1", LONG).await;
        assert!(waited.is_some_and(|waited| waited < Duration::from_secs(1)));
        let unlimited = RateLimiter::new(Rate::UNLIMITED);
        unlimited.record_throttling(READ, "eu-central-1");
        let waited = unlimited
            .acquire(READ, "eu-central-1", Duration::ZERO)
            .await;
        assert_eq!(waited, Some(Duration::ZERO));
    }
}
