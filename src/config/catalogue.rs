//! Catalogue: the names of a configuration (address sets and services) for other modules.
//!
//! Owns the lookup of names. Does not know which rules an instance has.

use std::collections::BTreeMap;

use super::Config;
use super::named_lists::NamedLists;
use super::port_expr;
use super::services;
use super::source_expr::{self, SourceExpr, SourceItem};
use crate::model::{Key, Sources};

/// The user's sets and services. They are expanded only when they are needed, because most runs do not need them.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) addresses: NamedLists<SourceItem>,
    pub(super) services: NamedLists<Key>,
}

impl Config {
    /// The address sets by name, expanded.
    pub fn sets(&self) -> BTreeMap<String, Sources> {
        let sets = self.linked.catalogue.addresses.iter();
        sets.map(|(name, items)| (name.to_owned(), sources(&items)))
            .collect()
    }

    /// The user's services by name.
    pub fn services(&self) -> BTreeMap<String, Vec<Key>> {
        let services = self.linked.catalogue.services.iter();
        services
            .map(|(name, keys)| (name.to_owned(), keys))
            .collect()
    }

    /// The keys of a text of `allow`, which is a service or a key; `None` if it is neither.
    pub(crate) fn keys_of(&self, text: &str) -> Option<Vec<Key>> {
        match port_expr::parse(text) {
            Some(key) => key.ok().map(|key| vec![key]),
            None => self
                .services()
                .remove(text)
                .or_else(|| services::service_keys(text).map(<[Key]>::to_vec)),
        }
    }

    /// The sources of a text of `from`, which is an address, a network, a set, or a keyword such as `anywhere`; `None` if it is none of
    /// these.
    pub(crate) fn sources_of(&self, text: &str) -> Option<Sources> {
        match source_expr::parse(text) {
            SourceExpr::Keyword(items) => Some(sources(items)),
            SourceExpr::Literal(net) => Some([net].into_iter().collect()),
            SourceExpr::Name => self.sets().remove(text),
            SourceExpr::Invalid(_) => None,
        }
    }
}

fn sources(items: &[SourceItem]) -> Sources {
    let mut sources = Sources::new();
    SourceItem::add_all(items, &mut sources);
    sources
}

/// The name of a built-in service with this key, preferably of one that has no other key.
pub(crate) fn service_of(key: Key) -> Option<&'static str> {
    services::service_name(key).or_else(|| {
        services::service_names()
            .find(|name| services::service_keys(name).is_some_and(|keys| keys.contains(&key)))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Source, parse};
    use super::*;
    use crate::model::Protocol;

    #[test]
    fn lookup_expands_names_and_does_not_count_as_use() {
        let text = r#"version = 1
[addresses]
office = ["203.0.113.0/24"]
admins = ["office", "198.51.100.7", "lightsail-connect"]
[services]
app = ["tcp/8080-8089", "ssh"]
[instances.web-1]
rules = [{ allow = "app", from = "office" }]
"#;
        let config = parse(vec![Source::new("firewall.toml", text)]).expect("valid");
        let set = |name: &str| config.sets().get(name).map(ToString::to_string);
        assert_eq!(set("office").as_deref(), Some("203.0.113.0/24"));
        assert_eq!(
            set("admins").as_deref(),
            Some("198.51.100.7/32, 203.0.113.0/24, lightsail-connect")
        );
        assert!(config.services().contains_key("app"));
        let mut warnings = config.warnings().iter();
        assert!(
            warnings.any(|warning| warning.message.contains("admins")),
            "{:?}",
            config.warnings()
        );
    }

    #[test]
    fn key_of_a_service_with_several_keys_has_its_name() {
        let key = |protocol, from, to| Key::new(protocol, from, to).expect("a key");
        assert_eq!(service_of(key(Protocol::Icmp, 8, -1)), Some("ping"));
        assert_eq!(service_of(key(Protocol::Udp, 53, 53)), Some("dns"));
        assert_eq!(service_of(key(Protocol::Tcp, 22, 22)), Some("ssh"));
        assert_eq!(service_of(key(Protocol::Tcp, 4, 4)), None);
    }
}
