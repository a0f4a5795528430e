//! The service as a snapshot remembers it.
//!
//! Owns the answers of a file. Refuses to answer for what the snapshot has not seen.

use std::collections::HashMap;

use super::{Error, Kind, Operation, Reader};
use crate::inventory::{Entry, Inventory};
use crate::model::{Instance, InstanceId, PortState, Site};

/// Reads an inventory in place of the service.
#[derive(Clone, Debug)]
pub struct Offline {
    inventory: Inventory,
    /// By region and name, where in the list of its region an instance is: each is looked up, and lists are long.
    places: HashMap<String, HashMap<String, usize>>,
}

impl Offline {
    /// A reader of this inventory.
    #[must_use]
    pub fn new(inventory: Inventory) -> Self {
        let places = inventory
            .regions
            .iter()
            .map(|(region, entries)| {
                let names = entries.iter().map(|entry| entry.name.clone());
                (region.clone(), names.zip(0..).collect())
            })
            .collect();
        Self { inventory, places }
    }

    fn region(&self, action: &'static str, region: &str) -> Result<&[Entry], Error> {
        self.inventory
            .regions
            .get(region)
            .map(Vec::as_slice)
            .ok_or_else(|| {
                Error::new(
                    Kind::NotFound,
                    action,
                    region,
                    "the snapshot does not cover this region",
                )
                .with_hint("take a snapshot that includes the region, or leave the region out")
            })
    }

    fn entry(&self, action: &'static str, id: &InstanceId) -> Result<&Entry, Error> {
        let entries = self.region(action, &id.region)?;
        let names = self.places.get(&id.region);
        let place = names.and_then(|names| names.get(&id.name));
        place.and_then(|at| entries.get(*at)).ok_or_else(|| {
            Error::new(
                Kind::NotFound,
                action,
                id.to_string(),
                "the snapshot has no such instance",
            )
        })
    }
}

impl Reader for Offline {
    async fn instances(&self, site: &Site) -> Result<Vec<Instance>, Error> {
        Ok(self
            .region("GetInstances", &site.region)?
            .iter()
            .map(|entry| entry.instance(&site.region))
            .collect())
    }

    async fn instance(&self, id: &InstanceId) -> Result<Instance, Error> {
        Ok(self.entry("GetInstance", id)?.instance(&id.region))
    }

    async fn port_states(&self, id: &InstanceId) -> Result<Vec<PortState>, Error> {
        const ACTION: &str = "GetInstancePortStates";
        self.entry(ACTION, id)?.port_states.clone().ok_or_else(|| {
            let message = "the rules could not be read when the snapshot was taken";
            Error::new(Kind::BadReply, ACTION, id.to_string(), message)
                .with_hint("take a new snapshot")
        })
    }

    async fn operation(&self, about: &InstanceId, id: &str) -> Result<Operation, Error> {
        Err(no_operations(
            "GetOperation",
            format!("{}/{id}", about.region),
        ))
    }

    async fn operations_for(&self, id: &InstanceId) -> Result<Vec<Operation>, Error> {
        Err(no_operations("GetOperationsForResource", id.to_string()))
    }
}

fn no_operations(action: &'static str, target: String) -> Error {
    Error::new(
        Kind::NotFound,
        action,
        target,
        "a snapshot remembers no operations",
    )
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
    async fn what_was_not_seen_is_not_empty() {
        let offline = Offline::new(Inventory::parse(SNAPSHOT).expect("an inventory"));
        assert_eq!(
            offline
                .instances(&Site::of_region("eu-central-1"))
                .await
                .map(|all| all.len()),
            Ok(2)
        );
        assert_eq!(
            offline
                .port_states(&id("web-1"))
                .await
                .map(|all| all[0].protocol.clone()),
            Ok("TCP".into())
        );
        assert_eq!(
            offline
                .port_states(&id("web-2"))
                .await
                .map_err(|e| e.kind()),
            Err(Kind::BadReply)
        );
        assert_eq!(
            offline.instance(&id("web-3")).await.map_err(|e| e.kind()),
            Err(Kind::NotFound)
        );
        assert_eq!(
            offline
                .instances(&Site::of_region("eu-west-1"))
                .await
                .map_err(|e| e.kind()),
            Err(Kind::NotFound)
        );
        assert_eq!(
            offline
                .operation(&id("web-1"), "1")
                .await
                .map_err(|e| e.kind()),
            Err(Kind::NotFound)
        );
    }
}
