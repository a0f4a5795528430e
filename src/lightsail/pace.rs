//! Request rates: token buckets that stay below the documented ones of the service.
//!
//! Owns the arithmetic and the adaptation of a bucket. Time is passed in, as a duration since any fixed moment. Does not wait, or
//! know the calls.
//!
//! The service has a bucket of twenty calls for each action, account and region. Ours has nineteen, because calls may arrive closer
//! together than they were sent. If the service throttles all the same (other tools and the console use the same buckets), our bucket
//! is emptied and its refill is halved; the refill grows back linearly, by half in thirty seconds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The burst of a bucket of the service (user guide, "Request throttling").
const DOCUMENTED_BURST: f64 = 20.0;

/// The burst of our buckets.
const BURST: f64 = DOCUMENTED_BURST - 1.0;

/// The time in which the refill grows from zero to the full rate. Slow enough that a share of one call in five for another tool leads to
/// throttling no more than about once in ten seconds.
const RECOVERY: Duration = Duration::from_mins(1);

/// The minimum refill, as a part of the full rate, so that calls always continue.
const LEAST: f64 = 1.0 / 16.0;

/// The refill is halved at most once in this time, because concurrent calls are throttled together.
const ONE_CUT: Duration = Duration::from_secs(1);

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
    pub fn share(share: f64) -> Option<Self> {
        (share > 0.0 && share <= 1.0).then_some(Self(Some(share)))
    }

    /// The part of the documented rates, such as `0.5`, if it is not the full rate.
    pub fn part(self) -> Option<String> {
        let share = self.0.filter(|share| *share < 1.0)?;
        Some(share.to_string())
    }

    /// The minimum time for this many calls of an action, such as `GetInstances`, by the documented rates and with full buckets. For
    /// `unlimited` this is the time at the full rates, which the service enforces.
    pub fn least(self, action: &str, calls: u64) -> Duration {
        let share = self.0.unwrap_or(1.0);
        // More than this takes years.
        let calls = f64::from(u32::try_from(calls).unwrap_or(u32::MAX));
        let wait = (calls - DOCUMENTED_BURST * share).max(0.0) / (refill(action) * share);
        Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX)
    }

    /// A full bucket of an action; `None` if there is no limit.
    pub(super) fn bucket(self, action: &str, now: Duration) -> Option<Bucket> {
        let share = self.0?;
        let burst = (BURST * share).floor().max(1.0);
        Some(Bucket {
            burst,
            refill: refill(action) * share,
            tokens: burst,
            part: 1.0,
            at: now,
            cut_at: None,
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
        text.parse().ok().and_then(Self::share).ok_or(RateError)
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

/// A token bucket.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    burst: f64,
    /// Tokens per second at the full rate.
    refill: f64,
    tokens: f64,
    /// The part of the refill that is in force at `at`.
    part: f64,
    at: Duration,
    cut_at: Option<Duration>,
}

impl Bucket {
    /// Takes a token, or says how long to wait before asking again.
    pub(super) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        self.advance(now);
        if self.tokens >= 1.0 - ROUNDING {
            self.tokens -= 1.0;
            return Ok(());
        }
        // The refill may grow meanwhile, so this is never too short, and too long by little.
        let wait = (1.0 - self.tokens) / (self.refill * self.part);
        Err(Duration::try_from_secs_f64(wait).unwrap_or(RECOVERY))
    }

    /// The least time in which this many calls get through from now on.
    pub(super) fn least(&self, calls: usize, now: Duration) -> Duration {
        let mut bucket = self.clone();
        bucket.advance(now);
        // More than this takes years.
        let calls = f64::from(u32::try_from(calls).unwrap_or(u32::MAX));
        let missing = (calls - bucket.tokens).max(0.0);
        // While the refill grows it gives its mean, and all of it after that.
        let growing = (1.0 - bucket.part) * RECOVERY.as_secs_f64();
        let meanwhile = growing * f64::midpoint(bucket.part, 1.0) * bucket.refill;
        let wait = if missing <= meanwhile {
            missing / (bucket.refill * f64::midpoint(bucket.part, 1.0))
        } else {
            growing + (missing - meanwhile) / bucket.refill
        };
        Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX)
    }

    /// Reacts to throttling by the service.
    pub(super) fn throttled(&mut self, now: Duration) {
        self.advance(now);
        self.tokens = self.tokens.min(0.0);
        if self
            .cut_at
            .is_some_and(|cut_at| now.saturating_sub(cut_at) < ONE_CUT)
        {
            return;
        }
        self.cut_at = Some(now);
        self.part = (self.part / 2.0).max(LEAST);
    }

    /// Adds the tokens up to `now`. Adds none if the clock does not advance.
    fn advance(&mut self, now: Duration) {
        let (passed, full) = (
            now.saturating_sub(self.at).as_secs_f64(),
            RECOVERY.as_secs_f64(),
        );
        self.at = self.at.max(now);
        // First the refill grows evenly, then it is all there.
        let growing = passed.min((1.0 - self.part) * full);
        let grown = self.part + growing / full;
        let filled = growing * f64::midpoint(self.part, grown) + (passed - growing);
        self.part = grown.min(1.0);
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

    /// What the service does, by its documents.
    struct Service {
        tokens: f64,
        refill: f64,
        at: Duration,
    }

    impl Service {
        fn accepts(&mut self, now: Duration) -> bool {
            let passed = now.saturating_sub(self.at).as_secs_f64();
            self.at = now;
            self.tokens = (self.tokens + passed * self.refill).min(20.0) - 1.0;
            self.tokens >= 0.0
        }
    }

    fn bucket(action: &str, share: f64) -> Bucket {
        let rate = Rate::share(share).expect("a share");
        rate.bucket(action, Duration::ZERO).expect("paced")
    }

    /// Takes tokens one after the other, each as soon as it is there; how long that took.
    fn taken(bucket: &mut Bucket, tokens: usize, from: Duration) -> Duration {
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
            let end = taken(&mut bucket(action, 1.0), 500, Duration::ZERO);
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
            rate.least(action, calls).as_secs_f64()
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
                let end = taken(&mut bucket(action, 1.0), calls as usize, Duration::ZERO);
                let least = Rate::FULL.least(action, u64::from(calls));
                assert!(
                    least <= end && end <= least + Duration::from_millis(201),
                    "{end:?}"
                );
            }
        }
        assert_eq!(Rate::FULL.part(), None);
        assert_eq!(
            Rate::share(0.5).and_then(Rate::part).as_deref(),
            Some("0.5")
        );
    }

    #[test]
    fn throttling_halves_the_refill_for_a_while() {
        let mut bucket = bucket("GetInstancePortStates", 1.0);
        let now = Duration::from_secs(100);
        // Nineteen answers to one burst are one lesson.
        for _ in 0..19 {
            bucket.throttled(now);
        }
        let end = taken(&mut bucket, 10, now);
        assert!((1.7..2.0).contains(&end.as_secs_f64()), "{end:?}");
        // Half a minute later it is as before.
        let now = now + Duration::from_secs(40);
        let end = taken(&mut bucket, 119, now);
        assert!((9.9..10.1).contains(&end.as_secs_f64()), "{end:?}");
        // However often it is said, something still moves.
        for second in 0..100 {
            bucket.throttled(now + Duration::from_secs(second));
        }
        let now = now + Duration::from_secs(99);
        let end = taken(&mut bucket, 1, now);
        assert!((0.1..2.0).contains(&end.as_secs_f64()), "{end:?}");
    }

    #[test]
    fn minimum_time_is_exact() {
        for (action, _) in ACTIONS {
            for throttled in [false, true] {
                for (before, calls) in [(0, 10), (0, 300), (19, 50), (60, 200)] {
                    let mut bucket = bucket(action, 1.0);
                    let mut now = taken(&mut bucket, before, Duration::ZERO);
                    if throttled {
                        bucket.throttled(now);
                    }
                    let said = bucket.least(calls, now).as_secs_f64();
                    let took = taken(&mut bucket, calls, now).as_secs_f64();
                    now += Duration::from_secs(1);
                    assert!(
                        said <= took + 1.0 && took <= said * 1.6 + 0.5,
                        "{action} {throttled} {before} {calls}: {said} {took} {now:?}"
                    );
                }
            }
        }
    }

    proptest! {
        /// However calls come, and whatever the service says, none is let through that a bucket of the service which
        /// knows only us would refuse.
        #[test]
        fn calls_stay_within_the_documented_bucket(
            (action, refill) in prop::sample::select(ACTIONS.to_vec()),
            share in prop::sample::select(vec![1.0, 0.9, 0.5, 0.125, 0.01]),
            steps in prop::collection::vec((0..3_000_u64, 0..40_usize, prop::bool::weighted(0.1)), 1..60),
        ) {
            let mut service = Service { tokens: 20.0, refill: refill * share, at: Duration::ZERO };
            let (mut bucket, mut now) = (bucket(action, share), Duration::ZERO);
            for (millis, calls, throttled) in steps {
                now += Duration::from_millis(millis);
                if throttled {
                    bucket.throttled(now);
                }
                for _ in 0..calls {
                    if bucket.take(now).is_ok() {
                        prop_assert!(service.accepts(now), "{service_tokens}", service_tokens = service.tokens);
                    }
                }
            }
        }

        /// Whoever waits as long as told gets a token, soon.
        #[test]
        fn bucket_refills_while_waiting(
            cuts in prop::collection::vec(0..5_000_u64, 0..8), share in 0.01..=1.0_f64,
        ) {
            let (mut bucket, mut now) = (bucket("GetInstance", share), Duration::ZERO);
            for millis in cuts {
                now += Duration::from_millis(millis);
                bucket.throttled(now);
            }
            for _ in 0..30 {
                let mut asked = 0;
                while let Err(wait) = bucket.take(now) {
                    asked += 1;
                    prop_assert!(asked <= 2 && wait.as_secs_f64() <= 2.0 / (5.0 * share * LEAST), "{wait:?}");
                    now += wait;
                }
            }
        }

        /// A clock that jumps breaks nothing.
        #[test]
        fn bucket_accepts_any_clock(times in prop::collection::vec(any::<u32>(), 1..50)) {
            let mut bucket = bucket("GetInstance", 1.0);
            for time in times {
                let _ = bucket.take(Duration::from_millis(u64::from(time)));
                prop_assert!((-1.0..=BURST).contains(&bucket.tokens) && (LEAST..=1.0).contains(&bucket.part));
            }
        }
    }
}
