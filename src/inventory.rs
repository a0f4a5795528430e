//! The inventory: a snapshot of instances and their rules in versioned JSON, read and written.
//!
//! One format for the emulator's state, for planning offline and for the example fleet. Owns the file format; refuses to
//! interpret the rules, which stay as the API spells them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::model::{
    AddressType, Instance, InstanceId, InstanceState, MAX_PAIRS_PER_INSTANCE, PortState, Site,
};

/// What `format` must say.
pub const FORMAT: &str = "portward.inventory";

/// The only version there is.
pub const VERSION: u32 = 1;

/// The rules of an instance. Instances with the same rules share them: a fleet has few lists that differ.
pub type Rules = Arc<[PortState]>;

/// Instances by region. While an inventory is read, the rules are still text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inventory<R = Rules> {
    format: String,
    version: u32,
    /// Region name to the instances there, in the order of the file.
    pub regions: BTreeMap<String, Vec<Entry<R>>>,
    /// What is not in it although it was looked for: an account's part of a region that could not be listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlisted: Vec<Unlisted>,
}

/// An account's part of a region that could not be listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unlisted {
    /// The id of the account.
    pub account: String,
    /// The region.
    pub region: String,
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry<R = Rules> {
    /// The resource name, unique in its region of an account.
    pub name: String,
    /// `arn:PARTITION:lightsail:REGION:ACCOUNT:Instance/UUID`.
    pub arn: String,
    /// Tags; a key-only tag has an empty value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The service's name of the state, such as `running`.
    pub state: String,
    /// `dualstack`, `ipv4` or `ipv6`.
    pub ip_address_type: String,
    /// The rules as the API spells them; `null` where they could not be read.
    pub port_states: Option<R>,
}

impl<'a> Inventory<&'a RawValue> {
    /// Reads the lists of rules: each text once, however many instances have it.
    fn read(self) -> serde_json::Result<Inventory> {
        let mut lists: HashMap<&'a str, Rules> = HashMap::new();
        let mut list = |text: &'a RawValue| -> serde_json::Result<Rules> {
            if let Some(list) = lists.get(text.get()) {
                return Ok(Arc::clone(list));
            }
            let list: Rules = serde_json::from_str(text.get())?;
            lists.insert(text.get(), Arc::clone(&list));
            Ok(list)
        };
        let mut entry = |entry: Entry<&'a RawValue>| -> serde_json::Result<Entry> {
            Ok(Entry {
                port_states: entry.port_states.map(&mut list).transpose()?,
                name: entry.name,
                arn: entry.arn,
                tags: entry.tags,
                state: entry.state,
                ip_address_type: entry.ip_address_type,
            })
        };
        let regions = self.regions.into_iter().map(|(region, entries)| {
            let entries = entries.into_iter().map(&mut entry);
            Ok((region, entries.collect::<serde_json::Result<_>>()?))
        });
        Ok(Inventory {
            regions: regions.collect::<serde_json::Result<_>>()?,
            format: self.format,
            version: self.version,
            unlisted: self.unlisted,
        })
    }
}

/// Why a text is no inventory.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// No JSON, or JSON of another shape. The message names line and column.
    #[error("not a portward inventory: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON of the right shape that says it is something else.
    #[error("not a portward inventory: `format` is `{0}`, not `{FORMAT}`")]
    Format(String),
    /// A version from the future.
    #[error("inventory version {0} is not known to this program, which reads version {VERSION}")]
    Version(u32),
    /// More rules than an instance can have.
    #[error(
        "the rules of `{0}` come to {1} pairs of port and source, more than the limit of {MAX_PAIRS_PER_INSTANCE} for one instance"
    )]
    TooLarge(InstanceId, usize),
    /// Two instances of one account that cannot be told apart.
    #[error("`{0}` is listed twice")]
    Duplicate(InstanceId),
    /// Two instances with what only one can have.
    #[error("`{0}` and `{1}` have the same ARN")]
    SameArn(String, String),
}

impl Inventory {
    /// An inventory of these regions.
    pub fn new(regions: BTreeMap<String, Vec<Entry>>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            regions,
            unlisted: Vec::new(),
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// Text that is not an inventory of a known version, names that repeat within a region of an account, an ARN that two
    /// instances have, and an instance with more rules than any can have.
    pub fn parse(text: &str) -> Result<Self, InventoryError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let unread = serde_json::from_str::<Inventory<&RawValue>>(text);
        let inventory = match unread.and_then(Inventory::read) {
            Ok(inventory) => inventory,
            // Read as a whole, it says at which line and column of the file.
            Err(error) => {
                let whole = serde_json::from_str::<Self>(text);
                return Err(InventoryError::Json(whole.err().unwrap_or(error)));
            }
        };
        if inventory.format != FORMAT {
            return Err(InventoryError::Format(inventory.format));
        }
        if inventory.version != VERSION {
            return Err(InventoryError::Version(inventory.version));
        }
        let (mut seen, mut arns) = (BTreeSet::new(), BTreeMap::new());
        for (id, entry) in inventory.entries() {
            let pairs = pairs(entry.port_states.as_deref().unwrap_or_default());
            if pairs > MAX_PAIRS_PER_INSTANCE {
                return Err(InventoryError::TooLarge(id, pairs));
            }
            if !seen.insert((entry.account().to_owned(), id.clone())) {
                return Err(InventoryError::Duplicate(id));
            }
            if let Some(other) = arns.insert(entry.arn.as_str(), id.clone()) {
                return Err(InventoryError::SameArn(other.to_string(), id.to_string()));
            }
        }
        Ok(inventory)
    }

    /// The text of this inventory, indented, with a final newline.
    ///
    /// # Panics
    /// Never: the shape has no map with keys that are not strings.
    pub fn to_json(&self) -> String {
        let mut text =
            serde_json::to_string_pretty(self).expect("strings and numbers are always JSON");
        text.push('\n');
        text
    }

    /// The accounts of the instances, by the ids in those of their ARNs that have one.
    pub fn accounts(&self) -> BTreeSet<&str> {
        let entries = self.regions.values().flatten();
        let accounts = entries.map(Entry::account);
        accounts.filter(|account| !account.is_empty()).collect()
    }

    /// Every instance under the name that somebody gives its account: `names` leads from ids to names. Instances of other
    /// accounts keep theirs to themselves, unless another one of the same name could be taken for them.
    pub fn named(&self, names: &BTreeMap<&str, &str>) -> Vec<(InstanceId, &Entry)> {
        let mut seen = BTreeSet::new();
        let repeats = self.entries().any(|(id, _)| !seen.insert(id));
        let named = self.entries().map(|(mut id, entry)| {
            let own = names.get(entry.account()).copied();
            let account = own.or(repeats.then(|| entry.account()));
            id.account = account.map(str::to_owned);
            (id, entry)
        });
        named.collect()
    }

    /// Every instance with its place, by region and then in the order of the file.
    pub fn entries(&self) -> impl Iterator<Item = (InstanceId, &Entry)> {
        self.regions.iter().flat_map(|(region, entries)| {
            let site = Site::of_region(region);
            let entries = entries.iter();
            entries.map(move |entry| (site.instance_id(&entry.name), entry))
        })
    }
}

/// The account in an ARN; empty where there is none.
pub(crate) fn account(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

impl Entry {
    /// The account in the ARN; empty where there is none.
    pub fn account(&self) -> &str {
        account(&self.arn)
    }

    /// The instance without its rules, at this site.
    pub fn instance(&self, site: &Site) -> Instance {
        Instance {
            id: site.instance_id(&self.name),
            arn: self.arn.clone(),
            tags: self.tags.clone(),
            state: InstanceState::from(self.state.as_str()),
            address_type: AddressType::from(self.ip_address_type.as_str()),
        }
    }
}

/// How many pairs of port range and source entries come to; one without a source counts too.
fn pairs(entries: &[PortState]) -> usize {
    let sources = |entry: &PortState| {
        let PortState {
            cidrs,
            ipv6_cidrs,
            cidr_list_aliases,
            ..
        } = entry;
        (cidrs.len() + ipv6_cidrs.len() + cidr_list_aliases.len()).max(1)
    };
    entries.iter().map(sources).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{
      "format": "portward.inventory", "version": 1,
      "regions": {"eu-central-1": [{
        "name": "web-1", "arn": "arn:aws:lightsail:eu-central-1:123456789012:Instance/1", "state": "running",
        "ipAddressType": "dualstack",
        "portStates": [{"fromPort": 22, "toPort": 22, "protocol": "tcp", "cidrs": ["0.0.0.0/0"]}]
      }]}}"#;

    #[test]
    fn plan_file_survives_a_round_trip() {
        let inventory = Inventory::parse(ONE).expect("an inventory");
        assert_eq!(
            Inventory::parse(&inventory.to_json()).expect("an inventory"),
            inventory
        );
        let (id, entry) = inventory.entries().next().expect("an instance");
        assert_eq!(entry.instance(&id.site()).account(), Some("123456789012"));
    }

    #[test]
    fn more_rules_than_an_instance_can_have_are_refused() {
        let with = |entries: usize| {
            let entry = r#"{"fromPort": 22, "toPort": 22, "protocol": "tcp", "cidrs": ["0.0.0.0/0", "10.0.0.0/8"]}"#;
            let entries = vec![entry; entries].join(", ");
            let start = ONE.find("[{\"fromPort\"").expect("the rules");
            let end = ONE.find("\n      }]}}").expect("the end");
            Inventory::parse(&format!("{}[{entries}]{}", &ONE[..start], &ONE[end..]))
        };
        assert!(with(MAX_PAIRS_PER_INSTANCE / 2).is_ok());
        let error = with(MAX_PAIRS_PER_INSTANCE / 2 + 1).expect_err("refused");
        assert_eq!(
            error.to_string(),
            format!(
                "the rules of `eu-central-1/web-1` come to {} pairs of port and source, more than the limit of {MAX_PAIRS_PER_INSTANCE} for one instance",
                MAX_PAIRS_PER_INSTANCE + 2
            )
        );
    }

    #[test]
    fn a_broken_rule_is_named_by_its_place_in_the_file() {
        let text = ONE.replace("\"tcp\"", "6");
        let error = Inventory::parse(&text).expect_err("refused").to_string();
        assert_eq!(
            error,
            "not a portward inventory: invalid type: integer `6`, expected a string at line 6 column 67"
        );
    }

    #[test]
    fn instances_with_the_same_rules_share_them() {
        let start = ONE.find("{\n        \"name\"").expect("the instance");
        let end = ONE.find("]}}").expect("the end");
        let other = ONE[start..end]
            .replace("web-1", "web-2")
            .replace("Instance/1", "Instance/2");
        let text = format!("{}, {other}{}", &ONE[..end], &ONE[end..]);
        let inventory = Inventory::parse(&text).expect("an inventory");
        let [one, two] = [0, 1].map(|at| inventory.regions["eu-central-1"][at].port_states.clone());
        assert!(Arc::ptr_eq(&one.expect("rules"), &two.expect("rules")));
    }

    #[test]
    fn an_arn_belongs_to_one_instance() {
        let start = ONE.find("{\n        \"name\"").expect("the instance");
        let end = ONE.find("]}}").expect("the end");
        let other = ONE[start..end].replace("web-1", "web-2");
        let text = format!("{}, {other}{}", &ONE[..end], &ONE[end..]);
        assert_eq!(
            Inventory::parse(&text).expect_err("refused").to_string(),
            "`eu-central-1/web-1` and `eu-central-1/web-2` have the same ARN"
        );
        let apart = text.replacen("Instance/1", "Instance/2", 1);
        assert!(Inventory::parse(&apart).is_ok());
    }

    #[test]
    fn files_of_other_formats_are_refused() {
        for (from, to, error) in [
            (
                "portward.inventory",
                "portward.plan",
                "not a portward inventory: `format` is `portward.plan`, not `portward.inventory`",
            ),
            (
                "\"version\": 1",
                "\"version\": 2",
                "inventory version 2 is not known to this program, which reads version 1",
            ),
            (
                "\"state\"",
                "\"status\"",
                "not a portward inventory: unknown field `status`",
            ),
        ] {
            let found = Inventory::parse(&ONE.replacen(from, to, 1))
                .expect_err("refused")
                .to_string();
            assert!(found.starts_with(error), "{found}");
        }
    }
}
