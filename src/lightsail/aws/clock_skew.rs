//! Clock skew: the difference between the clock of the service and the one of this machine.
//!
//! The service refuses signatures if it exceeds five minutes. Owns the comparison with the `Date` of a response, successful or not. Does
//! not correct anything.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_lightsail::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_lightsail::primitives::{DateTime, DateTimeFormat};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use time::{Duration, OffsetDateTime};

use super::Aws;
use super::call::ApiCall;

impl Aws {
    /// How far the clock of the service is ahead of the local one, to the second; `None` if there is no response with a date. Calls
    /// `GetInstances`, which may fail.
    pub(crate) async fn clock_skew(&self, region: &str) -> Option<Duration> {
        let call = ApiCall::new("GetInstances", region, region);
        let client = self.0.client(&call).ok()?;
        let skew = DateInterceptor::default();
        let response = self.0.read(&call, async || {
            let request = client.get_instances().customize();
            request.interceptor(skew.clone()).send().await
        });
        let _ = response.await;
        *skew.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds the skew by the last response.
#[derive(Clone, Debug, Default)]
struct DateInterceptor(Arc<Mutex<Option<Duration>>>);

impl Intercept for DateInterceptor {
    fn name(&self) -> &'static str {
        "DateInterceptor"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let skew = date.and_then(|date| skew(date, OffsetDateTime::now_utc()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = skew;
        Ok(())
    }
}

fn skew(date: &str, now: OffsetDateTime) -> Option<Duration> {
    let date = DateTime::from_str(date, DateTimeFormat::HttpDate).ok()?;
    Some(Duration::seconds(
        date.secs().checked_sub(now.unix_timestamp())?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lightsail::aws::{Deadlines, FixedResponse};

    #[test]
    fn skew_is_in_whole_seconds() {
        let now = OffsetDateTime::from_unix_timestamp(1_767_225_600).expect("a time");
        for (date, seconds) in [
            ("Thu, 01 Jan 2026 00:00:00 GMT", Some(0)),
            ("Thu, 01 Jan 2026 00:05:01 GMT", Some(301)),
            ("Wed, 31 Dec 2025 23:59:00 GMT", Some(-60)),
            ("yesterday", None),
        ] {
            assert_eq!(
                skew(date, now).map(Duration::whole_seconds),
                seconds,
                "{date}"
            );
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn error_response_has_a_date() {
        let response = |headers: Vec<(String, String)>| FixedResponse {
            status: 400,
            headers,
            body: br#"{"__type": "InvalidSignatureException", "message": "no"}"#.to_vec(),
        };
        let date = (
            "date".to_owned(),
            "Thu, 01 Jan 2015 00:00:00 GMT".to_owned(),
        );
        let aws = Aws::with_fixed_response(response(vec![date]), Deadlines::default());
        let skew = aws.clock_skew("eu-central-1").await;
        assert!(skew.is_some_and(|skew| skew < Duration::days(-365)));
        let aws = Aws::with_fixed_response(response(Vec::new()), Deadlines::default());
        assert_eq!(aws.clock_skew("eu-central-1").await, None);
    }
}
