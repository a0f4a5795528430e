//! The connection of a verb: to the service, to the embedded emulator, or to an inventory file.
//!
//! **Owns** the clients of all accounts. **Does not** give a writer to a verb that only reads.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::args::ConnectionArgs;
use super::documents;
use super::embedded::Embedded;
use super::error::CommandError;
use crate::config;
use crate::emulator;
use crate::inventory::Inventory;
use crate::lightsail::aws::{
    AccountSettings, Accounts, AccountsReader, AccountsWriter, ConnectionSettings,
};
use crate::lightsail::{self, InventoryReader, ListedInstance, Operation, Reader};
use crate::model::{Calls, Code, Instance, InstanceId, LiveFirewall, PortState, Site};

/// A connection to the service, to the embedded emulator, or to an inventory file.
pub(super) struct Connection {
    reader: AnyReader,
    aws: Option<Accounts>,
    server: Option<Embedded>,
}

/// A reader chosen at run time.
pub(super) enum AnyReader {
    /// The API.
    Aws(AccountsReader),
    /// An inventory file.
    Offline(Box<InventoryReader>),
}

/// The access that a verb needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AccessMode {
    Read,
    Write,
}

/// An inventory file that another thread is reading.
pub(super) struct Snapshot(JoinHandle<Result<Inventory, CommandError>>);

impl Snapshot {
    pub(super) fn read(path: &Path) -> Self {
        let path = path.to_owned();
        Self(tokio::task::spawn_blocking(move || {
            documents::inventory(&path)
        }))
    }
}

impl Connection {
    /// Connects to the accounts that the configuration names; without any, to the account of the credentials. The first of
    /// `sites` is the region for credential sources that need one.
    pub(super) async fn connect(
        args: &ConnectionArgs,
        snapshot: Option<Snapshot>,
        mode: AccessMode,
        sites: &[Site],
        accounts: &BTreeMap<String, config::Account>,
    ) -> Result<Self, CommandError> {
        if let Some(snapshot) = snapshot {
            return Self::offline(snapshot, accounts).await;
        }
        let mut settings = ConnectionSettings {
            profile: args.profile.clone(),
            endpoint_url: args.endpoint_url.clone(),
            // For the credential sources that need one.
            fallback_region: sites.first().map(|site| site.region.clone()),
            rate: args.rate(),
            ..ConnectionSettings::default()
        };
        let server = match &args.emulator {
            None => None,
            Some(path) => {
                let access = match mode {
                    AccessMode::Read => emulator::FileAccess::ReadOnly,
                    AccessMode::Write => emulator::FileAccess::ReadWrite,
                };
                let server = Embedded::start(path, access).await?;
                settings.endpoint_url = Some(server.url.clone());
                settings.sts_endpoint_url = Some(server.url.clone());
                settings.keys = Some(server.keys.clone());
                // The emulator needs no pacing.
                settings.rate = lightsail::Rate::UNLIMITED;
                Some(server)
            }
        };
        let aws = Accounts::connect(account_settings(accounts, &settings))
            .await
            .map_err(|error| {
                CommandError::failed(error.to_string())
                    .with_code(Code::Connection)
                    .with_optional_hint(error.hint())
            })?;
        Ok(Self {
            reader: AnyReader::Aws(aws.reader()),
            aws: Some(aws),
            server,
        })
    }

    async fn offline(
        Snapshot(inventory): Snapshot,
        accounts: &BTreeMap<String, config::Account>,
    ) -> Result<Self, CommandError> {
        let inventory = inventory.await;
        let offline = InventoryReader::new(inventory.map_err(|error| {
            CommandError::failed(format!(
                "internal error: cannot read the inventory: {error}"
            ))
            .with_code(Code::Internal)
        })??);
        Ok(Self {
            reader: AnyReader::Offline(Box::new(
                offline.with_accounts(config::account_ids(accounts)),
            )),
            aws: None,
            server: None,
        })
    }

    pub(super) fn reader(&self) -> &AnyReader {
        &self.reader
    }

    /// The calls that were made so far.
    pub(super) fn calls(&self) -> Vec<Calls> {
        let counts = self.aws.as_ref().map(Accounts::call_counts);
        counts.unwrap_or_default().into_calls()
    }

    /// The writer; `None` for an inventory file.
    pub(super) fn writer(&self) -> Option<AccountsWriter> {
        self.aws.as_ref().map(Accounts::writer)
    }

    /// The clients of the accounts; `None` for an inventory file.
    pub(super) fn accounts(&self) -> Option<&Accounts> {
        self.aws.as_ref()
    }

    /// Closes the connection and waits until an embedded emulator has written its file.
    pub(super) async fn close(self) {
        let Self {
            reader,
            aws,
            server,
        } = self;
        // This closes idle connections, for which the server would wait.
        drop((reader, aws));
        if let Some(server) = server {
            server.stop().await;
        }
    }
}

/// The settings of each account, or of the one without a name.
fn account_settings(
    accounts: &BTreeMap<String, config::Account>,
    settings: &ConnectionSettings,
) -> Vec<AccountSettings> {
    if accounts.is_empty() {
        return vec![AccountSettings {
            name: None,
            id: None,
            settings: settings.clone(),
        }];
    }
    let account = |(name, account): (&String, &config::Account)| {
        let mut settings = settings.clone();
        settings.role.clone_from(&account.role);
        // Credentials of the emulator replace every profile.
        if settings.keys.is_none() && account.profile.is_some() {
            settings.profile.clone_from(&account.profile);
        }
        if let Some(first) = account.regions.first() {
            settings.fallback_region = Some(first.clone());
        }
        AccountSettings {
            name: Some(name.clone()),
            id: Some(account.id.clone()),
            settings,
        }
    };
    accounts.iter().map(account).collect()
}

impl Reader for AnyReader {
    fn minimum_time(&self, site: &Site, action: &'static str, calls: usize) -> Duration {
        match self {
            Self::Aws(reader) => reader.minimum_time(site, action, calls),
            Self::Offline(reader) => reader.minimum_time(site, action, calls),
        }
    }

    async fn instances(&self, site: &Site) -> Result<Vec<Instance>, lightsail::Error> {
        match self {
            Self::Aws(reader) => reader.instances(site).await,
            Self::Offline(reader) => reader.instances(site).await,
        }
    }

    async fn stream_instances(
        &self,
        site: &Site,
        on_instance: &dyn Fn(&Instance),
    ) -> Result<Vec<Instance>, lightsail::Error> {
        match self {
            Self::Aws(reader) => reader.stream_instances(site, on_instance).await,
            Self::Offline(reader) => reader.stream_instances(site, on_instance).await,
        }
    }

    async fn instances_with_rules(
        &self,
        site: &Site,
    ) -> Result<Vec<ListedInstance>, lightsail::Error> {
        match self {
            Self::Aws(reader) => reader.instances_with_rules(site).await,
            Self::Offline(reader) => reader.instances_with_rules(site).await,
        }
    }

    async fn instance(&self, id: &InstanceId) -> Result<Instance, lightsail::Error> {
        match self {
            Self::Aws(reader) => reader.instance(id).await,
            Self::Offline(reader) => reader.instance(id).await,
        }
    }

    async fn port_states(&self, id: &InstanceId) -> Result<Vec<PortState>, lightsail::Error> {
        match self {
            // The future of a request has about ten kilobytes, and concurrent reads would move it.
            Self::Aws(reader) => Box::pin(reader.port_states(id)).await,
            Self::Offline(reader) => reader.port_states(id).await,
        }
    }

    async fn rules(&self, id: &InstanceId) -> Result<LiveFirewall, lightsail::Error> {
        match self {
            Self::Aws(reader) => Box::pin(reader.rules(id)).await,
            Self::Offline(reader) => reader.rules(id).await,
        }
    }

    async fn operation(
        &self,
        instance: &InstanceId,
        id: &str,
    ) -> Result<Operation, lightsail::Error> {
        match self {
            Self::Aws(reader) => reader.operation(instance, id).await,
            Self::Offline(reader) => reader.operation(instance, id).await,
        }
    }

    async fn operations_for(&self, id: &InstanceId) -> Result<Vec<Operation>, lightsail::Error> {
        match self {
            Self::Aws(reader) => reader.operations_for(id).await,
            Self::Offline(reader) => reader.operations_for(id).await,
        }
    }
}
