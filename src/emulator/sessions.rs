//! Temporary credentials: the sessions of assumed roles.
//!
//! Owns their keys, tokens and ends. The same requests in the same order get the same keys, for whoever has to repeat a
//! run; the secrets follow from the secret of the emulator, so that nobody guesses them without it. Does not know which
//! role may be assumed.

use std::collections::BTreeMap;

use aws_sigv4::sign::v4::calculate_signature;
use time::{Duration, OffsetDateTime};

/// Who somebody is to the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) account: String,
    /// The role and the name of the session; `None` is the user that the emulator's own keys belong to.
    pub(super) role: Option<(String, String)>,
}

/// The credentials of one assumed role.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) access_key: String,
    pub(super) secret_key: String,
    pub(super) token: String,
    pub(super) expires: OffsetDateTime,
    pub(super) identity: Identity,
}

/// Every session that has not run out.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_key: BTreeMap<String, Session>,
    made: u64,
}

/// How long a session that ran out is remembered, so that it differs from one that never was.
const REMEMBERED: Duration = Duration::hours(1);

impl Sessions {
    pub(super) fn find(&self, access_key: &str) -> Option<&Session> {
        self.by_key.get(access_key)
    }

    /// Begins one.
    pub(super) fn begin(
        &mut self,
        identity: Identity,
        length: Duration,
        now: OffsetDateTime,
        secret: &str,
    ) -> &Session {
        self.made += 1;
        self.by_key
            .retain(|_, session| session.expires + REMEMBERED > now);
        let part = |what: &str| {
            let text = format!("{what}/{}/{}", self.made, now.unix_timestamp_nanos());
            calculate_signature(secret, text.as_bytes())
        };
        let access_key = format!("ASIA{}", part("key")[..16].to_uppercase());
        let session = Session {
            access_key: access_key.clone(),
            secret_key: part("secret")[..40].to_owned(),
            token: part("token"),
            expires: now.saturating_add(length),
            identity,
        };
        self.by_key.entry(access_key).or_insert(session)
    }
}

impl Identity {
    /// Its ARN as STS tells it.
    pub(super) fn arn(&self) -> String {
        let Self { account, role } = self;
        match role {
            None => format!("arn:aws:iam::{account}:user/emulator"),
            Some((role, session)) => {
                format!("arn:aws:sts::{account}:assumed-role/{role}/{session}")
            }
        }
    }

    /// Its unique id.
    pub(super) fn user_id(&self) -> String {
        match &self.role {
            None => "AIDAEMULATOR".to_owned(),
            Some((_, session)) => format!("AROAEMULATOR:{session}"),
        }
    }
}
