//! Where credentials come from: the standard chain, one profile, given keys; and the role that is assumed with them.
//!
//! Owns the choice, and what the clients of Lightsail and STS are made from. Does not look at a secret: providers hand
//! credentials to the signer, and nothing here keeps or prints them.

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

/// How long the whole credential chain may take. Less than an attempt, so that it is the chain that is blamed.
const LOOKUP: Duration = Duration::from_secs(12);

/// What the session of a role is called, for whoever reads the log of the account.
const SESSION: &str = "portward";

/// Where credentials come from.
pub(super) struct Source {
    /// The configuration of the SDK; `None` where keys were given, so that neither environment nor files matter.
    sdk: Option<SdkConfig>,
    http: SharedHttpClient,
    region: Region,
    sts_endpoint_url: Option<String>,
    /// `None` where the chain found no way at all to get any.
    provider: Option<SharedCredentialsProvider>,
    /// What the provider handed out last, for the clients of Lightsail and STS together.
    cache: SharedIdentityCache,
}

impl Source {
    /// These credentials, as they are.
    pub(super) fn given(keys: Keys, region: Region, sts_endpoint_url: Option<String>) -> Self {
        let Keys {
            access_key_id,
            secret_access_key,
            session_token,
        } = keys;
        let credentials = Credentials::new(
            access_key_id,
            secret_access_key,
            session_token,
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

    /// The standard chain, or one profile and nothing else.
    pub(super) async fn chain(
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
            // As with the AWS CLI, a profile that is named outright beats keys that lie in the environment.
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

    /// The credentials of a role that these may assume. Its session is renewed before it runs out, as often as needed.
    pub(super) async fn assuming(self, role: &str) -> Self {
        let conf = self.sdk.clone().unwrap_or_else(|| {
            // What is given is not mixed with what lies in files and in the environment.
            let mut conf = SdkConfig::builder()
                .behavior_version(BehaviorVersion::latest())
                .time_source(SystemTimeSource::new())
                .http_client(self.http.clone());
            conf.set_credentials_provider(self.provider.clone());
            conf.build()
        });
        let mut conf = conf.into_builder();
        if let Some(url) = &self.sts_endpoint_url {
            conf = conf.endpoint_url(url);
        }
        let provider = AssumeRoleProvider::builder(role)
            .session_name(SESSION)
            .region(self.region.clone())
            .configure(&conf.build())
            .build()
            .await;
        Self {
            provider: Some(SharedCredentialsProvider::new(provider)),
            ..self
        }
    }

    /// What clients of Lightsail are made from. They share what the provider hands out.
    pub(super) fn base(&self) -> config::Builder {
        let mut base = match &self.sdk {
            Some(sdk) => config::Builder::from(sdk),
            None => config::Builder::new().http_client(self.http.clone()),
        };
        base.set_credentials_provider(self.provider.clone());
        base.identity_cache(self.cache.clone())
    }

    /// What a client of STS is made from. Nothing is retried by it.
    pub(super) fn sts(&self) -> aws_sdk_sts::config::Builder {
        let mut base = match &self.sdk {
            Some(sdk) => aws_sdk_sts::config::Builder::from(sdk),
            None => aws_sdk_sts::config::Builder::new()
                .behavior_version(BehaviorVersion::latest())
                .http_client(self.http.clone()),
        };
        base.set_credentials_provider(self.provider.clone());
        if let Some(url) = &self.sts_endpoint_url {
            base = base.endpoint_url(url);
        }
        base.region(self.region.clone())
            .retry_config(aws_sdk_sts::config::retry::RetryConfig::disabled())
            .identity_cache(self.cache.clone())
    }

    /// Who hands out the credentials.
    pub(super) fn provider(&self) -> Option<&SharedCredentialsProvider> {
        self.provider.as_ref()
    }
}

fn cache() -> SharedIdentityCache {
    IdentityCache::lazy().load_timeout(LOOKUP).build()
}
