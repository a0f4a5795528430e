//! The names of ports and sources: services, and address sets of the configuration.
//!
//! **Owns** the choice of the name. **Does not** use an inexact one: a set names sources only where they are equal to it, to
//! one family of it, or to everything else.

use std::collections::BTreeMap;

use crate::exposure::{Access, count_addresses, format_sources};
use crate::model::{Key, LIGHTSAIL_CONNECT, Sources};
use crate::render::sanitize;

/// The names that a document brings with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    /// By the text of a key, such as `tcp/22`.
    services: BTreeMap<String, String>,
    /// Sets that people gave a name, the short names first.
    sets: Vec<(String, Access)>,
}

impl Names {
    /// Names of keys and of sets. Of several names of one key the first holds.
    pub(crate) fn new(
        services: impl IntoIterator<Item = (Key, String)>,
        sets: impl IntoIterator<Item = (String, Sources)>,
    ) -> Self {
        let mut names = Self::default();
        for (key, name) in services {
            names.services.entry(key.to_string()).or_insert(name);
        }
        names.sets = sets
            .into_iter()
            .filter(|(_, sources)| !sources.is_empty())
            .map(|(name, sources)| (name, Access::from(&sources)))
            .collect();
        names
            .sets
            .sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
        names
    }

    /// Ports with the name of their service: `tcp/22 (ssh)`.
    fn port_name(&self, ports: &str) -> Option<String> {
        let name = self.services.get(ports)?;
        Some(format!("{ports} ({})", sanitize(name)))
    }

    /// Sources by the name of a set, where one is exact.
    fn set_name(&self, sources: &Sources) -> Option<String> {
        let access = Access::from(sources);
        let Access { v4, v6, aliases } = &access;
        let trivial4 = v4.is_empty() || v4.is_all();
        let trivial6 = v6.is_empty() || v6.is_all();
        if trivial4 && trivial6 {
            return None;
        }
        let find = |is: &dyn Fn(&Access) -> bool| {
            let found = self.sets.iter().find(|(_, set)| is(set));
            found.map(|(name, _)| sanitize(name))
        };
        let count = count_addresses(&access);
        if let Some(name) = find(&|set| *set == access) {
            return Some(format!("{name} ({count})"));
        }
        let unaliased = Access {
            aliases: std::collections::BTreeSet::new(),
            ..access.clone()
        };
        let also = aliases.iter().map(|alias| format!(", {}", sanitize(alias)));
        let also: String = also.collect();
        if let Some(name) = find(&|set| *set == unaliased) {
            return Some(format!("{name} ({count}){also}"));
        }
        // Of a set that has both families an instance may get one.
        if v6.is_empty()
            && let Some(name) = find(&|set| set.v4 == *v4)
        {
            return Some(format!("{name} (IPv4, {count}){also}"));
        }
        if v4.is_empty()
            && let Some(name) = find(&|set| set.v6 == *v6)
        {
            return Some(format!("{name} (IPv6, {count}){also}"));
        }
        // Everyone includes the browser client.
        let others = Access::everyone().difference(&access);
        if aliases.iter().all(|alias| alias == LIGHTSAIL_CONNECT)
            && let Some(name) = find(&|set| *set == others)
        {
            return Some(format!("everyone but {name}"));
        }
        None
    }
}

/// Sources in words: by a set of the first document that has an exact one, else by networks.
pub(super) fn source_name(sources: &Sources, names: &[&Names]) -> String {
    let named = names.iter().find_map(|names| names.set_name(sources));
    named.unwrap_or_else(|| sanitize(&format_sources(sources)))
}

/// A line's ports, by the names of the first document that has one.
pub(super) fn port_name(ports: &str, names: &[&Names]) -> String {
    let named = names.iter().find_map(|names| names.port_name(ports));
    named.unwrap_or_else(|| ports.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Family, Protocol};

    fn list(texts: &[&str]) -> Sources {
        let mut all: Sources = texts
            .iter()
            .filter_map(|t| Sources::parse_live(t))
            .collect();
        let names = texts.iter().filter(|t| Sources::parse_live(t).is_none());
        names.for_each(|name| all.insert_alias(*name));
        all
    }

    #[test]
    fn set_name_replaces_exactly_its_sources() {
        let ssh = Key::new(Protocol::Tcp, 22, 22).expect("a key");
        let office = list(&["203.0.113.0/25", "203.0.113.128/25", "2001:db8:10::/48"]);
        let names = Names::new(
            [(ssh, "ssh".to_owned())],
            [
                ("the-office".to_owned(), office.clone()),
                ("office".to_owned(), office),
            ],
        );
        let empty = Names::default();
        let name = |texts: &[&str]| source_name(&list(texts), &[&empty, &names]);
        for (texts, words) in [
            (
                &["203.0.113.0/24", "2001:db8:10::/48"][..],
                "office (256 IPv4 and 2^80 IPv6 addresses)",
            ),
            (
                &["203.0.113.0/24", "2001:db8:10::/48", "lightsail-connect"],
                "office (256 IPv4 and 2^80 IPv6 addresses), lightsail-connect",
            ),
            (&["203.0.113.0/24"], "office (IPv4, 256 addresses)"),
            (&["2001:db8:10::/48"], "office (IPv6, 2^80 addresses)"),
            (&["203.0.113.0/25"], "203.0.113.0/25 (128 addresses)"),
            (&["0.0.0.0/0", "::/0"], "everyone"),
            (&["lightsail-connect"], "lightsail-connect"),
        ] {
            assert_eq!(name(texts), words, "{texts:?}");
        }
        let others = Access::everyone().difference(&Access::from(&list(&[
            "203.0.113.0/24",
            "2001:db8:10::/48",
        ])));
        assert_eq!(
            source_name(&others.to_sources(Family::V4), &[&names, &empty]),
            "everyone but office"
        );
        assert_eq!(port_name("tcp/22", &[&empty, &names]), "tcp/22 (ssh)");
        assert_eq!(port_name("tcp/22-23", &[&empty, &names]), "tcp/22-23");
    }
}
