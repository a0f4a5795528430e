//! The HTTP client that everything shares: Lightsail, and whatever the credential chain talks to.
//!
//! Owns the choice of TLS and when its cost is paid. The platform's root certificates take milliseconds to parse, so they
//! are read on the first request to an `https` address and never for plain `http`. Every reply is read within `limits`.
//! `post` lends the same client to those who ask somebody else than AWS, with no type of the SDK. Does not know what is asked.

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

use super::limits::Bounded;

/// One client with one connection pool for each pair of timeouts.
pub(super) fn client() -> SharedHttpClient {
    SharedHttpClient::new(ByScheme::default())
}

/// Why there is no answer to a `POST`. Tells neither the address nor a header, which may be secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PostError {
    /// The address is not a URL.
    Address,
    /// A header cannot stand in a request.
    Header,
    /// Nobody answered: a fragment that says why.
    Unreachable(String),
}

/// Sends a text by `POST`, over the same TLS as everything else, and gives the status of the answer, whose body is not read
/// and no redirect of which is followed. There is no timeout: the caller has a deadline.
///
/// # Errors
/// What kept an answer from coming.
pub(crate) async fn post(
    url: &str,
    headers: &[(&'static str, &str)],
    body: &str,
) -> Result<u16, PostError> {
    let connector = Lazy {
        settings: HttpConnectorSettings::builder().build(),
        sleep: None,
        plain: OnceLock::new(),
        secure: OnceLock::new(),
    };
    let answer = connector.call(request(url, headers, body)?).await;
    let answer = answer.map_err(|error| PostError::Unreachable(reason(&error)))?;
    Ok(answer.status().as_u16())
}

/// Asks by `GET`, over the same TLS as everything else, and gives the text of an answer with status 200. No redirect is
/// followed. There is no timeout: the caller has a deadline.
///
/// # Errors
/// What kept the text from coming, as a fragment.
pub(crate) async fn get(url: &str) -> Result<String, String> {
    let mut request = HttpRequest::new(String::new().into());
    let set = request.set_uri(url);
    set.map_err(|_| "the address is not a valid URL".to_owned())?;
    let agent = concat!("portward/", env!("CARGO_PKG_VERSION"));
    let set = request.headers_mut().try_insert("user-agent", agent);
    set.map_err(|_| "the request cannot be made".to_owned())?;
    let connector = Bounded::new(Lazy {
        settings: HttpConnectorSettings::builder().build(),
        sleep: None,
        plain: OnceLock::new(),
        secure: OnceLock::new(),
    });
    let answer = connector.call(request).await;
    let answer = answer.map_err(|error| reason(&error))?;
    let status = answer.status().as_u16();
    if status != 200 {
        return Err(format!("the answer was HTTP {status}"));
    }
    let text = answer
        .body()
        .bytes()
        .and_then(|bytes| str::from_utf8(bytes).ok());
    text.map(str::to_owned)
        .ok_or_else(|| "the answer is not text".to_owned())
}

fn request(
    url: &str,
    headers: &[(&'static str, &str)],
    body: &str,
) -> Result<HttpRequest, PostError> {
    let mut request = HttpRequest::new(body.to_owned().into());
    request.set_uri(url).map_err(|_| PostError::Address)?;
    request.set_method("POST").map_err(|_| PostError::Header)?;
    for (name, value) in headers {
        let value = (*value).to_owned();
        let inserted = request.headers_mut().try_insert(*name, value);
        inserted.map_err(|_| PostError::Header)?;
    }
    Ok(request)
}

/// What lies at the bottom of it, in words that hold no address.
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
        return "no answer in time".to_owned();
    }
    "no connection".to_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_sent_is_told_without_a_secret() {
        for (url, token, error) in [
            ("no url at all", "a", PostError::Address),
            ("http://127.0.0.1:9/x", "a\nb: c", PostError::Header),
        ] {
            let request = request(url, &[("authorization", token)], "{}");
            assert_eq!(request.map(|_| ()), Err(error));
        }
        let headers = [("authorization", "Bearer abc")];
        let good = request("https://example.com/a?b", &headers, "{}").expect("a request");
        assert_eq!(
            (good.method(), good.uri()),
            ("POST", "https://example.com/a?b")
        );
        assert_eq!(good.headers().get("authorization"), Some("Bearer abc"));
    }
}
