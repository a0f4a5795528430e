//! A reader of an inventory file, in place of the service.
//!
//! Owns the results from the file. Fails for anything that the snapshot does not contain. Does not write.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use super::{Error, ErrorKind, Operation, Reader};
use crate::inventory::{Entry, Inventory};
use crate::model::{Instance, InstanceId, LiveFirewall, PortState, Site};

const NO_OPERATIONS: &str = "a snapshot remembers no operations";

/// Reads from an inventory.
#[derive(Clone, Debug)]
pub struct InventoryReader {
    inventory: Inventory,
    /// The ID of each account with a name; empty if there is only one account.
    accounts: BTreeMap<String, String>,
    /// The IDs of the accounts that have an instance.
    accounts_with_instances: BTreeSet<String>,
    /// The indices of the instances with a name, by region and name, because lists are long and each instance is looked up.
    indices: HashMap<String, HashMap<String, Vec<usize>>>,
    /// Cache of parsed rules, by address: many instances share a list.
    parsed: RefCell<HashMap<*const PortState, LiveFirewall>>,
}

impl InventoryReader {
    /// A reader of this inventory.
    pub fn new(inventory: Inventory) -> Self {
        let mut indices: HashMap<String, HashMap<String, Vec<usize>>> = HashMap::new();
        for (region, entries) in &inventory.regions {
            let names = indices.entry(region.clone()).or_default();
            for (index, entry) in entries.iter().enumerate() {
                names.entry(entry.name.clone()).or_default().push(index);
            }
        }
        let accounts_with_instances = inventory.accounts().into_iter().map(str::to_owned);
        Self {
            accounts_with_instances: accounts_with_instances.collect(),
            inventory,
            accounts: BTreeMap::new(),
            indices,
            parsed: RefCell::default(),
        }
    }

    /// Sets the names of accounts, with the IDs that the ARNs contain.
    pub(crate) fn with_accounts(mut self, accounts: BTreeMap<String, String>) -> Self {
        self.accounts = accounts;
        self
    }

    /// The ID of the account of a site, if the snapshot contains the whole site. An account without any instance may not have been
    /// read for the snapshot.
    fn account(&self, action: &'static str, site: &Site) -> Result<Option<&str>, Error> {
        let unknown = |message: &str| {
            Err(not_found(action, site, message).with_hint(
                "take a snapshot of all accounts with `inventory -c`, or leave this one out with `--account`",
            ))
        };
        let Some(name) = &site.account else {
            return Ok(None);
        };
        let Some(id) = self.accounts.get(name) else {
            return unknown("the configuration names no such account");
        };
        let mut unlisted = self.inventory.unlisted.iter();
        if unlisted.any(|unlisted| unlisted.account == *id && unlisted.region == site.region) {
            return unknown("it could not be listed when the snapshot was taken");
        }
        if !self.accounts_with_instances.contains(id) {
            return unknown(&format!("the snapshot has no instance of account {id}"));
        }
        Ok(Some(id))
    }

    /// The instances of a site.
    ///
    /// # Errors
    /// The snapshot does not contain the site, or a name may be in several accounts.
    pub(crate) fn entries(&self, site: &Site) -> Result<Vec<&Entry>, Error> {
        const ACTION: &str = "GetInstances";
        let entries = self.region(ACTION, &site.region)?;
        if let Some(id) = self.account(ACTION, site)? {
            let entries = entries.iter().filter(|entry| entry.account() == id);
            return Ok(entries.collect());
        }
        let mut names = BTreeSet::new();
        match entries.iter().find(|entry| !names.insert(&entry.name)) {
            None => Ok(entries.iter().collect()),
            Some(entry) => Err(ambiguous_name(ACTION, site, &entry.name)),
        }
    }

    fn region(&self, action: &'static str, region: &str) -> Result<&[Entry], Error> {
        let entries = self.inventory.regions.get(region).map(Vec::as_slice);
        entries.ok_or_else(|| {
            not_found(action, region, "the snapshot does not cover this region")
                .with_hint("take a snapshot that includes the region, or leave the region out")
        })
    }

    fn entry_rules(&self, id: &InstanceId) -> Result<&[PortState], Error> {
        const ACTION: &str = "GetInstancePortStates";
        let entries = self.entry(ACTION, id)?.port_states.as_deref();
        entries.ok_or_else(|| {
            let message = "the rules could not be read when the snapshot was taken";
            Error::new(ErrorKind::InvalidResponse, ACTION, id.to_string(), message)
                .with_hint("take a new snapshot")
        })
    }

    fn entry(&self, action: &'static str, id: &InstanceId) -> Result<&Entry, Error> {
        let entries = self.region(action, &id.region)?;
        let account = self.account(action, &id.site())?;
        let names = self.indices.get(&id.region);
        let indices = names.and_then(|names| names.get(&id.name));
        let mut found = indices
            .into_iter()
            .flatten()
            .filter_map(|index| entries.get(*index))
            .filter(|entry| account.is_none_or(|account| entry.account() == account));
        let entry = found.next();
        if found.next().is_some() {
            return Err(ambiguous_name(action, &id.site(), &id.name));
        }
        entry.ok_or_else(|| not_found(action, id, "the snapshot has no such instance"))
    }
}

fn ambiguous_name(action: &'static str, site: &Site, name: &str) -> Error {
    let message = format!("the snapshot has `{name}` in several accounts");
    let kind = ErrorKind::InvalidResponse;
    Error::new(kind, action, site.to_string(), message)
        .with_hint("name the accounts in the configuration, under `[accounts]`")
}

fn not_found(action: &'static str, target: impl fmt::Display, message: &str) -> Error {
    Error::new(ErrorKind::NotFound, action, target.to_string(), message)
}

impl Reader for InventoryReader {
    async fn instances(&self, site: &Site) -> Result<Vec<Instance>, Error> {
        let entries = self.entries(site)?.into_iter();
        Ok(entries.map(|entry| entry.instance(site)).collect())
    }

    async fn instance(&self, id: &InstanceId) -> Result<Instance, Error> {
        Ok(self.entry("GetInstance", id)?.instance(&id.site()))
    }

    async fn port_states(&self, id: &InstanceId) -> Result<Vec<PortState>, Error> {
        Ok(self.entry_rules(id)?.to_vec())
    }

    async fn rules(&self, id: &InstanceId) -> Result<LiveFirewall, Error> {
        let entries = self.entry_rules(id)?;
        let mut parsed = self.parsed.borrow_mut();
        let rules = parsed.entry(entries.as_ptr());
        Ok(rules.or_insert_with(|| LiveFirewall::read(entries)).clone())
    }

    async fn operation(&self, instance: &InstanceId, id: &str) -> Result<Operation, Error> {
        let target = format!("{}/{id}", instance.region);
        Err(not_found("GetOperation", target, NO_OPERATIONS))
    }

    async fn operations_for(&self, id: &InstanceId) -> Result<Vec<Operation>, Error> {
        Err(not_found("GetOperationsForResource", id, NO_OPERATIONS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAPSHOT: &str = r#"{"format": "portward.inventory", "version": 1, "regions": {"eu-central-1": [
        {"name": "web-1", "arn": "arn:1", "state": "running", "ipAddressType": "dualstack",
         "portStates": [{"fromPort": 22, "toPort": 22, "protocol": "TCP"}]},
        {"name": "web-2", "arn": "arn:2", "state": "running", "ipAddressType": "dualstack", "portStates": null}]}}"#;

    fn id(name: &str) -> InstanceId {
        InstanceId {
            account: None,
            region: "eu-central-1".into(),
            name: name.into(),
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn unread_account_is_an_error() {
        let text = r#"{"format": "portward.inventory", "version": 1, "regions": {"eu-central-1": [
            {"name": "web-1", "arn": "arn:aws:lightsail:eu-central-1:111111111111:Instance/1", "state": "running",
             "ipAddressType": "ipv4", "portStates": []},
            {"name": "web-1", "arn": "arn:aws:lightsail:eu-central-1:222222222222:Instance/2", "state": "running",
             "ipAddressType": "ipv6", "portStates": []}]},
            "unlisted": [{"account": "222222222222", "region": "eu-central-1"}]}"#;
        let inventory = Inventory::parse(text).expect("an inventory");
        assert_eq!(
            Inventory::parse(&inventory.to_json()).expect("an inventory"),
            inventory
        );
        let names = [
            ("a", "111111111111"),
            ("b", "222222222222"),
            ("c", "333333333333"),
        ];
        let names = names.map(|(name, id)| (name.to_owned(), id.to_owned()));
        let reader = InventoryReader::new(inventory.clone()).with_accounts(names.into());
        let list = async |account: &str| {
            let site = Site {
                account: Some(account.to_owned()),
                region: "eu-central-1".to_owned(),
            };
            reader.instances(&site).await
        };
        let seen = list("a").await.expect("listed");
        assert_eq!((seen.len(), seen[0].account()), (1, Some("111111111111")));
        assert_eq!(seen[0].id.to_string(), "a/eu-central-1/web-1");
        for account in ["b", "c", "d"] {
            let refused = list(account).await.map_err(|error| error.kind());
            assert_eq!(refused, Err(ErrorKind::NotFound), "{account}");
        }
        // Without names the two of one name cannot be told apart.
        let unnamed = InventoryReader::new(inventory);
        let refused = unnamed.instances(&Site::of_region("eu-central-1")).await;
        assert_eq!(
            refused.map_err(|error| error.kind()),
            Err(ErrorKind::InvalidResponse)
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn unread_site_is_an_error() {
        let reader = InventoryReader::new(Inventory::parse(SNAPSHOT).expect("an inventory"));
        assert_eq!(
            reader
                .instances(&Site::of_region("eu-central-1"))
                .await
                .map(|all| all.len()),
            Ok(2)
        );
        assert_eq!(
            reader
                .port_states(&id("web-1"))
                .await
                .map(|all| all[0].protocol.clone()),
            Ok("TCP".into())
        );
        assert_eq!(
            reader.port_states(&id("web-2")).await.map_err(|e| e.kind()),
            Err(ErrorKind::InvalidResponse)
        );
        assert_eq!(
            reader.instance(&id("web-3")).await.map_err(|e| e.kind()),
            Err(ErrorKind::NotFound)
        );
        assert_eq!(
            reader
                .instances(&Site::of_region("eu-west-1"))
                .await
                .map_err(|e| e.kind()),
            Err(ErrorKind::NotFound)
        );
        assert_eq!(
            reader
                .operation(&id("web-1"), "1")
                .await
                .map_err(|e| e.kind()),
            Err(ErrorKind::NotFound)
        );
    }
}
