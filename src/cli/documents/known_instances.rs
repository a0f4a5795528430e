//! The instances for which a configuration is read, as far as a document contains them.
//!
//! **Owns** the choice of those that belong to the configuration, and of the sites that are complete. **Does not** connect
//! to anything.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Config, Listing, account_ids};
use crate::inventory::{Entry, Inventory};
use crate::lightsail::InventoryReader;
use crate::model::{Instance, InstanceId, LiveFirewall, Site, Unreadable};
use crate::plan::Plan;

/// Instances, their rules, and the sites without any others.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct KnownInstances {
    /// The instances in the sites of the configuration.
    pub(in crate::cli) instances: BTreeMap<InstanceId, Instance>,
    /// Their rules, or the reason why they are unknown.
    pub(in crate::cli) rules: BTreeMap<InstanceId, Result<LiveFirewall, Unreadable>>,
    /// The sites of the configuration without any other instances.
    pub(in crate::cli) listed: BTreeSet<Site>,
    /// The sites of the configuration that may have other instances.
    pub(in crate::cli) unlisted: BTreeMap<Site, Unreadable>,
}

impl KnownInstances {
    pub(in crate::cli) fn from_inventory(inventory: &Inventory, config: &Config) -> Self {
        let mut sites = config.sites();
        if sites.is_empty() {
            sites = inventory.regions.keys().map(Site::of_region).collect();
        }
        let accounts = account_ids(config.accounts());
        let snapshot = InventoryReader::new(inventory.clone()).with_accounts(accounts);
        let mut known = Self::default();
        for site in sites {
            match snapshot.entries(&site) {
                Err(error) => {
                    known.unlisted.insert(site, Unreadable::from(&error));
                }
                Ok(entries) => {
                    for entry in entries {
                        let instance = entry.instance(&site);
                        known.rules.insert(instance.id.clone(), rules(entry));
                        known.instances.insert(instance.id.clone(), instance);
                    }
                    known.listed.insert(site);
                }
            }
        }
        known
    }

    /// The sites that were listed completely, and the others.
    pub(in crate::cli) fn listing(&self) -> Listing {
        Listing {
            complete: self.listed.clone(),
            incomplete: self.unlisted.clone(),
            scope: None,
        }
    }

    /// The instances of a plan, which contains only the declared ones, as they were when it was made.
    pub(in crate::cli) fn from_plan(plan: &Plan, config: &Config) -> Self {
        let cause = Unreadable::new("a plan does not list every instance");
        let sites = config.sites().into_iter();
        let mut known = Self {
            unlisted: sites.map(|site| (site, cause.clone())).collect(),
            ..Self::default()
        };
        for plan in &plan.instances {
            let id = &plan.instance.id;
            known.instances.insert(id.clone(), plan.instance.clone());
            known.rules.insert(id.clone(), Ok(plan.before.clone()));
        }
        known
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
