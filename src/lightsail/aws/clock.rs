//! The service's clock beside ours.
//!
//! Signatures are refused when the two are more than five minutes apart. Owns the look at the `Date` of a reply, good or
//! bad. Does not correct anything.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_lightsail::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_lightsail::primitives::{DateTime, DateTimeFormat};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use time::{Duration, OffsetDateTime};

use super::{Aws, failure};

impl Aws {
    /// How far the service's clock is ahead of ours, to the second; `None` where no reply came or none with a date. Asks
    /// for a list of instances, and does not mind being refused it.
    pub async fn clock(&self, region: &str) -> Option<Duration> {
        const ACTION: &str = "GetInstances";
        let client = self.0.client(ACTION, region).ok()?;
        let seen = Seen::default();
        let _ = self
            .0
            .read(ACTION, region, region, async || {
                let request = client.get_instances().customize();
                let reply = request.interceptor(seen.clone()).send().await;
                reply.map_err(|error| failure::read(ACTION, region, &error))
            })
            .await;
        *seen.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The difference that the last reply showed.
#[derive(Clone, Debug, Default)]
struct Seen(Arc<Mutex<Option<Duration>>>);

impl Intercept for Seen {
    fn name(&self) -> &'static str {
        "Clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let ahead = date.and_then(|date| ahead(date, OffsetDateTime::now_utc()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ahead;
        Ok(())
    }
}

fn ahead(date: &str, now: OffsetDateTime) -> Option<Duration> {
    let date = DateTime::from_str(date, DateTimeFormat::HttpDate).ok()?;
    Some(Duration::seconds(
        date.secs().checked_sub(now.unix_timestamp())?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lightsail::aws::{Deadlines, Reply};

    #[test]
    fn dates_are_compared_to_the_second() {
        let now = OffsetDateTime::from_unix_timestamp(1_767_225_600).expect("a time");
        for (date, seconds) in [
            ("Thu, 01 Jan 2026 00:00:00 GMT", Some(0)),
            ("Thu, 01 Jan 2026 00:05:01 GMT", Some(301)),
            ("Wed, 31 Dec 2025 23:59:00 GMT", Some(-60)),
            ("yesterday", None),
        ] {
            assert_eq!(
                ahead(date, now).map(Duration::whole_seconds),
                seconds,
                "{date}"
            );
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_refusal_has_a_date_too() {
        let reply = |headers: Vec<(String, String)>| Reply {
            status: 400,
            headers,
            body: br#"{"__type": "InvalidSignatureException", "message": "no"}"#.to_vec(),
        };
        let date = (
            "date".to_owned(),
            "Thu, 01 Jan 2015 00:00:00 GMT".to_owned(),
        );
        let long_ago = Aws::canned(reply(vec![date]), Deadlines::default());
        let ahead = long_ago.clock("eu-central-1").await;
        assert!(ahead.is_some_and(|ahead| ahead < Duration::days(-365)));
        let silent = Aws::canned(reply(Vec::new()), Deadlines::default());
        assert_eq!(silent.clock("eu-central-1").await, None);
    }
}
