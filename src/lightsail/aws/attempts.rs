//! Attempts: how a call is made, how often, and within which deadlines.
//!
//! Owns the retries of reads, the wait for the request rates, the counts, and one log event for each attempt. Does not retry writes, or
//! log bodies.

use std::sync::PoisonError;
use std::time::Duration;

use aws_sdk_lightsail::config::http::HttpResponse;
use aws_sdk_lightsail::error::{ProvideErrorMetadata, SdkError};
use tokio::time::{Instant, sleep, timeout_at};

use super::super::{Error, ErrorKind};
use super::call::ApiCall;
use super::{Shared, sdk_error};

/// How often a read is attempted if the service or the network fails. Throttled reads are repeated until the deadline.
const ATTEMPTS: u32 = 5;

/// The longest pause between two attempts, so that a refilled bucket is noticed.
const MAX_PAUSE: Duration = Duration::from_secs(5);

impl Shared {
    /// Repeats a call until there is a response, a definite error, or no time left.
    pub(super) async fn read<T, E>(
        &self,
        call: &ApiCall<'_>,
        send: impl AsyncFn() -> Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<T, Error>
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let mut deadline = Instant::now() + self.deadlines.read;
        let mut max_wait = self.deadlines.queue;
        let mut attempt = 1;
        loop {
            let waited = self.acquire(call, max_wait).await?;
            // The wait for the rates does not count as time that the service takes.
            max_wait = max_wait.saturating_sub(waited);
            deadline += waited;
            let attempt_deadline = deadline.min(Instant::now() + self.deadlines.attempt);
            // Boxed, because the futures of the SDK are large.
            let response = self.attempt(call, attempt_deadline, Box::pin(send()));
            let error = match response.await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let pause = self.pause(attempt);
            let exhausted = attempt >= ATTEMPTS && error.kind() != ErrorKind::Throttled;
            if !error.is_retryable() || exhausted || Instant::now() + pause >= deadline {
                return Err(error);
            }
            sleep(pause).await;
            attempt += 1;
        }
    }

    /// Makes a call once.
    pub(super) async fn write<T, E>(
        &self,
        call: &ApiCall<'_>,
        send: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Error>
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        self.acquire(call, self.deadlines.queue).await?;
        let deadline = Instant::now() + self.deadlines.write;
        self.attempt(call, deadline, Box::pin(send)).await
    }

    /// Waits until the request rates permit the call, and returns how long that took.
    async fn acquire(&self, call: &ApiCall<'_>, max_wait: Duration) -> Result<Duration, Error> {
        let waited = self.limiter.acquire(call.action, call.region, max_wait);
        waited.await.ok_or_else(|| call.not_permitted(max_wait))
    }

    /// Sends a request. Logs and counts the result, and slows down if the service throttles.
    async fn attempt<T, E>(
        &self,
        call: &ApiCall<'_>,
        deadline: Instant,
        send: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Error>
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let ApiCall {
            action,
            region,
            target,
        } = call;
        let started = Instant::now();
        let result = match timeout_at(deadline, send).await {
            Ok(result) => result.map_err(|error| sdk_error::convert(call, &error)),
            Err(_) => Err(call.error(ErrorKind::Timeout, "no response in time")),
        };
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &result {
            Ok(_) => tracing::debug!(action, target, millis, "answered"),
            Err(error) => {
                let (code, request_id) = (error.code().unwrap_or("none"), error.request_id());
                tracing::debug!(action, target, millis, code, request_id, "failed");
            }
        }
        let kind = result.as_ref().err().map(Error::kind);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.count(action, kind);
        if kind == Some(ErrorKind::Throttled) {
            self.limiter.record_throttling(action, region);
        }
        result
    }

    /// The pause after an attempt. Half of it is random, so that calls that were throttled together are not repeated together.
    fn pause(&self, attempt: u32) -> Duration {
        let factor = 1 << attempt.min(8);
        let longest = self.deadlines.backoff.saturating_mul(factor).min(MAX_PAUSE) / 2;
        longest.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}
