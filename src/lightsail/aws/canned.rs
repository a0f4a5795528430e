//! The real SDK without a network: every request gets one reply that was made beforehand.
//!
//! For tests and fuzzing of what is read out of replies. Owns the way past the connection, and nothing of the way from
//! there on, which is the one of every call. Does not look at requests.

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

use super::limits::Bounded;
use super::{Aws, Deadlines, Shared};
use crate::lightsail::Rate;
use crate::lightsail::queue::Queue;

/// A whole reply, which may be any nonsense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status, at least 100 and at most 999: others cannot get through the HTTP client either, and become 599.
    pub status: u16,
    /// Names and values. What HTTP does not allow in a header is left out.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Aws {
    /// A service that answers every request with this reply, and a client that makes one attempt.
    pub fn canned(reply: Reply, deadlines: Deadlines) -> Self {
        let credentials = Credentials::new("test", "test", None, None, "canned");
        let base = config::Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(credentials)
            .endpoint_url("http://canned.invalid")
            .http_client(SharedHttpClient::new(Canned(Arc::new(reply))))
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        Self(Arc::new(Shared {
            base,
            source: None,
            sts: OnceLock::new(),
            clients: Mutex::new(BTreeMap::new()),
            deadlines,
            queue: Queue::new(Rate::UNLIMITED),
            tally: Mutex::default(),
        }))
    }
}

#[derive(Clone, Debug)]
struct Canned(Arc<Reply>);

impl HttpClient for Canned {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Bounded::new(self.clone()))
    }
}

impl HttpConnector for Canned {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let Reply {
            status,
            headers,
            body,
        } = &*self.0;
        let status = StatusCode::try_from(*status)
            .or_else(|_| StatusCode::try_from(599))
            .expect("599 is a status");
        let mut response = HttpResponse::new(status, body.clone().into());
        for (name, value) in headers {
            let _ = response
                .headers_mut()
                .try_append(name.clone(), value.clone());
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}
