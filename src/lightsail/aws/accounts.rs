//! The accounts of a run, each with its own credentials, connection and rates.
//!
//! Owns the choice of the connection, and the check before the first call that the credentials belong to the account, if its ID is
//! configured. Nothing else is sent to an account that fails the check, and other accounts are not affected. Does not make calls; `calls` does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;

use super::super::{CallCounts, Error, ErrorKind};
use super::{Aws, ConnectionSettings, Shared};
use crate::model::Site;

/// The configuration of an account.
#[derive(Clone, Debug)]
pub(crate) struct AccountSettings {
    /// The name in the configuration; `None` for the only account.
    pub name: Option<String>,
    /// The ID that the account of the caller must have; `None` if it is not checked.
    pub id: Option<String>,
    /// Its credentials, role and endpoints.
    pub settings: ConnectionSettings,
}

/// The accounts of a run. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Accounts(Arc<BTreeMap<Option<String>, AccountConnection>>);

/// Reads from Lightsail in all accounts, and cannot write.
#[derive(Clone, Debug)]
pub struct AccountsReader(pub(super) Accounts);

/// Writes to Lightsail in all accounts.
#[derive(Clone, Debug)]
pub struct AccountsWriter(pub(super) Accounts);

#[derive(Debug)]
struct AccountConnection {
    id: Option<String>,
    aws: Aws,
    /// The result of the check. A failure is final, so that no later call of the same run is sent.
    check: OnceCell<Result<(), Error>>,
}

impl Accounts {
    /// Prepares the connections. Nothing is sent before the first call.
    ///
    /// # Errors
    /// An endpoint is not an `http` or `https` URL.
    pub(crate) async fn connect(accounts: Vec<AccountSettings>) -> Result<Self, Error> {
        let mut connections = BTreeMap::new();
        for AccountSettings { name, id, settings } in accounts {
            // Boxed, because the future of the credential chain is large.
            let aws = Box::pin(Aws::connect(settings)).await?;
            connections.insert(name, AccountConnection::new(id, aws));
        }
        Ok(Self(Arc::new(connections)))
    }

    /// The only account, without a name.
    pub(super) fn only(aws: Aws) -> Self {
        Self(Arc::new([(None, AccountConnection::new(None, aws))].into()))
    }

    pub(crate) fn reader(&self) -> AccountsReader {
        AccountsReader(self.clone())
    }

    pub(crate) fn writer(&self) -> AccountsWriter {
        AccountsWriter(self.clone())
    }

    /// The numbers of calls so far, in all accounts.
    pub(crate) fn call_counts(&self) -> CallCounts {
        let mut counts = CallCounts::default();
        for connection in self.0.values() {
            counts.add(&connection.aws.call_counts());
        }
        counts
    }

    /// The connection of an account, without the check.
    pub(crate) fn connection(&self, name: Option<&str>) -> Option<&Aws> {
        let connection = self.0.get(&name.map(str::to_owned))?;
        Some(&connection.aws)
    }

    /// The minimum time that the request rates require for this many more calls of an action at a site.
    pub(super) fn minimum_time(&self, site: &Site, action: &'static str, calls: usize) -> Duration {
        let connection = self.0.get(&site.account);
        connection.map_or(Duration::ZERO, |connection| {
            let limiter = &connection.aws.0.limiter;
            limiter.minimum_time(action, &site.region, calls)
        })
    }

    /// The connection for a call at a site, after the check of its account.
    pub(super) async fn checked(
        &self,
        action: &'static str,
        site: &Site,
    ) -> Result<&Shared, Error> {
        let Some(connection) = self.0.get(&site.account) else {
            let message = "nothing is known of this account: the configuration does not name it";
            return Err(
                Error::new(ErrorKind::NotFound, action, site.to_string(), message)
                    .with_hint("add it under `[accounts]`, or leave out what is in it"),
            );
        };
        let (Some(id), Some(name)) = (&connection.id, &site.account) else {
            return Ok(&connection.aws.0);
        };
        let check = connection.check.get_or_init(|| connection.check(name, id));
        check.await.clone().map(|()| &*connection.aws.0)
    }
}

impl AccountConnection {
    fn new(id: Option<String>, aws: Aws) -> Self {
        Self {
            id,
            aws,
            check: OnceCell::new(),
        }
    }

    async fn check(&self, name: &str, id: &str) -> Result<(), Error> {
        let caller = self.aws.caller(name).await?;
        if caller.account == *id {
            return Ok(());
        }
        let message = format!(
            "these credentials belong to account {}, and `{name}` is account {id}; nothing was asked of it",
            caller.account
        );
        let hint = format!(
            "give `[accounts.{name}]` the `role` or the `profile` that leads to {id}, or correct its `id`"
        );
        Err(Error::new(ErrorKind::AccessDenied, "GetCallerIdentity", name, message).with_hint(hint))
    }
}
