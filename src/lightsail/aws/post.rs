//! One JSON object sent to an address that is not the service's: a webhook.
//!
//! Owns the request, over the same TLS as everything else. Does not follow a redirect, to read the answer, and to tell the
//! address or the token, which are secrets, in an error.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use tokio::time::timeout;

use super::http;

/// Why an object was not taken. Displays as a fragment without the address.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// It answered with another status than 2xx.
    #[error("the answer was HTTP {0}")]
    Status(u16),
    /// It could not be reached, or did not answer.
    #[error("{0}")]
    Unreachable(String),
    /// The address or the token cannot stand in a request.
    #[error("{0}")]
    Invalid(&'static str),
}

impl DeliveryError {
    /// Whether it may be taken when it is sent again.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Status(status) => *status == 429 || *status >= 500,
            Self::Unreachable(_) => true,
            Self::Invalid(_) => false,
        }
    }
}

/// Sends a JSON object by `POST`, with the token as `Authorization: Bearer` where there is one.
///
/// # Errors
/// Whatever kept it from being taken.
pub async fn post(
    url: &str,
    token: Option<&str>,
    body: &str,
    within: Duration,
) -> Result<(), DeliveryError> {
    let request = request(url, token, body)?;
    let connector = http::connector();
    let answer = timeout(within, connector.call(request))
        .await
        .map_err(|_| DeliveryError::Unreachable("no answer in time".to_owned()))?
        .map_err(|error| DeliveryError::Unreachable(reason(&error)))?;
    let status = answer.status();
    if status.is_success() {
        Ok(())
    } else {
        Err(DeliveryError::Status(status.as_u16()))
    }
}

fn request(url: &str, token: Option<&str>, body: &str) -> Result<HttpRequest, DeliveryError> {
    let mut request = HttpRequest::new(body.to_owned().into());
    request
        .set_uri(url)
        .map_err(|_| DeliveryError::Invalid("the address is no URL"))?;
    request
        .set_method("POST")
        .map_err(|_| DeliveryError::Invalid("no such method"))?;
    let token = token.map(|token| ("authorization", format!("Bearer {token}")));
    let own = [
        ("content-type", "application/json".to_owned()),
        (
            "user-agent",
            concat!("portward/", env!("CARGO_PKG_VERSION")).to_owned(),
        ),
    ];
    for (name, value) in own.into_iter().chain(token) {
        request
            .headers_mut()
            .try_insert(name, value)
            .map_err(|_| DeliveryError::Invalid("the token cannot stand in a header"))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_sent_is_told_without_a_secret() {
        for (url, token) in [
            ("no url at all", None),
            ("http://127.0.0.1:9/x", Some("a\nb: c")),
        ] {
            let error = request(url, token, "{}").map(|_| ()).expect_err("nothing");
            let told = format!("{error} {error:?}");
            assert!(!told.contains("127") && !told.contains("b: c"), "{told}");
            assert!(!error.is_passing());
        }
        let good = request("https://example.com/a?b", Some("abc"), "{}").expect("a request");
        assert_eq!(good.headers().get("authorization"), Some("Bearer abc"));
    }
}
