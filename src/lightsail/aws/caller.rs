//! The caller: its identity by STS, and the source of its credentials.
//!
//! Owns `GetCallerIdentity`, the only action of STS that this program calls itself. Does not show more of the credentials than the
//! access key ID, which is not secret.

use std::time::{Duration, SystemTime};

use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_sdk_lightsail::config::ProvideCredentials;
use time::OffsetDateTime;

use super::super::{Error, ErrorKind};
use super::call::ApiCall;
use super::{Aws, sdk_error};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub account: String,
    /// The ARN of the user or of the role session.
    pub arn: String,
}

/// Credentials without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundCredentials {
    /// The source, such as `environment variables`.
    pub source: &'static str,
    pub access_key_id: String,
    /// The end of temporary credentials.
    pub expires: Option<OffsetDateTime>,
}

impl Aws {
    /// Calls `GetCallerIdentity`. `target` names the account in errors.
    ///
    /// # Errors
    /// There are no credentials, a role cannot be assumed, or the call fails.
    pub(crate) async fn caller(&self, target: &str) -> Result<Caller, Error> {
        let call = ApiCall::new("GetCallerIdentity", "sts", target);
        let Some(source) = &self.0.source else {
            return Err(call.error(ErrorKind::Other, "there is nobody to ask"));
        };
        let client = self.0.sts.get_or_init(|| {
            let timeouts = aws_sdk_sts::config::timeout::TimeoutConfig::builder()
                .connect_timeout(self.0.deadlines.connect)
                .build();
            aws_sdk_sts::Client::from_conf(source.sts_config().timeout_config(timeouts).build())
        });
        let send = async || client.get_caller_identity().send().await;
        let response = self.0.read(&call, send).await?;
        Ok(Caller {
            account: response.account.ok_or_else(|| call.missing("Account"))?,
            arn: response.arn.ok_or_else(|| call.missing("Arn"))?,
        })
    }

    /// Looks up the credentials, without a call of Lightsail.
    ///
    /// # Errors
    /// There are none, or their source fails.
    pub(crate) async fn credentials(&self, target: &str) -> Result<FoundCredentials, Error> {
        // Not an action of the service, but the name in errors.
        let call = ApiCall::new("Credentials", "", target);
        let source = self.0.source.as_ref();
        let Some(provider) = source.and_then(|source| source.provider.as_ref()) else {
            return Err(sdk_error::no_credentials(&call, None));
        };
        let found = tokio::time::timeout(self.0.deadlines.attempt, provider.provide_credentials());
        let credentials = match found.await {
            Ok(Ok(credentials)) => credentials,
            Ok(Err(error)) => return Err(sdk_error::no_credentials(&call, Some(&error))),
            Err(_) => {
                let message = "no usable credentials: looking for them took too long";
                return Err(call.error(ErrorKind::Unauthenticated, message));
            }
        };
        let features = credentials.get_property::<Vec<AwsCredentialFeature>>();
        Ok(FoundCredentials {
            source: features
                .and_then(|features| features.iter().rev().find_map(source_name))
                .unwrap_or("keys given to this program"),
            access_key_id: credentials.access_key_id().to_owned(),
            expires: credentials.expiry().and_then(date_time),
        })
    }
}

/// The source by a feature. Every step of the lookup adds one, and the last one counts.
fn source_name(feature: &AwsCredentialFeature) -> Option<&'static str> {
    use AwsCredentialFeature as Feature;
    Some(match feature {
        Feature::CredentialsEnvVars => "environment variables",
        Feature::CredentialsEnvVarsStsWebIdToken | Feature::CredentialsStsAssumeRoleWebId => {
            "a web identity token"
        }
        Feature::CredentialsStsAssumeRole => "a role",
        Feature::CredentialsProfile | Feature::CredentialsProfileSourceProfile => {
            "a profile of the shared files"
        }
        Feature::CredentialsProfileStsWebIdToken => "a web identity token of a profile",
        Feature::CredentialsProfileSso | Feature::CredentialsSso => "an SSO session",
        Feature::CredentialsProfileProcess | Feature::CredentialsProcess => "a credential process",
        Feature::CredentialsHttp => "the container's credential service",
        Feature::CredentialsImds => "the instance's metadata service",
        _ => return None,
    })
}

fn date_time(at: SystemTime) -> Option<OffsetDateTime> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    // Some providers express "never" as a time in the far future.
    let millennium = Duration::from_hours(24 * 365 * 1_000);
    (since < millennium).then(|| OffsetDateTime::UNIX_EPOCH + since)
}
