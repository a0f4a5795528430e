//! The SDK without a network: every request gets the same response, for tests and fuzzing of the parsers of responses.
//!
//! Owns the connector. Everything else is the same as in a real call. Does not read requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use aws_sdk_lightsail::config::retry::RetryConfig;
use aws_sdk_lightsail::config::{
    self, BehaviorVersion, Credentials, HttpClient, RuntimeComponents, SharedHttpClient,
    StalledStreamProtectionConfig,
};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;

use super::limits::LimitedConnector;
use super::{Aws, Deadlines, Shared};
use crate::lightsail::Rate;
use crate::lightsail::rate_limiter::RateLimiter;

/// An HTTP response, which need not be valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedResponse {
    /// The status, from 100 to 999; any other becomes 599, because the HTTP client does not accept it.
    pub status: u16,
    /// Names and values. Headers that HTTP does not allow are left out.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Aws {
    /// A client that makes one attempt, and a service that always returns this response.
    pub fn with_fixed_response(response: FixedResponse, deadlines: Deadlines) -> Self {
        let credentials = Credentials::new("test", "test", None, None, "fixed-response");
        let config = config::Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(credentials)
            .endpoint_url("http://fixed-response.invalid")
            .http_client(SharedHttpClient::new(FixedConnector(Arc::new(response))))
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        Self(Arc::new(Shared {
            config,
            source: None,
            sts: OnceLock::new(),
            clients: Mutex::new(BTreeMap::new()),
            deadlines,
            limiter: RateLimiter::new(Rate::UNLIMITED),
            counts: Mutex::default(),
        }))
    }
}

#[derive(Clone, Debug)]
struct FixedConnector(Arc<FixedResponse>);

impl HttpClient for FixedConnector {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(LimitedConnector::new(self.clone()))
    }
}

impl HttpConnector for FixedConnector {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let status = StatusCode::try_from(self.0.status)
            .or_else(|_| StatusCode::try_from(599))
            .expect("599 is a status");
        let mut response = HttpResponse::new(status, self.0.body.clone().into());
        for (name, value) in &self.0.headers {
            let _ = response
                .headers_mut()
                .try_append(name.clone(), value.clone());
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}
