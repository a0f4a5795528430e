//! One JSON object sent to a webhook.
//!
//! **Owns** the request, its timeout, and which failures are transient. **Does not** follow a redirect, read the response, or
//! put the URL or the token, which are secrets, into an error.

use std::time::Duration;

use tokio::time::timeout;

use crate::lightsail::aws::{self, PostError};

const USER_AGENT: &str = concat!("portward/", env!("CARGO_PKG_VERSION"));

/// A failed delivery. Displays as a fragment without the URL.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeliveryError {
    /// The status is not 2xx.
    #[error("the response was HTTP {0}")]
    Status(u16),
    /// The receiver could not be reached, or did not answer.
    #[error("{0}")]
    Unreachable(String),
    /// The URL or the token is not valid in a request.
    #[error("{0}")]
    Invalid(&'static str),
}

impl DeliveryError {
    /// Whether a retry may succeed.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Status(status) => *status == 429 || *status >= 500,
            Self::Unreachable(_) => true,
            Self::Invalid(_) => false,
        }
    }
}

impl From<PostError> for DeliveryError {
    fn from(error: PostError) -> Self {
        match error {
            PostError::Address => Self::Invalid("the address is not a valid URL"),
            PostError::Header => Self::Invalid("the token cannot stand in a header"),
            PostError::Unreachable(why) => Self::Unreachable(why),
        }
    }
}

/// Sends a JSON object by `POST`, with the token as `Authorization: Bearer` where there is one.
///
/// # Errors
/// The delivery failed.
pub(super) async fn post(
    url: &str,
    token: Option<&str>,
    body: &str,
    limit: Duration,
) -> Result<(), DeliveryError> {
    let token = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![
        ("content-type", "application/json"),
        ("user-agent", USER_AGENT),
    ];
    headers.extend(token.as_deref().map(|token| ("authorization", token)));
    let status = timeout(limit, aws::post(url, &headers, body))
        .await
        .map_err(|_| DeliveryError::Unreachable("no response in time".to_owned()))??;
    if (200..300).contains(&status) {
        Ok(())
    } else {
        Err(DeliveryError::Status(status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn send_errors_contain_no_secret() {
        for (url, token) in [
            ("no url at all", None),
            ("http://127.0.0.1:9/x", Some("a\nb: c")),
        ] {
            let sent = post(url, token, "{}", Duration::from_mins(1)).await;
            let error = sent.expect_err("nothing to send");
            let text = format!("{error} {error:?}");
            assert!(!text.contains("127") && !text.contains("b: c"), "{text}");
            assert!(!error.is_transient());
        }
    }
}
