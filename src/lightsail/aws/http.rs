//! The HTTP client for Lightsail, the credential chain, and other services.
//!
//! Owns TLS. The root certificates of the platform take milliseconds to parse, so they are read before the first request to an `https` URL,
//! and never for `http`. Every response is read within `limits`. [`get`] and [`post`] are for services other than AWS, without types of the
//! SDK.

use std::error::Error as _;
use std::io;
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
use aws_smithy_runtime_api::client::result::ConnectorError;

use super::limits::LimitedConnector;

/// One client with one connection pool for each pair of timeouts.
pub(super) fn client() -> SharedHttpClient {
    SharedHttpClient::new(ConnectorPool::default())
}

/// A `POST` failed. Displays as a fragment without the URL or the value of a header, which may be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PostError {
    /// The URL is not valid.
    #[error("the address is not a valid URL")]
    Address,
    /// The value of this header is not valid.
    #[error("the value of the header `{0}` is not valid")]
    Header(&'static str),
    /// There was no response, for this reason.
    #[error("{0}")]
    Unreachable(String),
}

/// Sends a `POST` and returns the status of the response. Does not read its body, or follow redirects. There is no timeout: the caller has
/// a deadline.
///
/// # Errors
/// The request is not valid, or there is no response.
pub(crate) async fn post(
    url: &str,
    headers: &[(&'static str, &str)],
    body: &str,
) -> Result<u16, PostError> {
    let connector = LazyConnector::new(HttpConnectorSettings::builder().build(), None);
    let response = connector.call(post_request(url, headers, body)?).await;
    let response = response.map_err(|error| PostError::Unreachable(reason(&error)))?;
    Ok(response.status().as_u16())
}

/// Sends a `GET` and returns the text of a response with status 200. Does not follow redirects. There is no timeout: the caller has a
/// deadline.
///
/// # Errors
/// The reason, as a fragment.
pub(crate) async fn get(url: &str) -> Result<String, String> {
    let mut request = HttpRequest::new(String::new().into());
    let result = request.set_uri(url);
    result.map_err(|_| "the address is not a valid URL".to_owned())?;
    let agent = concat!("portward/", env!("CARGO_PKG_VERSION"));
    let result = request.headers_mut().try_insert("user-agent", agent);
    result.map_err(|_| "the request cannot be made".to_owned())?;
    let settings = HttpConnectorSettings::builder().build();
    let connector = LimitedConnector::new(LazyConnector::new(settings, None));
    let response = connector.call(request).await;
    let response = response.map_err(|error| reason(&error))?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(format!("the response was HTTP {status}"));
    }
    let text = response
        .body()
        .bytes()
        .and_then(|bytes| str::from_utf8(bytes).ok());
    text.map(str::to_owned)
        .ok_or_else(|| "the response is not text".to_owned())
}

fn post_request(
    url: &str,
    headers: &[(&'static str, &str)],
    body: &str,
) -> Result<HttpRequest, PostError> {
    let mut request = HttpRequest::new(body.to_owned().into());
    request.set_uri(url).map_err(|_| PostError::Address)?;
    request.set_method("POST").map_err(|_| PostError::Address)?;
    for (name, value) in headers {
        let value = (*value).to_owned();
        let inserted = request.headers_mut().try_insert(*name, value);
        inserted.map_err(|_| PostError::Header(name))?;
    }
    Ok(request)
}

/// The kind of the I/O error at the root, which contains no address.
fn reason(error: &ConnectorError) -> String {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>()
            && io.kind() != io::ErrorKind::Other
        {
            return io.kind().to_string();
        }
        source = inner.source();
    }
    if error.is_timeout() {
        return "no response in time".to_owned();
    }
    "no connection".to_owned()
}

type Timeouts = (Option<Duration>, Option<Duration>);

/// Connectors by timeouts.
#[derive(Debug, Default)]
struct ConnectorPool {
    connectors: Mutex<Vec<(Timeouts, SharedHttpConnector)>>,
}

impl HttpClient for ConnectorPool {
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
        let connector = LazyConnector::new(settings.clone(), components.sleep_impl());
        let connector = SharedHttpConnector::new(LimitedConnector::new(connector));
        connectors.push((timeouts, connector.clone()));
        connector
    }
}

/// A connector for each scheme, created by the first request.
#[derive(Debug)]
struct LazyConnector {
    settings: HttpConnectorSettings,
    sleep: Option<SharedAsyncSleep>,
    http: OnceLock<Connector>,
    https: OnceLock<Connector>,
}

impl LazyConnector {
    fn new(settings: HttpConnectorSettings, sleep: Option<SharedAsyncSleep>) -> Self {
        Self {
            settings,
            sleep,
            http: OnceLock::new(),
            https: OnceLock::new(),
        }
    }

    /// Without proxies, for an emulator, or the metadata services of an instance or a container.
    fn http(&self) -> Connector {
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

    fn https(&self) -> Connector {
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

impl HttpConnector for LazyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let is_https = request
            .uri()
            .get(..6)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
        let connector = if is_https {
            self.https.get_or_init(|| self.https())
        } else {
            self.http.get_or_init(|| self.http())
        };
        connector.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_post_is_an_error_without_secrets() {
        for (url, token, error) in [
            ("no url at all", "a", PostError::Address),
            (
                "http://127.0.0.1:9/x",
                "a\nb: c",
                PostError::Header("authorization"),
            ),
        ] {
            let request = post_request(url, &[("authorization", token)], "{}");
            assert_eq!(request.map(|_| ()), Err(error));
        }
        let headers = [("authorization", "Bearer abc")];
        let request = post_request("https://example.com/a?b", &headers, "{}").expect("a request");
        assert_eq!(
            (request.method(), request.uri()),
            ("POST", "https://example.com/a?b")
        );
        assert_eq!(request.headers().get("authorization"), Some("Bearer abc"));
    }
}
