//! The HTTP client that everything shares: Lightsail, and whatever the credential chain talks to.
//!
//! Owns the choice of TLS and when its cost is paid. The platform's root certificates take milliseconds to parse, so they
//! are read on the first request to an `https` address and never for plain `http`. Every reply is read within `limits`.
//! Does not know what is asked.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_sdk_lightsail::config::{
    HttpClient, RuntimeComponents, SharedAsyncSleep, SharedHttpClient,
};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Connector, proxy::ProxyConfig};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

use super::limits::Bounded;

/// One client with one connection pool for each pair of timeouts.
pub(super) fn client() -> SharedHttpClient {
    SharedHttpClient::new(ByScheme::default())
}

/// A connection for something that is asked once, without timeouts: the caller has a deadline, and reads no body.
pub(super) fn connector() -> SharedHttpConnector {
    SharedHttpConnector::new(Lazy {
        settings: HttpConnectorSettings::builder().build(),
        sleep: None,
        plain: OnceLock::new(),
        secure: OnceLock::new(),
    })
}

type Timeouts = (Option<Duration>, Option<Duration>);

#[derive(Debug, Default)]
struct ByScheme {
    connectors: Mutex<Vec<(Timeouts, SharedHttpConnector)>>,
}

impl HttpClient for ByScheme {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let timeouts = (settings.connect_timeout(), settings.read_timeout());
        let mut connectors = self
            .connectors
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, connector)) = connectors.iter().find(|(known, _)| *known == timeouts) {
            return connector.clone();
        }
        let connector = SharedHttpConnector::new(Bounded::new(Lazy {
            settings: settings.clone(),
            sleep: components.sleep_impl(),
            plain: OnceLock::new(),
            secure: OnceLock::new(),
        }));
        connectors.push((timeouts, connector.clone()));
        connector
    }
}

#[derive(Debug)]
struct Lazy {
    settings: HttpConnectorSettings,
    sleep: Option<SharedAsyncSleep>,
    plain: OnceLock<Connector>,
    secure: OnceLock<Connector>,
}

impl Lazy {
    /// For loopback: an emulator, or the metadata services of an instance or a container. No proxy stands before those.
    fn plain(&self) -> Connector {
        let builder = self
            .builder()
            .tls_provider(Provider::Rustls(CryptoMode::Ring));
        match TlsContext::builder()
            .with_trust_store(TrustStore::empty())
            .build()
        {
            Ok(no_roots) => builder.tls_context(no_roots).build(),
            Err(_) => builder.build(),
        }
    }

    fn secure(&self) -> Connector {
        self.builder()
            .proxy_config(ProxyConfig::from_env())
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build()
    }

    fn builder(&self) -> aws_smithy_http_client::ConnectorBuilder {
        let mut builder = Connector::builder().connector_settings(self.settings.clone());
        builder.set_sleep_impl(self.sleep.clone());
        builder
    }
}

impl HttpConnector for Lazy {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let https = request
            .uri()
            .get(..6)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
        let connector = if https {
            self.secure.get_or_init(|| self.secure())
        } else {
            self.plain.get_or_init(|| self.plain())
        };
        connector.call(request)
    }
}
