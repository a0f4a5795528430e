//! The regions that `GetRegions` lists.
//!
//! Owns the table of public Lightsail regions. Refuses to bar any other: a request may be made to whatever region its
//! signature names.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// Region, name for people, continent.
const REGIONS: [(&str, &str, &str); 19] = [
    ("ap-east-1", "Hong Kong", "AP"),
    ("ap-northeast-1", "Tokyo", "AP"),
    ("ap-northeast-2", "Seoul", "AP"),
    ("ap-south-1", "Mumbai", "AP"),
    ("ap-southeast-1", "Singapore", "AP"),
    ("ap-southeast-2", "Sydney", "AP"),
    ("ap-southeast-3", "Jakarta", "AP"),
    ("ap-southeast-5", "Malaysia", "AP"),
    ("ca-central-1", "Montreal", "NA"),
    ("eu-central-1", "Frankfurt", "EU"),
    ("eu-north-1", "Stockholm", "EU"),
    ("eu-south-2", "Spain", "EU"),
    ("eu-west-1", "Ireland", "EU"),
    ("eu-west-2", "London", "EU"),
    ("eu-west-3", "Paris", "EU"),
    ("sa-east-1", "São Paulo", "SA"),
    ("us-east-1", "Virginia", "NA"),
    ("us-east-2", "Ohio", "NA"),
    ("us-west-2", "Oregon", "NA"),
];

/// Every public region, and those of the inventory that are none.
pub(super) fn list<'a>(
    inventory: impl Iterator<Item = &'a str>,
    zones: bool,
    database_zones: bool,
) -> Vec<Value> {
    let mut names: BTreeSet<&str> = inventory.collect();
    names.extend(REGIONS.iter().map(|(name, _, _)| *name));
    let region = |name: &str| {
        let found = REGIONS.iter().find(|(known, _, _)| *known == name);
        let (_, display, continent) = found.copied().unwrap_or((name, name, "NA"));
        let zone_list = |wanted: bool| -> Vec<Value> {
            let letters = if wanted { &["a", "b", "c"][..] } else { &[] };
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
