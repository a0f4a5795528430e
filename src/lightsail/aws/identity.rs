//! Who the caller is: what STS says of the credentials, and where they were found.
//!
//! Owns the one call of STS that this program makes by itself. Does not show more of the credentials than the id of the
//! key, which is no secret.

use std::time::{Duration, SystemTime};

use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_sdk_lightsail::config::ProvideCredentials;
use time::OffsetDateTime;

use super::super::{Error, Kind};
use super::{Aws, failure};

/// What STS knows of the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The twelve digits of the account.
    pub account: String,
    /// The ARN of the user or of the session of a role.
    pub arn: String,
}

/// Credentials that were found, without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// In words, such as `environment variables`.
    pub source: &'static str,
    /// The id of the access key.
    pub access_key_id: String,
    /// When they run out; `None` for those that do not.
    pub expires: Option<OffsetDateTime>,
}

/// The action of [`Aws::caller`].
const WHO: &str = "GetCallerIdentity";

/// What [`Aws::credentials`] is called in errors. It is no action of the service.
const LOOK: &str = "Credentials";

impl Aws {
    /// Asks STS whose credentials these are. `target` names the account in errors.
    ///
    /// # Errors
    /// No usable credentials, a role that is refused, and whatever else keeps STS from answering.
    pub async fn caller(&self, target: &str) -> Result<Caller, Error> {
        let Some(source) = &self.0.source else {
            return Err(Error::new(
                Kind::Other,
                WHO,
                target,
                "there is nobody to ask",
            ));
        };
        let client = self.0.sts.get_or_init(|| {
            let timeouts = aws_sdk_sts::config::timeout::TimeoutConfig::builder()
                .connect_timeout(self.0.deadlines.connect)
                .build();
            aws_sdk_sts::Client::from_conf(source.sts().timeout_config(timeouts).build())
        });
        let reply = self.0.read(WHO, "sts", target, async || {
            let reply = client.get_caller_identity().send().await;
            reply.map_err(|error| failure::read(WHO, target, &error))
        });
        let reply = reply.await?;
        match (reply.account, reply.arn) {
            (Some(account), Some(arn)) => Ok(Caller { account, arn }),
            (account, _) => {
                let member = if account.is_none() { "Account" } else { "Arn" };
                let message = format!("the answer has no `{member}`");
                Err(Error::new(Kind::BadReply, WHO, target, message))
            }
        }
    }

    /// Looks for credentials, and says where they were found. Lightsail is not asked.
    ///
    /// # Errors
    /// There are none, or they cannot be had.
    pub async fn credentials(&self, target: &str) -> Result<Found, Error> {
        let source = self.0.source.as_ref();
        let Some(provider) = source.and_then(super::Source::provider) else {
            return Err(failure::no_credentials(LOOK, target, None));
        };
        let found = tokio::time::timeout(self.0.deadlines.attempt, provider.provide_credentials());
        let credentials = match found.await {
            Ok(Ok(credentials)) => credentials,
            Ok(Err(error)) => return Err(failure::no_credentials(LOOK, target, Some(&error))),
            Err(_) => {
                let message = "no usable credentials: looking for them took too long";
                return Err(Error::new(Kind::Unauthenticated, LOOK, target, message));
            }
        };
        let features = credentials.get_property::<Vec<AwsCredentialFeature>>();
        Ok(Found {
            source: features
                .and_then(|features| features.iter().rev().find_map(source_name))
                .unwrap_or("keys given to this program"),
            access_key_id: credentials.access_key_id().to_owned(),
            expires: credentials.expiry().and_then(instant),
        })
    }
}

/// Where credentials were found, of what each step on the way leaves behind; the last one counts.
fn source_name(feature: &AwsCredentialFeature) -> Option<&'static str> {
    use AwsCredentialFeature as From;
    Some(match feature {
        From::CredentialsEnvVars => "environment variables",
        From::CredentialsEnvVarsStsWebIdToken | From::CredentialsStsAssumeRoleWebId => {
            "a web identity token"
        }
        From::CredentialsStsAssumeRole => "a role",
        From::CredentialsProfile | From::CredentialsProfileSourceProfile => {
            "a profile of the shared files"
        }
        From::CredentialsProfileStsWebIdToken => "a web identity token of a profile",
        From::CredentialsProfileSso | From::CredentialsSso => "an SSO session",
        From::CredentialsProfileProcess | From::CredentialsProcess => "a credential process",
        From::CredentialsHttp => "the container's credential service",
        From::CredentialsImds => "the instance's metadata service",
        _ => return None,
    })
}

fn instant(at: SystemTime) -> Option<OffsetDateTime> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    // Some providers write "never" as a time that no calendar has.
    let century = Duration::from_hours(24 * 365 * 1_000);
    (since < century).then(|| OffsetDateTime::UNIX_EPOCH + since)
}
