//! The instances that a configuration is read against, as far as a document shows them.
//!
//! **Owns** which of them belong to the configuration, and which of its sites are shown in full. **Does not** connect to
//! anything.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Config, Listing, account_ids};
use crate::inventory::{Entry, Inventory};
use crate::lightsail::InventoryReader;
use crate::model::{Instance, InstanceId, LiveFirewall, Site, Unreadable};
use crate::plan::Plan;

/// Instances, their rules, and where there are no others.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Fleet {
    /// Those in the sites of the configuration.
    pub(in crate::cli) instances: BTreeMap<InstanceId, Instance>,
    /// Their rules, or why these are not known.
    pub(in crate::cli) rules: BTreeMap<InstanceId, Result<LiveFirewall, Unreadable>>,
    /// The sites of the configuration in which there are no others.
    pub(in crate::cli) listed: BTreeSet<Site>,
    /// The sites of the configuration of which that is not known.
    pub(in crate::cli) unlisted: BTreeMap<Site, Unreadable>,
}

impl Fleet {
    /// Those of an inventory.
    pub(in crate::cli) fn from_inventory(inventory: &Inventory, config: &Config) -> Self {
        let mut sites = config.sites();
        if sites.is_empty() {
            sites = inventory.regions.keys().map(Site::of_region).collect();
        }
        let accounts = account_ids(config.accounts());
        let snapshot = InventoryReader::new(inventory.clone()).with_accounts(accounts);
        let mut fleet = Self::default();
        for site in sites {
            match snapshot.entries(&site) {
                Err(error) => {
                    fleet.unlisted.insert(site, Unreadable::from(&error));
                }
                Ok(entries) => {
                    for entry in entries {
                        let mut instance = entry.instance(&site.region);
                        instance.id.account.clone_from(&site.account);
                        fleet.rules.insert(instance.id.clone(), rules(entry));
                        fleet.instances.insert(instance.id.clone(), instance);
                    }
                    fleet.listed.insert(site);
                }
            }
        }
        fleet
    }

    /// Where they were listed from.
    pub(in crate::cli) fn listing(&self) -> Listing {
        Listing {
            complete: self.listed.clone(),
            incomplete: self.unlisted.clone(),
            scope: None,
        }
    }

    /// Those of a plan, which has the declared instances only, as they were when it was made.
    pub(in crate::cli) fn from_plan(plan: &Plan, config: &Config) -> Self {
        let cause = Unreadable::new("a plan does not list every instance");
        let sites = config.sites().into_iter();
        let mut fleet = Self {
            unlisted: sites.map(|site| (site, cause.clone())).collect(),
            ..Self::default()
        };
        for plan in &plan.instances {
            let id = &plan.instance.id;
            fleet.instances.insert(id.clone(), plan.instance.clone());
            fleet.rules.insert(id.clone(), Ok(plan.before.clone()));
        }
        fleet
    }
}

/// The rules of an instance of an inventory.
pub(super) fn rules(entry: &Entry) -> Result<LiveFirewall, Unreadable> {
    match &entry.port_states {
        Some(ports) => Ok(LiveFirewall::read(ports)),
        None => Err(
            Unreadable::new("its rules could not be read when the inventory was taken")
                .with_hint(Some("take a new inventory".to_owned())),
        ),
    }
}
