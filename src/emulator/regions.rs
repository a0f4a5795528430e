//! The regions that `GetRegions` lists.
//!
//! Owns the form of the response. Does not restrict regions: a request may be for any region that its signature names.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::model::REGIONS;

/// Every public region, and other regions of the inventory.
pub(super) fn list<'a>(
    inventory: impl Iterator<Item = &'a str>,
    zones: bool,
    database_zones: bool,
) -> Vec<Value> {
    let mut names: BTreeSet<&str> = inventory.collect();
    names.extend(REGIONS.iter().map(|region| region.name));
    let region = |name: &str| {
        let found = REGIONS.iter().find(|region| region.name == name);
        let (display, continent) =
            found.map_or((name, "NA"), |region| (region.display, region.continent));
        let zone_list = |included: bool| -> Vec<Value> {
            let letters = if included { &["a", "b", "c"][..] } else { &[] };
            letters
                .iter()
                .map(|letter| json!({"zoneName": format!("{name}{letter}"), "state": "available"}))
                .collect()
        };
        json!({
            "name": name,
            "displayName": display,
            "continentCode": continent,
            "description": format!("This region is for users near {display}"),
            "availabilityZones": zone_list(zones),
            "relationalDatabaseAvailabilityZones": zone_list(database_zones),
        })
    };
    names.into_iter().map(region).collect()
}
