//! The source of credentials: the standard chain, a profile, or given keys, and the role that is assumed with them.
//!
//! Owns the choice, and the configuration of the clients of Lightsail and STS. Does not keep or print secrets: providers pass them to the
//! signer.

use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_lightsail::config::timeout::TimeoutConfig;
use aws_sdk_lightsail::config::{
    self, Credentials, IdentityCache, SharedCredentialsProvider, SharedHttpClient,
    SharedIdentityCache,
};
use aws_smithy_async::time::SystemTimeSource;

use super::{Keys, http};

/// The deadline of the credential chain. Shorter than the one of an attempt, so that the error names the chain.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(12);

/// The name of role sessions, which appears in `CloudTrail`.
const SESSION_NAME: &str = "portward";

pub(super) struct CredentialsSource {
    /// The configuration of the SDK from the environment and files; `None` for given keys.
    sdk: Option<SdkConfig>,
    http: SharedHttpClient,
    region: Region,
    sts_endpoint_url: Option<String>,
    /// `None` if the chain has no source.
    pub(super) provider: Option<SharedCredentialsProvider>,
    /// The current credentials, which the clients of Lightsail and STS share.
    cache: SharedIdentityCache,
}

impl CredentialsSource {
    /// These credentials, as they are.
    pub(super) fn from_keys(keys: Keys, region: Region, sts_endpoint_url: Option<String>) -> Self {
        let credentials = Credentials::new(
            keys.access_key_id,
            keys.secret_access_key,
            keys.session_token,
            None,
            "settings",
        );
        Self {
            sdk: None,
            http: http::client(),
            region,
            sts_endpoint_url,
            provider: Some(SharedCredentialsProvider::new(credentials)),
            cache: cache(),
        }
    }

    /// The standard chain, or only this profile.
    pub(super) async fn from_chain(
        profile: Option<String>,
        region: Region,
        timeouts: TimeoutConfig,
        sts_endpoint_url: Option<String>,
    ) -> Self {
        let http = http::client();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http.clone())
            .region(region.clone())
            .timeout_config(timeouts);
        if let Some(profile) = profile {
            // As in the AWS CLI, an explicit profile takes precedence over keys in the environment.
            let provider = ProviderConfig::without_region()
                .with_region(Some(region.clone()))
                .with_http_client(http.clone());
            let provider = ProfileFileCredentialsProvider::builder()
                .configure(&provider)
                .profile_name(&profile)
                .build();
            loader = loader.profile_name(profile).credentials_provider(provider);
        }
        let sdk = loader.load().await;
        Self {
            provider: sdk.credentials_provider(),
            sdk: Some(sdk),
            http,
            region,
            sts_endpoint_url,
            cache: cache(),
        }
    }

    /// The credentials of a role. Its session is renewed before it expires.
    pub(super) async fn assume_role(self, role: &str) -> Self {
        let config = self.sdk.clone().unwrap_or_else(|| {
            // Given keys are not combined with files and the environment.
            let mut config = SdkConfig::builder()
                .behavior_version(BehaviorVersion::latest())
                .time_source(SystemTimeSource::new())
                .http_client(self.http.clone());
            config.set_credentials_provider(self.provider.clone());
            config.build()
        });
        let mut config = config.into_builder();
        if let Some(url) = &self.sts_endpoint_url {
            config = config.endpoint_url(url);
        }
        let provider = AssumeRoleProvider::builder(role)
            .session_name(SESSION_NAME)
            .region(self.region.clone())
            .configure(&config.build())
            .build()
            .await;
        Self {
            provider: Some(SharedCredentialsProvider::new(provider)),
            ..self
        }
    }

    /// The configuration of the clients of Lightsail.
    pub(super) fn lightsail_config(&self) -> config::Builder {
        let mut config = match &self.sdk {
            Some(sdk) => config::Builder::from(sdk),
            None => config::Builder::new().http_client(self.http.clone()),
        };
        config.set_credentials_provider(self.provider.clone());
        config.identity_cache(self.cache.clone())
    }

    /// The configuration of the client of STS, without retries.
    pub(super) fn sts_config(&self) -> aws_sdk_sts::config::Builder {
        let mut config = match &self.sdk {
            Some(sdk) => aws_sdk_sts::config::Builder::from(sdk),
            None => aws_sdk_sts::config::Builder::new()
                .behavior_version(BehaviorVersion::latest())
                .http_client(self.http.clone()),
        };
        config.set_credentials_provider(self.provider.clone());
        if let Some(url) = &self.sts_endpoint_url {
            config = config.endpoint_url(url);
        }
        config
            .region(self.region.clone())
            .retry_config(aws_sdk_sts::config::retry::RetryConfig::disabled())
            .identity_cache(self.cache.clone())
    }
}

fn cache() -> SharedIdentityCache {
    IdentityCache::lazy().load_timeout(LOOKUP_TIMEOUT).build()
}
