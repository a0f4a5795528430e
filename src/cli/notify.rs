//! `--notify-url`: one JSON object a run, sent to a chat or a monitor.
//!
//! Owns when something is sent, the one retry, and the secrecy of the address, which for most chats is the only secret.
//! Does not hide the answer of a run: a notification that is not taken is a warning, and makes the exit code 1 only where
//! it would have been 0, since otherwise nobody would learn of it.

mod post;

use std::env;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use super::error::CommandError;
use super::exit::Exit;
use super::run::Run;
use super::signals::interruptible;

/// How long it may take, the second attempt included. Short, since the run is over and a job waits for its end.
const DEADLINE: Duration = Duration::from_secs(10);

/// Before the second attempt.
const PAUSE: Duration = Duration::from_millis(500);

/// Where the secret for the receiver is found, and nowhere else.
const TOKEN: &str = "PORTWARD_NOTIFY_TOKEN";

#[derive(Args, Debug)]
pub(super) struct NotifyArgs {
    /// Send one JSON object about the run to this address, which stays out of every log; `PORTWARD_NOTIFY_TOKEN` is sent as
    /// bearer token
    #[arg(
        help_heading = "Output",
        long,
        value_name = "URL",
        env = "PORTWARD_NOTIFY_URL",
        hide_env_values = true
    )]
    notify_url: Option<Secret>,
    /// When there is something to say
    #[arg(help_heading = "Output", long,
        value_enum,
        value_name = "WHEN",
        default_value_t = When::Differences,
        env = "PORTWARD_NOTIFY",
        hide_env_values = true
    )]
    notify: When,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    /// After every run
    Always,
    /// After a run that found differences, wrote something or failed
    Differences,
}

/// A text that is never shown.
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

/// Where to send it.
pub(super) struct Address {
    url: Secret,
    token: Option<Secret>,
    when: When,
}

impl NotifyArgs {
    /// The address, looked at before anything is done: what cannot be sent later is said now.
    pub(super) fn address(&self) -> Result<Option<Address>, CommandError> {
        let Some(url) = self.notify_url.clone().filter(|url| !url.0.is_empty()) else {
            return Ok(None);
        };
        let token = env::var(TOKEN).ok().filter(|token| !token.is_empty());
        check(&url.0, token.is_some())?;
        Ok(Some(Address {
            url,
            token: token.map(Secret),
            when: self.notify,
        }))
    }
}

/// Sends what there is to say about a run that ended, and says how the process ends.
pub(super) async fn tell(address: Option<&Address>, run: &Run) -> Exit {
    let exit = run.exit;
    let (Some(address), Some(message)) = (address, &run.message) else {
        return exit;
    };
    if address.when == When::Differences && !message.matters {
        return exit;
    }
    let token = address.token.as_ref().map(|token| token.0.as_str());
    let sent = async { Ok(send(&address.url.0, token, &message.body).await) };
    let error = match interruptible(sent).await {
        Ok(Ok(())) => return exit,
        Ok(Err(error)) => error,
        Err(CommandError { exit: signal, .. }) => return Exit::first_of(&[exit, signal]),
    };
    tracing::warn!(
        "the notification to {} was not taken: {error}",
        shown(&address.url.0)
    );
    if exit == Exit::Done {
        Exit::Failed
    } else {
        exit
    }
}

async fn send(url: &str, token: Option<&str>, body: &str) -> Result<(), post::DeliveryError> {
    let began = Instant::now();
    let first = post::post(url, token, body, DEADLINE / 2).await;
    match first {
        Err(error) if error.is_passing() => {
            tokio::time::sleep(PAUSE).await;
            let left = DEADLINE.saturating_sub(began.elapsed());
            post::post(url, token, body, left).await
        }
        done => done,
    }
}

/// Refuses what would tell a secret to others, or cannot be sent at all.
fn check(url: &str, has_token: bool) -> Result<(), CommandError> {
    let (scheme, authority) = parts(url);
    let secure = match scheme.as_str() {
        "https" => true,
        "http" => false,
        _ => {
            return Err(CommandError::usage(
                "`--notify-url` is no `https://` or `http://` address",
                "give the webhook's whole address, best as PORTWARD_NOTIFY_URL",
            ));
        }
    };
    let (user, host) = match authority.rsplit_once('@') {
        Some((_, host)) => (true, host),
        None => (false, authority),
    };
    if host.is_empty() || url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(CommandError::usage(
            "`--notify-url` names no host",
            "give the webhook's whole address, best as PORTWARD_NOTIFY_URL",
        ));
    }
    if has_token && !secure && !is_loopback(host) {
        return Err(CommandError::usage(
            format!("{TOKEN} would be sent where everybody can read it"),
            "use an `https://` address",
        ));
    }
    if user {
        tracing::warn!(
            "the user name and password in `--notify-url` are not sent, and others can see them: use {TOKEN}"
        );
    }
    Ok(())
}

/// Scheme and authority of an address.
fn parts(url: &str) -> (String, &str) {
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

/// As much of an address as may be told.
fn shown(url: &str) -> String {
    let (scheme, authority) = parts(url);
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
            assert_eq!(shown(url), "https://hooks.example.com/…");
        }
        assert_eq!(format!("{:?}", Secret("secret".to_owned())), "…");
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
            assert_eq!(check(url, false).is_ok(), alone, "{url}");
            assert_eq!(check(url, true).is_ok(), with_token, "{url}");
        }
    }
}
