//! The real service, by the AWS SDK. Nothing outside this folder names the SDK.
//!
//! Owns how the service is reached: credentials, endpoint, regions and deadlines. Does not hold a credential in
//! anything that can be printed, and to give a way to write to those who asked for a way to read.

mod accounts;
mod calls;
mod canned;
mod clock;
mod complete;
mod convert;
mod credentials;
mod failure;
#[cfg(test)]
mod failure_tests;
mod http;
mod identity;
mod limits;
mod profiles;
#[cfg(test)]
mod stub;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_lightsail::Client;
use aws_sdk_lightsail::config::retry::RetryConfig;
use aws_sdk_lightsail::config::timeout::TimeoutConfig;
use aws_sdk_lightsail::config::{self, StalledStreamProtectionConfig};

use super::queue::Queue;
use super::{Error, Kind, Rate, Tally};
use complete::EveryPort;
use credentials::Source;

pub(crate) use accounts::{Account, Accounts, AccountsReader, AccountsWriter};
pub use canned::Reply;
pub(crate) use http::{PostError, get, post};
pub(crate) use identity::Found;

/// How to reach the service. The default is the standard chain of any AWS SDK, and AWS itself.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The profile of the shared files to take credentials from, and from nowhere else. Without it the standard chain
    /// decides, `AWS_PROFILE` included.
    pub profile: Option<String>,
    /// Where to find the service, in place of `AWS_ENDPOINT_URL_LIGHTSAIL`, `AWS_ENDPOINT_URL` and AWS itself.
    pub endpoint_url: Option<String>,
    /// Where to find STS, in place of `AWS_ENDPOINT_URL_STS`, `AWS_ENDPOINT_URL` and AWS itself.
    pub sts_endpoint_url: Option<String>,
    /// The ARN of a role to assume with the credentials, anew whenever its session runs out.
    pub role: Option<String>,
    /// Credentials to use as they are. With them neither the environment, nor a file, nor a metadata service is asked
    /// for anything.
    pub keys: Option<Keys>,
    /// The region that the credential chain asks its own services in, where neither environment nor profile names one.
    /// Lightsail itself is always asked in the region of the call.
    pub fallback_region: Option<String>,
    /// How long to wait.
    pub deadlines: Deadlines,
    /// Which part of the documented rates to use.
    pub rate: Rate,
}

/// Credentials given by the caller. Their `Debug` form shows the key id only.
#[derive(Clone)]
pub struct Keys {
    /// The access key id.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
    /// The session token of temporary credentials.
    pub session_token: Option<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// How long each part of a call may take. No call is without a deadline.
///
/// Waiting for a turn below the documented rates is no part of an attempt and takes nothing from its time: a call ends
/// within `queue` and `read`, or `queue` and `write`, together; a list within `list` and one such call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Making a connection. 3.1 s leaves room for one lost SYN, which is sent again after one second and then two.
    pub connect: Duration,
    /// One attempt at reading, credentials included.
    pub attempt: Duration,
    /// Reading with all its attempts.
    pub read: Duration,
    /// Writing, which has one attempt.
    pub write: Duration,
    /// Waiting for turns, over all attempts of one call. A call whose turn does not come is not sent.
    pub queue: Duration,
    /// A list of many pages, after which no further page is begun, however many the service still has.
    pub list: Duration,
    /// The longest pause before the second attempt at reading; it doubles with each one, and chance shortens it.
    pub backoff: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_millis(3_100),
            attempt: Duration::from_secs(15),
            read: Duration::from_secs(30),
            write: Duration::from_secs(30),
            // A thousand at once, the most that is offered, are through in 200 s; this leaves room for being throttled.
            queue: Duration::from_mins(10),
            list: Duration::from_mins(10),
            backoff: Duration::from_millis(400),
        }
    }
}

/// The actions that looking takes: instances, their rules, and who changed them last.
pub const READ_ACTIONS: [&str; 3] = [
    "GetInstances",
    "GetInstancePortStates",
    "GetOperationsForResource",
];

/// The actions that changing rules takes besides: one look at the instance, and one at what became of the change.
pub const WRITE_ACTIONS: [&str; 5] = [
    "GetInstance",
    "GetOperation",
    "OpenInstancePublicPorts",
    "CloseInstancePublicPorts",
    "PutInstancePublicPorts",
];

/// The actions that granting and revoking access for a time takes besides those of changing rules: leases are tags.
pub const TAG_ACTIONS: [&str; 2] = ["TagResource", "UntagResource"];

/// The service in every region. Cloning shares everything.
#[derive(Clone, Debug)]
pub struct Aws(Arc<Shared>);

/// Reads Lightsail. Has no way to write.
#[derive(Clone, Debug)]
pub struct AwsReader(Arc<Shared>);

/// Writes Lightsail.
#[derive(Clone, Debug)]
pub struct AwsWriter(Arc<Shared>);

impl Aws {
    /// Gets ready. Credentials are looked up with the first call, and the lookup is shared by all regions.
    ///
    /// # Errors
    /// An endpoint that is no `http` or `https` URL.
    pub async fn connect(settings: Settings) -> Result<Self, Error> {
        let Settings {
            profile,
            endpoint_url,
            sts_endpoint_url,
            role,
            keys,
            fallback_region,
            deadlines,
            rate,
        } = settings;
        let default_region = match &keys {
            Some(_) => None,
            None => default_region(profile.as_deref()).await,
        };
        // Only STS and SSO need a region of their own, and STS is everywhere.
        let region = default_region.or(fallback_region);
        let region = Region::new(region.unwrap_or_else(|| "us-east-1".to_owned()));
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(deadlines.connect)
            .operation_attempt_timeout(deadlines.attempt)
            .build();
        let sts_endpoint_url = sts_endpoint_url.map(checked).transpose()?;
        let source = match keys {
            Some(keys) => Source::given(keys, region, sts_endpoint_url),
            None => Source::chain(profile, region, timeouts, sts_endpoint_url).await,
        };
        let source = match role {
            Some(role) => source.assuming(&role).await,
            None => source,
        };
        let mut base = source
            .base()
            .behavior_version(BehaviorVersion::latest())
            // Reads are retried here, where the deadline is known; writes never are.
            .retry_config(RetryConfig::disabled())
            // Replies are small, and every attempt has a deadline.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(deadlines.connect)
                    .build(),
            );
        if let Some(url) = endpoint_url {
            base = base.endpoint_url(checked(url)?);
        }
        Ok(Self(Arc::new(Shared {
            base,
            source: Some(source),
            clients: Mutex::default(),
            sts: OnceLock::new(),
            deadlines,
            queue: Queue::new(rate),
            tally: Mutex::default(),
        })))
    }

    /// A way to read.
    pub fn reader(&self) -> AwsReader {
        AwsReader(Arc::clone(&self.0))
    }

    /// The calls that were made so far.
    pub fn tally(&self) -> Tally {
        let tally = self.0.tally.lock();
        tally.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The least time until this many more calls of an action are through in a region, as far as rates go.
    pub(super) fn least(&self, action: &'static str, region: &str, calls: usize) -> Duration {
        self.0.queue.least(action, region, calls)
    }

    /// A way to write.
    pub fn writer(&self) -> AwsWriter {
        AwsWriter(Arc::clone(&self.0))
    }
}

/// The region that the environment or the profile names. No network is asked.
pub async fn default_region(profile: Option<&str>) -> Option<String> {
    if let Some(region) = EnvironmentVariableRegionProvider::new().region().await {
        return Some(region.to_string());
    }
    let mut file = ProfileFileRegionProvider::builder();
    if let Some(profile) = profile {
        file = file.profile_name(profile);
    }
    file.build().region().await.map(|region| region.to_string())
}

struct Shared {
    base: config::Builder,
    /// Where the credentials come from; `None` where none are needed.
    source: Option<Source>,
    clients: Mutex<BTreeMap<String, Client>>,
    /// Made when the caller is asked for first.
    sts: OnceLock<aws_sdk_sts::Client>,
    deadlines: Deadlines,
    queue: Queue,
    tally: Mutex<Tally>,
}

/// Names nothing: the base holds the credentials provider.
impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("deadlines", &self.deadlines)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// The client of a region, made when first asked for.
    fn client(&self, action: &'static str, region: &str) -> Result<Client, Error> {
        // The name becomes part of a host name that signed requests are sent to.
        if region.is_empty()
            || !region
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        {
            return Err(Error::new(
                Kind::InvalidInput,
                action,
                region,
                "this is not the name of a region",
            ));
        }
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry(region.to_owned()).or_insert_with(|| {
            Client::from_conf(
                self.base
                    .clone()
                    .interceptor(EveryPort)
                    .region(Region::new(region.to_owned()))
                    .build(),
            )
        });
        Ok(client.clone())
    }
}

fn checked(url: String) -> Result<String, Error> {
    let host = ["http://", "https://"].iter().find_map(|scheme| {
        let head = url.get(..scheme.len())?;
        head.eq_ignore_ascii_case(scheme)
            .then(|| url.get(scheme.len()..).unwrap_or_default())
    });
    match host {
        Some(host)
            if !host.is_empty() && !host.starts_with('/') && !url.contains(char::is_whitespace) =>
        {
            Ok(url)
        }
        _ => Err(Error::new(
            Kind::InvalidInput,
            "Connect",
            url,
            "this is no `http://` or `https://` address",
        )
        .with_hint("give the endpoint as `http://HOST:PORT` or `https://HOST`")),
    }
}
