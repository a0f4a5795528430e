//! A firewall in canonical form: a map from key to sources.
//!
//! **Owns** the map and the limits of its size. Rules only permit, so they have no order and no priority, and the union of two
//! firewalls is the union of their rules. A key without sources is never held, because the service would open it to everyone.
//! **Does not** know what a firewall lets in; see `exposure`.

use std::collections::{BTreeMap, HashSet, btree_map};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Key, Rule, Sources};

/// The most (rule, source) pairs of one family that an instance firewall can have (user guide, "Instance firewalls").
pub const MAX_SOURCES_PER_FAMILY: usize = 60;

/// The most pairs of port range and source that one instance may have, declared or live.
///
/// The service accepts 60 sources of each family on an instance, so more than 120 cannot be applied; forty times that is
/// reached only by mistake. The memory for the effective access of overlapping port ranges grows with the square of their
/// number, and is about 100 MiB for this many.
pub const MAX_PAIRS_PER_INSTANCE: usize = 5_000;

/// Rules by key, never a key without sources. A clone shares them until one of the two is changed.
///
/// Its JSON form is a list of rules, each as the API spells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "Vec<PortInfo>", into = "Vec<PortInfo>")]
#[cfg_attr(
    test,
    schemars(
        description = "Rules, one for each key, as the API spells them. No rule is without a source."
    )
)]
pub struct Firewall {
    rules: Arc<BTreeMap<Key, Sources>>,
}

/// One rule as a request spells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PortInfo {
    /// The protocol and ports.
    #[serde(flatten)]
    pub key: Key,
    /// The networks and aliases that are let in.
    #[serde(flatten)]
    pub sources: Sources,
}

impl From<Firewall> for Vec<PortInfo> {
    fn from(firewall: Firewall) -> Self {
        let rules = firewall.iter().map(|(key, sources)| PortInfo {
            key: *key,
            sources: sources.clone(),
        });
        rules.collect()
    }
}

impl TryFrom<Vec<PortInfo>> for Firewall {
    type Error = String;

    fn try_from(rules: Vec<PortInfo>) -> Result<Self, String> {
        let mut firewall = Self::new();
        for PortInfo { key, sources } in rules {
            if sources.is_empty() {
                return Err(format!("the rule {key} names no source"));
            }
            if firewall.get(key).is_some() {
                return Err(format!("the rule {key} is listed twice"));
            }
            firewall.set(key, sources);
        }
        Ok(firewall)
    }
}

/// The number of (rule, source) pairs of each family. Aliases are in neither, because it is not known how the service counts
/// them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCounts {
    /// IPv4 networks of all rules.
    pub ipv4: usize,
    /// IPv6 networks of all rules.
    pub ipv6: usize,
}

impl Firewall {
    /// A firewall that lets nobody in.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds sources to a key; does nothing if there are none.
    pub fn add(&mut self, key: Key, sources: &Sources) {
        if !sources.is_empty() {
            let rules = Arc::make_mut(&mut self.rules);
            rules.entry(key).or_default().extend(sources);
        }
    }

    /// Sets the sources of a key; removes the key if there are none.
    pub fn set(&mut self, key: Key, sources: Sources) {
        if sources.is_empty() {
            self.remove(key);
        } else {
            Arc::make_mut(&mut self.rules).insert(key, sources);
        }
    }

    /// Removes a key.
    pub fn remove(&mut self, key: Key) -> Option<Sources> {
        Arc::make_mut(&mut self.rules).remove(&key)
    }

    /// Lets equal sources share memory with those of the pool, and adds the others to the pool. The value does not change.
    pub fn share(&mut self, pool: &mut HashSet<Sources>) {
        let mut is_shared = true;
        for sources in self.rules.values() {
            match pool.get(sources) {
                Some(known) => is_shared &= known.is_shared_with(sources),
                None => {
                    pool.insert(sources.clone());
                }
            }
        }
        // Do not copy a shared map for nothing.
        if is_shared {
            return;
        }
        for sources in Arc::make_mut(&mut self.rules).values_mut() {
            if let Some(known) = pool.get(sources) {
                *sources = known.clone();
            }
        }
    }

    /// The sources of a key, if it has a rule.
    pub fn get(&self, key: Key) -> Option<&Sources> {
        self.rules.get(&key)
    }

    /// The sources of a key; empty if it has no rule.
    pub fn sources(&self, key: Key) -> Sources {
        self.get(key).cloned().unwrap_or_default()
    }

    /// Rules in order of their keys.
    pub fn iter(&self) -> btree_map::Iter<'_, Key, Sources> {
        self.rules.iter()
    }

    /// Keys in order.
    pub fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        self.rules.keys().copied()
    }

    /// The number of rules.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The number of sources that count against [`MAX_SOURCES_PER_FAMILY`].
    pub fn counts(&self) -> SourceCounts {
        self.rules
            .values()
            .fold(SourceCounts::default(), |sum, sources| SourceCounts {
                ipv4: sum.ipv4 + sources.ipv4().len(),
                ipv6: sum.ipv6 + sources.ipv6().len(),
            })
    }
}

impl<'a> IntoIterator for &'a Firewall {
    type Item = (&'a Key, &'a Sources);
    type IntoIter = btree_map::Iter<'a, Key, Sources>;

    fn into_iter(self) -> Self::IntoIter {
        self.rules.iter()
    }
}

impl<'a> FromIterator<&'a Rule> for Firewall {
    fn from_iter<I: IntoIterator<Item = &'a Rule>>(rules: I) -> Self {
        let rules = rules.into_iter();
        rules.map(|rule| (rule.key, rule.sources.clone())).collect()
    }
}

impl FromIterator<(Key, Sources)> for Firewall {
    fn from_iter<I: IntoIterator<Item = (Key, Sources)>>(rules: I) -> Self {
        let mut firewall = Self::new();
        rules
            .into_iter()
            .for_each(|(key, sources)| firewall.add(key, &sources));
        firewall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firewall_drops_keys_without_sources() {
        let mut firewall = Firewall::new();
        firewall.add(Key::ALL, &Sources::new());
        assert!(firewall.is_empty());
        firewall.add(Key::ALL, &Sources::anywhere());
        assert_eq!(firewall.counts(), SourceCounts { ipv4: 1, ipv6: 1 });
        firewall.set(Key::ALL, Sources::new());
        assert!(firewall.is_empty());
    }

    #[test]
    fn deserializing_refuses_invalid_or_repeated_rules() {
        let rule = |port: u16, cidrs: &str| {
            format!(
                r#"{{"protocol":"tcp","fromPort":{port},"toPort":22,"cidrs":[{cidrs}],"ipv6Cidrs":[],"cidrListAliases":[]}}"#
            )
        };
        let read = |rules: &[String]| {
            let text = format!("[{}]", rules.join(","));
            let firewall: Result<Firewall, _> = serde_json::from_str(&text);
            let firewall = firewall.map_err(|error| error.to_string())?;
            assert_eq!(serde_json::to_string(&firewall).expect("JSON"), text);
            Ok::<usize, String>(firewall.len())
        };
        let one = rule(22, r#""10.0.0.0/8""#);
        assert_eq!(read(&[]), Ok(0));
        assert_eq!(read(std::slice::from_ref(&one)), Ok(1));
        for (rules, why) in [
            (
                vec![one.clone(), one.clone()],
                "the rule tcp/22 is listed twice",
            ),
            (vec![rule(22, "")], "the rule tcp/22 names no source"),
            (
                vec![rule(23, r#""10.0.0.0/8""#)],
                "the range 23-22 ends before it starts",
            ),
            (
                vec![rule(22, r#""10.0.0.0/33""#)],
                "`10.0.0.0/33` is not a valid network",
            ),
            (
                vec![one.replacen("tcp", "sctp", 1)],
                "unknown variant `sctp`",
            ),
            (vec![one.replacen("[]", "null", 1)], "invalid type: null"),
            (
                vec![one.replacen(r#""ipv6Cidrs":[],"#, "", 1)],
                "missing field `ipv6Cidrs`",
            ),
        ] {
            let found = read(&rules).expect_err(why);
            assert!(found.contains(why), "{found}");
        }
    }
}
