//! `--notify-url`: one JSON object per run, sent to a webhook.
//!
//! **Owns** when it is sent, the request and its time limit, which failures are tried once more, and the secrecy of the URL, which for
//! most chats is the only secret. A failed notification is a warning, and makes the exit code 1 where it would have been 0. **Does
//! not** change another exit code, follow a redirect, or read the response.

use std::env;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::error::CommandError;
use super::exit::Exit;
use super::run::Run;
use super::signals::interruptible;
use crate::lightsail::aws::{self, PostError};

/// The time for both attempts. It is short because a job waits for the end of the run.
const DEADLINE: Duration = Duration::from_secs(10);

/// The pause before the second attempt.
const PAUSE: Duration = Duration::from_millis(500);

/// The variable with the bearer token.
const TOKEN_VARIABLE: &str = "PORTWARD_NOTIFY_TOKEN";

const USER_AGENT: &str = concat!("portward/", env!("CARGO_PKG_VERSION"));

#[derive(Args, Debug)]
pub(super) struct NotifyArgs {
    /// Send one JSON object about the run to this address, which stays out of every log; `PORTWARD_NOTIFY_TOKEN` is sent as
    /// bearer token
    #[arg(
        help_heading = "Output",
        long,
        value_name = "URL",
        env = "PORTWARD_NOTIFY_URL"
    )]
    notify_url: Option<Secret>,
    /// When there is something to say
    #[arg(help_heading = "Output", long,
        value_enum,
        value_name = "WHEN",
        default_value_t = NotifyOn::Differences,
        env = "PORTWARD_NOTIFY"
    )]
    notify: NotifyOn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum NotifyOn {
    /// After every run
    Always,
    /// After a run that found differences, wrote something or failed
    Differences,
}

/// A text that is never printed.
#[derive(Clone)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

/// A webhook, and when to call it.
pub(super) struct Webhook {
    url: Secret,
    token: Option<Secret>,
    on: NotifyOn,
}

impl NotifyArgs {
    /// The webhook, checked before the run begins.
    pub(super) fn webhook(&self) -> Result<Option<Webhook>, CommandError> {
        let Some(url) = self.notify_url.clone().filter(|url| !url.0.is_empty()) else {
            return Ok(None);
        };
        let token = env::var(TOKEN_VARIABLE)
            .ok()
            .filter(|token| !token.is_empty());
        check_url(&url.0, token.is_some())?;
        Ok(Some(Webhook {
            url,
            token: token.map(Secret),
            on: self.notify,
        }))
    }
}

/// Sends the notification of a run that ended, and returns the exit of the process.
pub(super) async fn deliver(webhook: Option<&Webhook>, run: &Run) -> Exit {
    let exit = run.exit;
    let (Some(webhook), Some(message)) = (webhook, &run.notification) else {
        return exit;
    };
    if webhook.on == NotifyOn::Differences && !message.is_noteworthy {
        return exit;
    }
    let token = webhook.token.as_ref().map(|token| token.0.as_str());
    let sent = async { Ok(send(&webhook.url.0, token, &message.body).await) };
    let error = match interruptible(sent).await {
        Ok(Ok(())) => return exit,
        Ok(Err(error)) => error,
        Err(CommandError { exit: signal, .. }) => return Exit::highest(&[exit, signal]),
    };
    tracing::warn!(
        "the notification to {} was not taken: {error}",
        redacted(&webhook.url.0)
    );
    if exit == Exit::Done {
        Exit::Failed
    } else {
        exit
    }
}

/// A failed delivery. Displays as a fragment without a secret.
#[derive(Debug, thiserror::Error)]
enum DeliveryError {
    #[error("the response was HTTP {0}")]
    Status(u16),
    #[error("no response in time")]
    Timeout(#[from] Elapsed),
    /// No other header has a foreign value.
    #[error("the token in {TOKEN_VARIABLE} cannot be sent in a header")]
    Token,
    #[error(transparent)]
    Request(PostError),
}

impl From<PostError> for DeliveryError {
    fn from(error: PostError) -> Self {
        match error {
            PostError::Header(_) => Self::Token,
            error => Self::Request(error),
        }
    }
}

impl DeliveryError {
    /// Whether another attempt may succeed.
    fn is_transient(&self) -> bool {
        match self {
            Self::Status(status) => *status == 429 || *status >= 500,
            Self::Timeout(_) | Self::Request(PostError::Unreachable(_)) => true,
            Self::Token | Self::Request(_) => false,
        }
    }
}

/// Sends the message, and once more where another attempt may succeed.
async fn send(url: &str, token: Option<&str>, body: &str) -> Result<(), DeliveryError> {
    let began = Instant::now();
    match post(url, token, body, DEADLINE / 2).await {
        Err(error) if error.is_transient() => {
            tokio::time::sleep(PAUSE).await;
            let left = DEADLINE.saturating_sub(began.elapsed());
            post(url, token, body, left).await
        }
        done => done,
    }
}

/// Sends a JSON object by `POST`, with the token as `Authorization: Bearer` if there is one.
async fn post(
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
    match timeout(limit, aws::post(url, &headers, body)).await?? {
        200..300 => Ok(()),
        status => Err(DeliveryError::Status(status)),
    }
}

/// Refuses a URL that is not valid, or that would send the token unencrypted.
fn check_url(url: &str, has_token: bool) -> Result<(), CommandError> {
    let (scheme, authority) = scheme_and_authority(url);
    let is_https = match scheme.as_str() {
        "https" => true,
        "http" => false,
        _ => {
            return Err(CommandError::usage(
                "`--notify-url` is not an `https://` or `http://` address",
                "give the webhook's whole address, best as PORTWARD_NOTIFY_URL",
            ));
        }
    };
    let (has_user, host) = match authority.rsplit_once('@') {
        Some((_, host)) => (true, host),
        None => (false, authority),
    };
    if host.is_empty() || url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(CommandError::usage(
            "`--notify-url` names no host",
            "give the webhook's whole address, best as PORTWARD_NOTIFY_URL",
        ));
    }
    if has_token && !is_https && !is_loopback(host) {
        return Err(CommandError::usage(
            format!("{TOKEN_VARIABLE} would be sent where everybody can read it"),
            "use an `https://` address",
        ));
    }
    if has_user {
        tracing::warn!(
            "the user name and password in `--notify-url` are not sent, and others can see them: use {TOKEN_VARIABLE}"
        );
    }
    Ok(())
}

fn scheme_and_authority(url: &str) -> (String, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    (scheme.to_ascii_lowercase(), &rest[..end])
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The scheme and the host of a URL; the rest is secret.
fn redacted(url: &str) -> String {
    let (scheme, authority) = scheme_and_authority(url);
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}/…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_only_the_host_of_a_url() {
        for url in [
            "https://u:secret@hooks.example.com/services/secret",
            "HTTPS://hooks.example.com?secret",
            "https://hooks.example.com#secret",
        ] {
            assert_eq!(redacted(url), "https://hooks.example.com/…");
        }
        assert_eq!(format!("{:?}", Secret("secret".to_owned())), "…");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn send_errors_contain_no_secret() {
        for (url, token) in [
            ("no url at all", None),
            ("http://127.0.0.1:9/x", Some("a\nb: c")),
        ] {
            let error = send(url, token, "{}").await.expect_err("nothing to send");
            let text = format!("{error} {error:?}");
            assert!(!text.contains("127") && !text.contains("b: c"), "{text}");
            assert!(!error.is_transient());
            assert_eq!(text.contains(TOKEN_VARIABLE), token.is_some(), "{text}");
        }
    }

    #[test]
    fn token_is_sent_over_tls_or_loopback_only() {
        for (url, alone, with_token) in [
            ("https://example.com/x", true, true),
            ("http://example.com/x", true, false),
            ("http://127.0.0.1:80/x", true, true),
            ("http://[::1]:80/x", true, true),
            ("http://localhost.example.com/x", true, false),
            ("http://u@127.0.0.1@example.com/x", true, false),
            ("ftp://example.com/x", false, false),
            ("https:///x", false, false),
            ("https://a b/", false, false),
            ("example.com", false, false),
        ] {
            assert_eq!(check_url(url, false).is_ok(), alone, "{url}");
            assert_eq!(check_url(url, true).is_ok(), with_token, "{url}");
        }
    }
}
