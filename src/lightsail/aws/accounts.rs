//! A reader and a writer for several accounts, each with its own credentials, connection and rates.
//!
//! Owns the choice of the connection, and the check before the first call that the credentials belong to the account, if its ID is
//! configured. Nothing else is sent to an account that fails the check, and other accounts are not affected. Does not make calls itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;

use super::super::{CallCounts, Error, ErrorKind, ListedInstance, Operation, Reader, Writer};
use super::{Aws, AwsReader, AwsWriter, Settings};
use crate::model::{Firewall, Instance, InstanceId, Key, PortState, Site, Sources};

/// The configuration of an account.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// The name in the configuration; `None` for the only account.
    pub name: Option<String>,
    /// The ID that the account of the caller must have; `None` if it is not checked.
    pub id: Option<String>,
    /// Its credentials, role and endpoints.
    pub settings: Settings,
}

/// The accounts of a run. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Accounts(Arc<BTreeMap<Option<String>, AccountConnection>>);

/// Reads from Lightsail in all accounts, and cannot write.
#[derive(Clone, Debug)]
pub(crate) struct AccountsReader(Accounts);

/// Writes to Lightsail in all accounts.
#[derive(Clone, Debug)]
pub(crate) struct AccountsWriter(Accounts);

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
    pub(crate) async fn connect(accounts: Vec<Account>) -> Result<Self, Error> {
        let mut connections = BTreeMap::new();
        for Account { name, id, settings } in accounts {
            let connection = AccountConnection {
                id,
                // Boxed, because the future of the credential chain is large.
                aws: Box::pin(Aws::connect(settings)).await?,
                check: OnceCell::new(),
            };
            connections.insert(name, connection);
        }
        Ok(Self(Arc::new(connections)))
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

    /// The connection for a site, after the check of its account.
    async fn checked(&self, action: &'static str, site: &Site) -> Result<&Aws, Error> {
        let Some(connection) = self.0.get(&site.account) else {
            let message = "nothing is known of this account: the configuration does not name it";
            return Err(
                Error::new(ErrorKind::NotFound, action, site.to_string(), message)
                    .with_hint("add it under `[accounts]`, or leave out what is in it"),
            );
        };
        let (Some(id), Some(name)) = (&connection.id, &site.account) else {
            return Ok(&connection.aws);
        };
        let check = connection.check.get_or_init(|| connection.check(name, id));
        check.await.clone().map(|()| &connection.aws)
    }
}

impl AccountConnection {
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

impl AccountsReader {
    async fn reader(&self, action: &'static str, site: &Site) -> Result<AwsReader, Error> {
        self.0.checked(action, site).await.map(Aws::reader)
    }
}

impl Reader for AccountsReader {
    fn minimum_time(&self, site: &Site, action: &'static str, calls: usize) -> Duration {
        let connection = self.0.0.get(&site.account);
        connection.map_or(Duration::ZERO, |connection| {
            let limiter = &connection.aws.0.limiter;
            limiter.minimum_time(action, &site.region, calls)
        })
    }

    async fn instances(&self, site: &Site) -> Result<Vec<Instance>, Error> {
        let reader = self.reader("GetInstances", site).await?;
        reader.instances(site).await
    }

    async fn stream_instances(
        &self,
        site: &Site,
        on_instance: &dyn Fn(&Instance),
    ) -> Result<Vec<Instance>, Error> {
        let reader = self.reader("GetInstances", site).await?;
        reader.stream_instances(site, on_instance).await
    }

    async fn instances_with_rules(&self, site: &Site) -> Result<Vec<ListedInstance>, Error> {
        let reader = self.reader("GetInstances", site).await?;
        reader.instances_with_rules(site).await
    }

    async fn instance(&self, id: &InstanceId) -> Result<Instance, Error> {
        let reader = self.reader("GetInstance", &id.site()).await?;
        reader.instance(id).await
    }

    async fn port_states(&self, id: &InstanceId) -> Result<Vec<PortState>, Error> {
        let reader = self.reader("GetInstancePortStates", &id.site()).await?;
        reader.port_states(id).await
    }

    async fn operation(&self, instance: &InstanceId, id: &str) -> Result<Operation, Error> {
        let reader = self.reader("GetOperation", &instance.site()).await?;
        reader.operation(instance, id).await
    }

    async fn operations_for(&self, id: &InstanceId) -> Result<Vec<Operation>, Error> {
        let reader = self.reader("GetOperationsForResource", &id.site()).await?;
        reader.operations_for(id).await
    }
}

impl AccountsWriter {
    async fn writer(&self, action: &'static str, id: &InstanceId) -> Result<AwsWriter, Error> {
        self.0.checked(action, &id.site()).await.map(Aws::writer)
    }
}

impl Writer for AccountsWriter {
    async fn reserve_call(&self, id: &InstanceId, action: &'static str) -> Result<(), Error> {
        let writer = self.writer(action, id).await?;
        writer.reserve_call(id, action).await
    }

    async fn open(&self, id: &InstanceId, key: Key, sources: &Sources) -> Result<Operation, Error> {
        let writer = self.writer("OpenInstancePublicPorts", id).await?;
        writer.open(id, key, sources).await
    }

    async fn close(
        &self,
        id: &InstanceId,
        key: Key,
        sources: &Sources,
    ) -> Result<Operation, Error> {
        let writer = self.writer("CloseInstancePublicPorts", id).await?;
        writer.close(id, key, sources).await
    }

    async fn put(&self, id: &InstanceId, firewall: &Firewall) -> Result<Operation, Error> {
        let writer = self.writer("PutInstancePublicPorts", id).await?;
        writer.put(id, firewall).await
    }

    async fn tag(
        &self,
        id: &InstanceId,
        tags: &BTreeMap<String, String>,
    ) -> Result<Vec<Operation>, Error> {
        let writer = self.writer("TagResource", id).await?;
        writer.tag(id, tags).await
    }

    async fn untag(
        &self,
        id: &InstanceId,
        keys: &BTreeSet<String>,
    ) -> Result<Vec<Operation>, Error> {
        let writer = self.writer("UntagResource", id).await?;
        writer.untag(id, keys).await
    }
}
