//! Role sessions with temporary credentials.
//!
//! Owns their keys, tokens and expiration. The same requests in the same order get the same keys, so that a run can be repeated. Secrets
//! are derived from the secret key of the emulator, so that they cannot be guessed without it. Does not know which roles can be assumed.

use std::collections::BTreeMap;

use aws_sigv4::sign::v4::calculate_signature;
use time::{Duration, OffsetDateTime};

/// An identity: a user or a role session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) account: String,
    /// The names of the role and of the session; `None` for the user of the emulator's own keys.
    pub(super) role: Option<(String, String)>,
}

#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) access_key: String,
    pub(super) secret_key: String,
    pub(super) token: String,
    pub(super) expires: OffsetDateTime,
    pub(super) identity: Identity,
}

/// The sessions by access key.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_key: BTreeMap<String, Session>,
    /// The number of sessions so far.
    started: u64,
}

/// The time for which an expired session is kept, so that it differs from an unknown one.
const RETENTION: Duration = Duration::hours(1);

impl Sessions {
    pub(super) fn find(&self, access_key: &str) -> Option<&Session> {
        self.by_key.get(access_key)
    }

    pub(super) fn start(
        &mut self,
        identity: Identity,
        duration: Duration,
        now: OffsetDateTime,
        secret: &str,
    ) -> &Session {
        self.started += 1;
        self.by_key
            .retain(|_, session| session.expires + RETENTION > now);
        let derive = |purpose: &str| {
            let text = format!("{purpose}/{}/{}", self.started, now.unix_timestamp_nanos());
            calculate_signature(secret, text.as_bytes())
        };
        let access_key = format!("ASIA{}", derive("key")[..16].to_uppercase());
        let session = Session {
            access_key: access_key.clone(),
            secret_key: derive("secret")[..40].to_owned(),
            token: derive("token"),
            expires: now.saturating_add(duration),
            identity,
        };
        self.by_key.entry(access_key).or_insert(session)
    }
}

impl Identity {
    /// The ARN, as in `GetCallerIdentity`.
    pub(super) fn arn(&self) -> String {
        let Self { account, role } = self;
        match role {
            None => format!("arn:aws:iam::{account}:user/emulator"),
            Some((role, session)) => {
                format!("arn:aws:sts::{account}:assumed-role/{role}/{session}")
            }
        }
    }

    /// The unique ID, as in `GetCallerIdentity`.
    pub(super) fn user_id(&self) -> String {
        match &self.role {
            None => "AIDAEMULATOR".to_owned(),
            Some((_, session)) => format!("AROAEMULATOR:{session}"),
        }
    }
}
