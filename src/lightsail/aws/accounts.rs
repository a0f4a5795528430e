//! Several accounts as one service: each with its own credentials, connections and rates.
//!
//! Owns the way from an instance to the connection of its account, and the check that comes before anything else is asked
//! of an account that says which one it is: that STS knows the caller as one of that account. An account that fails it is
//! not reached at all, and no other account notices. Does not know how a call is made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;

use super::super::{Error, Kind, Listed, Operation, Reader, Tally, Writer};
use super::{Aws, AwsReader, AwsWriter, Settings};
use crate::model::{Firewall, Instance, InstanceId, Key, PortState, Site, Sources};

/// How to reach an account.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// The name that the configuration gives it; `None` is the one account that the credentials belong to.
    pub name: Option<String>,
    /// The id that the caller's account must have. `None`: any will do, and STS is not asked.
    pub id: Option<String>,
    /// Its credentials, role and endpoints.
    pub settings: Settings,
}

/// Every account of a run. Cloning shares everything.
#[derive(Clone, Debug)]
pub(crate) struct Accounts(Arc<BTreeMap<Option<String>, Member>>);

/// Reads Lightsail in every account. Has no way to write.
#[derive(Clone, Debug)]
pub(crate) struct AccountsReader(Accounts);

/// Writes Lightsail in every account.
#[derive(Clone, Debug)]
pub(crate) struct AccountsWriter(Accounts);

#[derive(Debug)]
struct Member {
    id: Option<String>,
    aws: Aws,
    /// Whether the caller is of this account, once that is known. A failure is final: what was refused to one call must
    /// not be allowed to the next one of the same run.
    checked: OnceCell<Result<(), Error>>,
}

impl Accounts {
    /// Gets ready. Nobody is asked anything before the first call for an account.
    ///
    /// # Errors
    /// An endpoint that is no `http` or `https` URL.
    pub(crate) async fn connect(accounts: Vec<Account>) -> Result<Self, Error> {
        let mut members = BTreeMap::new();
        for Account { name, id, settings } in accounts {
            let member = Member {
                id,
                // The chain of credentials makes a large future, which every caller would carry.
                aws: Box::pin(Aws::connect(settings)).await?,
                checked: OnceCell::new(),
            };
            members.insert(name, member);
        }
        Ok(Self(Arc::new(members)))
    }

    /// A way to read.
    pub(crate) fn reader(&self) -> AccountsReader {
        AccountsReader(self.clone())
    }

    /// A way to write.
    pub(crate) fn writer(&self) -> AccountsWriter {
        AccountsWriter(self.clone())
    }

    /// The calls that were made so far, in all accounts.
    pub(crate) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for member in self.0.values() {
            tally.add(&member.aws.tally());
        }
        tally
    }

    /// The connection of an account, without the check.
    pub(crate) fn connection(&self, name: Option<&str>) -> Option<&Aws> {
        let member = self.0.get(&name.map(str::to_owned))?;
        Some(&member.aws)
    }

    /// The connection of a site, if the caller is of its account.
    async fn at(&self, action: &'static str, site: &Site) -> Result<&Aws, Error> {
        let Some(member) = self.0.get(&site.account) else {
            let message = "nothing is known of this account: the configuration does not name it";
            return Err(
                Error::new(Kind::NotFound, action, site.to_string(), message)
                    .with_hint("add it under `[accounts]`, or leave out what is in it"),
            );
        };
        let (Some(id), Some(name)) = (&member.id, &site.account) else {
            return Ok(&member.aws);
        };
        let checked = member.checked.get_or_init(|| member.check(name, id)).await;
        checked.clone().map(|()| &member.aws)
    }
}

impl Member {
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
        Err(Error::new(Kind::AccessDenied, "GetCallerIdentity", name, message).with_hint(hint))
    }
}

impl AccountsReader {
    async fn at(&self, action: &'static str, site: &Site) -> Result<AwsReader, Error> {
        self.0.at(action, site).await.map(Aws::reader)
    }
}

impl Reader for AccountsReader {
    fn least(&self, site: &Site, action: &'static str, calls: usize) -> Duration {
        let member = self.0.0.get(&site.account);
        member.map_or(Duration::ZERO, |member| {
            member.aws.least(action, &site.region, calls)
        })
    }

    async fn instances(&self, site: &Site) -> Result<Vec<Instance>, Error> {
        let reader = self.at("GetInstances", site).await?;
        reader.instances(site).await
    }

    async fn instances_shown(
        &self,
        site: &Site,
        show: &dyn Fn(&Instance),
    ) -> Result<Vec<Instance>, Error> {
        let reader = self.at("GetInstances", site).await?;
        reader.instances_shown(site, show).await
    }

    async fn listed(&self, site: &Site) -> Result<Vec<Listed>, Error> {
        let reader = self.at("GetInstances", site).await?;
        reader.listed(site).await
    }

    async fn instance(&self, id: &InstanceId) -> Result<Instance, Error> {
        let reader = self.at("GetInstance", &id.site()).await?;
        reader.instance(id).await
    }

    async fn port_states(&self, id: &InstanceId) -> Result<Vec<PortState>, Error> {
        let reader = self.at("GetInstancePortStates", &id.site()).await?;
        reader.port_states(id).await
    }

    async fn operation(&self, about: &InstanceId, id: &str) -> Result<Operation, Error> {
        let reader = self.at("GetOperation", &about.site()).await?;
        reader.operation(about, id).await
    }

    async fn operations_for(&self, id: &InstanceId) -> Result<Vec<Operation>, Error> {
        let reader = self.at("GetOperationsForResource", &id.site()).await?;
        reader.operations_for(id).await
    }
}

impl AccountsWriter {
    async fn at(&self, action: &'static str, id: &InstanceId) -> Result<AwsWriter, Error> {
        self.0.at(action, &id.site()).await.map(Aws::writer)
    }
}

impl Writer for AccountsWriter {
    async fn turn(&self, id: &InstanceId, action: &'static str) -> Result<(), Error> {
        self.at(action, id).await?.turn(id, action).await
    }

    async fn open(&self, id: &InstanceId, key: Key, sources: &Sources) -> Result<Operation, Error> {
        let writer = self.at("OpenInstancePublicPorts", id).await?;
        writer.open(id, key, sources).await
    }

    async fn close(
        &self,
        id: &InstanceId,
        key: Key,
        sources: &Sources,
    ) -> Result<Operation, Error> {
        let writer = self.at("CloseInstancePublicPorts", id).await?;
        writer.close(id, key, sources).await
    }

    async fn put(&self, id: &InstanceId, firewall: &Firewall) -> Result<Operation, Error> {
        let writer = self.at("PutInstancePublicPorts", id).await?;
        writer.put(id, firewall).await
    }

    async fn tag(
        &self,
        id: &InstanceId,
        tags: &BTreeMap<String, String>,
    ) -> Result<Vec<Operation>, Error> {
        let writer = self.at("TagResource", id).await?;
        writer.tag(id, tags).await
    }

    async fn untag(
        &self,
        id: &InstanceId,
        keys: &BTreeSet<String>,
    ) -> Result<Vec<Operation>, Error> {
        let writer = self.at("UntagResource", id).await?;
        writer.untag(id, keys).await
    }
}
