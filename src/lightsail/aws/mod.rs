//! The connection to the real service, with the AWS SDK. No other folder uses the SDK.
//!
//! Owns credentials, endpoints, regions and deadlines. Does not print credentials. A reader cannot write.

mod accounts;
mod attempts;
mod call;
mod caller;
mod calls;
mod clock_skew;
mod convert;
mod credentials;
mod fixed_response;
mod http;
mod limits;
mod missing_ports;
mod profiles;
mod sdk_error;
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

use super::rate_limiter::RateLimiter;
use super::{CallCounts, Error, ErrorKind, Rate};
use call::ApiCall;
use credentials::CredentialsSource;
use missing_ports::RequirePorts;

pub(crate) use accounts::{AccountSettings, Accounts};
pub use accounts::{AccountsReader, AccountsWriter};
pub(crate) use caller::FoundCredentials;
pub use fixed_response::FixedResponse;
pub(crate) use http::{PostError, get, post};

/// The settings of a connection. The default is the standard credential chain of the AWS SDKs, and AWS itself.
#[derive(Clone, Debug, Default)]
pub struct ConnectionSettings {
    /// The profile that has the credentials. Without it the standard chain applies, including `AWS_PROFILE`.
    pub profile: Option<String>,
    /// The endpoint of Lightsail, in place of `AWS_ENDPOINT_URL_LIGHTSAIL`, `AWS_ENDPOINT_URL` and AWS itself.
    pub endpoint_url: Option<String>,
    /// The endpoint of STS, in place of `AWS_ENDPOINT_URL_STS`, `AWS_ENDPOINT_URL` and AWS itself.
    pub sts_endpoint_url: Option<String>,
    /// The ARN of a role to assume with the credentials. Its session is renewed when it expires.
    pub role: Option<String>,
    /// Credentials to use as they are, without the environment, files or metadata services.
    pub keys: Option<Keys>,
    /// The region of STS and SSO if neither the environment nor the profile names one. Lightsail is always called in the region of the
    /// instance.
    pub fallback_region: Option<String>,
    /// The deadlines.
    pub deadlines: Deadlines,
    /// The part of the documented request rates to use.
    pub rate: Rate,
}

/// Credentials given by the caller. `Debug` shows only the access key ID.
#[derive(Clone)]
pub struct Keys {
    /// The access key ID.
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

/// The maximum time of each part of a call. Every call has a deadline.
///
/// The wait for the request rates is not part of an attempt. A call ends within `queue` and `read`, or `queue` and `write`, together; a list
/// within `list` and one such call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Opening a connection. 3.1 s allow for one lost SYN, which is repeated after one second and then two.
    pub connect: Duration,
    /// One attempt of a read, including the lookup of credentials.
    pub attempt: Duration,
    /// All attempts of a read.
    pub read: Duration,
    /// A write, which has one attempt.
    pub write: Duration,
    /// The wait for the request rates, over all attempts of a call. A call that is not permitted in this time is not sent.
    pub queue: Duration,
    /// A list. After this time no further page is read.
    pub list: Duration,
    /// The maximum pause before the second attempt of a read. It doubles with each attempt, and a random part is subtracted.
    pub backoff: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_millis(3_100),
            attempt: Duration::from_secs(15),
            read: Duration::from_secs(30),
            write: Duration::from_secs(30),
            // A thousand calls at once, the maximum concurrency, take 200 s; this allows for throttling.
            queue: Duration::from_mins(10),
            list: Duration::from_mins(10),
            backoff: Duration::from_millis(400),
        }
    }
}

/// The actions of verbs that read: instances, their rules, and their operations.
pub(crate) const READ_ACTIONS: [&str; 3] = [
    "GetInstances",
    "GetInstancePortStates",
    "GetOperationsForResource",
];

/// The further actions of verbs that change rules.
pub(crate) const WRITE_ACTIONS: [&str; 5] = [
    "GetInstance",
    "GetOperation",
    "OpenInstancePublicPorts",
    "CloseInstancePublicPorts",
    "PutInstancePublicPorts",
];

/// The further actions of verbs that change leases, which are tags.
pub(crate) const TAG_ACTIONS: [&str; 2] = ["TagResource", "UntagResource"];

/// A connection to the service in all regions. Clones share everything.
#[derive(Clone, Debug)]
pub struct Aws(Arc<Shared>);

impl Aws {
    /// Prepares a connection. Credentials are looked up with the first call, once for all regions.
    ///
    /// # Errors
    /// An endpoint is not an `http` or `https` URL.
    pub async fn connect(settings: ConnectionSettings) -> Result<Self, Error> {
        let default_region = match &settings.keys {
            Some(_) => None,
            None => default_region(settings.profile.as_deref()).await,
        };
        // Only STS and SSO need a region, and STS is in all of them.
        let region = default_region.or(settings.fallback_region);
        let region = Region::new(region.unwrap_or_else(|| "us-east-1".to_owned()));
        let deadlines = settings.deadlines;
        let timeouts = TimeoutConfig::builder().connect_timeout(deadlines.connect);
        let sts_endpoint_url = settings.sts_endpoint_url.map(check_url).transpose()?;
        let source = if let Some(keys) = settings.keys {
            CredentialsSource::from_keys(keys, region, sts_endpoint_url)
        } else {
            let timeouts = timeouts.clone();
            let timeouts = timeouts
                .operation_attempt_timeout(deadlines.attempt)
                .build();
            CredentialsSource::from_chain(settings.profile, region, timeouts, sts_endpoint_url)
                .await
        };
        let source = match settings.role {
            Some(role) => source.assume_role(&role).await,
            None => source,
        };
        let mut config = source
            .lightsail_config()
            .behavior_version(BehaviorVersion::latest())
            // `attempts` repeats reads within their deadline, and never writes.
            .retry_config(RetryConfig::disabled())
            // Responses are small, and every attempt has a deadline.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(timeouts.build());
        if let Some(url) = settings.endpoint_url {
            config = config.endpoint_url(check_url(url)?);
        }
        Ok(Self(Arc::new(Shared {
            config,
            source: Some(source),
            clients: Mutex::default(),
            sts: OnceLock::new(),
            deadlines,
            limiter: RateLimiter::new(settings.rate),
            counts: Mutex::default(),
        })))
    }

    /// A reader of the only account.
    pub fn reader(&self) -> AccountsReader {
        Accounts::only(self.clone()).reader()
    }

    /// The numbers of calls so far.
    pub(crate) fn call_counts(&self) -> CallCounts {
        let counts = self.0.counts.lock();
        counts.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A writer of the only account.
    pub fn writer(&self) -> AccountsWriter {
        Accounts::only(self.clone()).writer()
    }
}

/// The region that the environment or the profile names. Does not use the network.
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
    config: config::Builder,
    /// `None` if no credentials are needed.
    source: Option<CredentialsSource>,
    clients: Mutex<BTreeMap<String, Client>>,
    /// Created by the first call of STS.
    sts: OnceLock<aws_sdk_sts::Client>,
    deadlines: Deadlines,
    limiter: RateLimiter,
    counts: Mutex<CallCounts>,
}

/// Leaves out the configuration, which contains the credentials provider.
impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("deadlines", &self.deadlines)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// The client for the region of a call, created by the first call.
    fn client(&self, call: &ApiCall<'_>) -> Result<Client, Error> {
        let region = call.region;
        // The region becomes part of the host name that signed requests are sent to.
        let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if region.is_empty() || !region.bytes().all(is_allowed) {
            let message = "this is not the name of a region";
            let kind = ErrorKind::InvalidInput;
            return Err(Error::new(kind, call.action, region, message));
        }
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry(region.to_owned()).or_insert_with(|| {
            let config = self.config.clone().interceptor(RequirePorts);
            let region = Region::new(region.to_owned());
            Client::from_conf(config.region(region).build())
        });
        Ok(client.clone())
    }
}

fn check_url(url: String) -> Result<String, Error> {
    let host = ["http://", "https://"].iter().find_map(|scheme| {
        let (head, host) = url.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(host)
    });
    let has_host = host.is_some_and(|host| !host.is_empty() && !host.starts_with('/'));
    if has_host && !url.contains(char::is_whitespace) {
        return Ok(url);
    }
    let message = "this is no `http://` or `https://` address";
    let error = Error::new(ErrorKind::InvalidInput, "Connect", url, message);
    Err(error.with_hint("give the endpoint as `http://HOST:PORT` or `https://HOST`"))
}
