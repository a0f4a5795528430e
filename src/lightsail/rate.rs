//! Request rates: token buckets that stay below the documented ones of the service.
//!
//! Owns the arithmetic and the adaptation of a bucket. Time is passed in, as a duration since any fixed moment. Does not wait.
//!
//! The service has a bucket of twenty calls for each action, account and region. The bucket here has nineteen, because calls may arrive
//! closer together than they were sent. If the service throttles all the same (other tools and the console use the same buckets), the
//! bucket is emptied and its refill is halved; the refill grows back linearly, by half in thirty seconds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The burst of a bucket of the service (user guide, "Request throttling").
const DOCUMENTED_BURST: f64 = 20.0;

/// The burst of the buckets of this program.
const BURST: f64 = DOCUMENTED_BURST - 1.0;

/// The time in which the refill grows from zero to the full rate. Slow enough that a share of one call in five for another tool leads to
/// throttling no more than about once in ten seconds.
const RECOVERY: Duration = Duration::from_mins(1);

/// The minimum refill, as a part of the full rate, so that calls always continue.
const MIN_REFILL_SHARE: f64 = 1.0 / 16.0;

/// The refill is halved at most once in this time, because concurrent calls are throttled together.
const MIN_HALVING_INTERVAL: Duration = Duration::from_secs(1);

/// The tolerance for waits that were rounded down.
const ROUNDING: f64 = 1e-6;

/// The part of the documented rates to use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate(Option<f64>);

impl Rate {
    /// The full documented rates.
    pub const FULL: Self = Self(Some(1.0));

    /// No limit: calls are sent at once, and throttled ones are repeated.
    pub const UNLIMITED: Self = Self(None);

    /// A part of the documented rates: above 0, at most 1. `None` for any other number.
    pub(crate) fn of_share(share: f64) -> Option<Self> {
        (share > 0.0 && share <= 1.0).then_some(Self(Some(share)))
    }

    /// The part of the documented rates, such as `0.5`, if it is not the full rate.
    pub(crate) fn share_text(self) -> Option<String> {
        let share = self.0.filter(|share| *share < 1.0)?;
        Some(share.to_string())
    }

    /// The minimum time for this many calls of an action, such as `GetInstances`, by the documented rates and with full buckets.
    /// For `unlimited` this is the time at the full rates, which the service enforces.
    pub(crate) fn minimum_time(self, action: &str, calls: u64) -> Duration {
        let share = self.0.unwrap_or(1.0);
        // More than this takes years.
        let calls = f64::from(u32::try_from(calls).unwrap_or(u32::MAX));
        let wait = (calls - DOCUMENTED_BURST * share).max(0.0) / (refill(action) * share);
        Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX)
    }

    /// A full bucket of an action; `None` if there is no limit.
    pub(super) fn bucket(self, action: &str, now: Duration) -> Option<TokenBucket> {
        let share = self.0?;
        let burst = (BURST * share).floor().max(1.0);
        Some(TokenBucket {
            burst,
            refill: refill(action) * share,
            tokens: burst,
            refill_share: 1.0,
            updated_at: now,
            halved_at: None,
        })
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self::FULL
    }
}

/// A number, or `unlimited`.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(share) => share.fmt(f),
            None => f.write_str("unlimited"),
        }
    }
}

/// The text is not a valid rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a number above 0 and at most 1, or `unlimited`")]
pub struct RateError;

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        if text == "unlimited" {
            return Ok(Self::UNLIMITED);
        }
        text.parse().ok().and_then(Self::of_share).ok_or(RateError)
    }
}

/// The documented number of calls per second of an action.
fn refill(action: &str) -> f64 {
    match action {
        "PutInstancePublicPorts"
        | "OpenInstancePublicPorts"
        | "CloseInstancePublicPorts"
        | "GetInstance"
        | "GetInstances"
        | "GetInstanceState"
        | "GetOperations" => 5.0,
        // "All other Get actions", and `TagResource` and `UntagResource`, whose bucket is twice as large besides.
        _ => 10.0,
    }
}

#[derive(Clone, Debug)]
pub(super) struct TokenBucket {
    burst: f64,
    /// Tokens per second at the full rate.
    refill: f64,
    tokens: f64,
    /// The part of the full rate at `updated_at`.
    refill_share: f64,
    updated_at: Duration,
    halved_at: Option<Duration>,
}

impl TokenBucket {
    /// Takes a token, or says how long to wait before asking again.
    pub(super) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        self.advance(now);
        if self.tokens >= 1.0 - ROUNDING {
            self.tokens -= 1.0;
            return Ok(());
        }
        // The refill may grow meanwhile, so this is never too short, and only a little too long.
        let wait = (1.0 - self.tokens) / (self.refill * self.refill_share);
        Err(Duration::try_from_secs_f64(wait).unwrap_or(RECOVERY))
    }

    /// The minimum time in which this many calls are permitted from now on.
    pub(super) fn minimum_time(&self, calls: usize, now: Duration) -> Duration {
        let mut bucket = self.clone();
        bucket.advance(now);
        // More than this takes years.
        let calls = f64::from(u32::try_from(calls).unwrap_or(u32::MAX));
        let missing = (calls - bucket.tokens).max(0.0);
        // While the refill grows, its mean counts; after that, the full refill.
        let growing = (1.0 - bucket.refill_share) * RECOVERY.as_secs_f64();
        let while_growing = growing * f64::midpoint(bucket.refill_share, 1.0) * bucket.refill;
        let wait = if missing <= while_growing {
            missing / (bucket.refill * f64::midpoint(bucket.refill_share, 1.0))
        } else {
            growing + (missing - while_growing) / bucket.refill
        };
        Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX)
    }

    /// Reacts to throttling by the service.
    pub(super) fn record_throttling(&mut self, now: Duration) {
        self.advance(now);
        self.tokens = self.tokens.min(0.0);
        let since_halving = self
            .halved_at
            .map(|halved_at| now.saturating_sub(halved_at));
        if since_halving.is_some_and(|since| since < MIN_HALVING_INTERVAL) {
            return;
        }
        self.halved_at = Some(now);
        self.refill_share = (self.refill_share / 2.0).max(MIN_REFILL_SHARE);
    }

    /// Adds the tokens up to `now`. Adds none if the clock does not advance.
    fn advance(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.updated_at).as_secs_f64();
        let full = RECOVERY.as_secs_f64();
        self.updated_at = self.updated_at.max(now);
        // First the refill grows linearly, then it is constant.
        let growing = passed.min((1.0 - self.refill_share) * full);
        let grown = self.refill_share + growing / full;
        let filled = growing * f64::midpoint(self.refill_share, grown) + (passed - growing);
        self.refill_share = grown.min(1.0);
        self.tokens = (self.tokens + self.refill * filled).min(self.burst);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ACTIONS: [(&str, f64); 3] = [
        ("PutInstancePublicPorts", 5.0),
        ("GetInstances", 5.0),
        ("GetInstancePortStates", 10.0),
    ];

    /// The bucket of the service, as documented.
    struct ServiceBucket {
        tokens: f64,
        refill: f64,
        at: Duration,
    }

    impl ServiceBucket {
        fn accepts(&mut self, now: Duration) -> bool {
            let passed = now.saturating_sub(self.at).as_secs_f64();
            self.at = now;
            self.tokens = (self.tokens + passed * self.refill).min(20.0) - 1.0;
            self.tokens >= 0.0
        }
    }

    fn bucket(action: &str, share: f64) -> TokenBucket {
        let rate = Rate::of_share(share).expect("a share");
        rate.bucket(action, Duration::ZERO).expect("paced")
    }

    /// Takes tokens one after the other, each as soon as possible; returns how long that took.
    fn time_to_take(bucket: &mut TokenBucket, tokens: usize, from: Duration) -> Duration {
        let mut now = from;
        for _ in 0..tokens {
            while let Err(wait) = bucket.take(now) {
                now += wait;
            }
        }
        now.saturating_sub(from)
    }

    #[test]
    fn rate_survives_a_text_round_trip() {
        for text in ["1", "0.125", "unlimited"] {
            assert_eq!(
                text.parse::<Rate>().map(|rate| rate.to_string()),
                Ok(text.to_owned())
            );
        }
        for text in ["0", "-1", "1.5", "NaN", "inf", "", "full", "1/3"] {
            assert_eq!(text.parse::<Rate>(), Err(RateError), "{text}");
        }
        assert!(
            Rate::UNLIMITED
                .bucket("GetInstance", Duration::ZERO)
                .is_none()
        );
    }

    #[test]
    fn pacing_takes_hardly_longer_than_the_minimum() {
        for (action, refill) in ACTIONS {
            let end = time_to_take(&mut bucket(action, 1.0), 500, Duration::ZERO);
            let limit = (500.0 - 20.0) / refill;
            assert!(
                (limit..limit * 1.01).contains(&end.as_secs_f64()),
                "{action}: {end:?}"
            );
        }
    }

    #[test]
    fn calls_take_at_least_the_minimum_time() {
        let seconds = |rate: &str, action, calls| {
            let rate: Rate = rate.parse().expect("a rate");
            rate.minimum_time(action, calls).as_secs_f64()
        };
        for (rate, action, calls, least) in [
            ("1", "PutInstancePublicPorts", 1_000, 196.0),
            ("1", "GetInstancePortStates", 2_000, 198.0),
            ("unlimited", "GetInstancePortStates", 2_000, 198.0),
            ("0.5", "GetInstancePortStates", 2_000, 398.0),
            ("1", "GetInstances", 20, 0.0),
            ("1", "GetInstances", 0, 0.0),
        ] {
            assert!((seconds(rate, action, calls) - least).abs() < 1e-6);
        }
        for (action, _) in ACTIONS {
            for calls in [1_u32, 19, 20, 21, 400] {
                let end = time_to_take(&mut bucket(action, 1.0), calls as usize, Duration::ZERO);
                let least = Rate::FULL.minimum_time(action, u64::from(calls));
                assert!(
                    least <= end && end <= least + Duration::from_millis(201),
                    "{end:?}"
                );
            }
        }
        assert_eq!(Rate::FULL.share_text(), None);
        assert_eq!(
            Rate::of_share(0.5).and_then(Rate::share_text).as_deref(),
            Some("0.5")
        );
    }

    #[test]
    fn throttling_halves_the_refill_for_a_while() {
        let mut bucket = bucket("GetInstancePortStates", 1.0);
        let now = Duration::from_secs(100);
        // Throttled calls of one burst count once.
        for _ in 0..19 {
            bucket.record_throttling(now);
        }
        let end = time_to_take(&mut bucket, 10, now);
        assert!((1.7..2.0).contains(&end.as_secs_f64()), "{end:?}");
        // Forty seconds later the refill is as before.
        let now = now + Duration::from_secs(40);
        let end = time_to_take(&mut bucket, 119, now);
        assert!((9.9..10.1).contains(&end.as_secs_f64()), "{end:?}");
        // Repeated throttling does not stop the refill.
        for second in 0..100 {
            bucket.record_throttling(now + Duration::from_secs(second));
        }
        let now = now + Duration::from_secs(99);
        let end = time_to_take(&mut bucket, 1, now);
        assert!((0.1..2.0).contains(&end.as_secs_f64()), "{end:?}");
    }

    #[test]
    fn minimum_time_is_close_to_the_real_time() {
        for (action, _) in ACTIONS {
            for throttled in [false, true] {
                for (before, calls) in [(0, 10), (0, 300), (19, 50), (60, 200)] {
                    let mut bucket = bucket(action, 1.0);
                    let mut now = time_to_take(&mut bucket, before, Duration::ZERO);
                    if throttled {
                        bucket.record_throttling(now);
                    }
                    let minimum = bucket.minimum_time(calls, now).as_secs_f64();
                    let took = time_to_take(&mut bucket, calls, now).as_secs_f64();
                    now += Duration::from_secs(1);
                    assert!(
                        minimum <= took + 1.0 && took <= minimum * 1.6 + 0.5,
                        "{action} {throttled} {before} {calls}: {minimum} {took} {now:?}"
                    );
                }
            }
        }
    }

    proptest! {
        /// A permitted call is never refused by a bucket of the service that no other client uses.
        #[test]
        fn calls_stay_within_the_documented_bucket(
            (action, refill) in prop::sample::select(ACTIONS.to_vec()),
            share in prop::sample::select(vec![1.0, 0.9, 0.5, 0.125, 0.01]),
            steps in prop::collection::vec((0..3_000_u64, 0..40_usize, prop::bool::weighted(0.1)), 1..60),
        ) {
            let mut service = ServiceBucket { tokens: 20.0, refill: refill * share, at: Duration::ZERO };
            let (mut bucket, mut now) = (bucket(action, share), Duration::ZERO);
            for (millis, calls, throttled) in steps {
                now += Duration::from_millis(millis);
                if throttled {
                    bucket.record_throttling(now);
                }
                for _ in 0..calls {
                    if bucket.take(now).is_ok() {
                        prop_assert!(service.accepts(now), "{service_tokens}", service_tokens = service.tokens);
                    }
                }
            }
        }

        #[test]
        fn bucket_refills_while_waiting(
            cuts in prop::collection::vec(0..5_000_u64, 0..8), share in 0.01..=1.0_f64,
        ) {
            let (mut bucket, mut now) = (bucket("GetInstance", share), Duration::ZERO);
            for millis in cuts {
                now += Duration::from_millis(millis);
                bucket.record_throttling(now);
            }
            for _ in 0..30 {
                let mut asked = 0;
                while let Err(wait) = bucket.take(now) {
                    asked += 1;
                    prop_assert!(asked <= 2 && wait.as_secs_f64() <= 2.0 / (5.0 * share * MIN_REFILL_SHARE), "{wait:?}");
                    now += wait;
                }
            }
        }

        #[test]
        fn bucket_accepts_any_clock(times in prop::collection::vec(any::<u32>(), 1..50)) {
            let mut bucket = bucket("GetInstance", 1.0);
            for time in times {
                let _ = bucket.take(Duration::from_millis(u64::from(time)));
                prop_assert!((-1.0..=BURST).contains(&bucket.tokens) && (MIN_REFILL_SHARE..=1.0).contains(&bucket.refill_share));
            }
        }
    }
}
