//! Which instances the configuration is likely to declare, one at a time and before all are known.
//!
//! Owns a quick answer for who wants to begin early. Must not be relied upon: only `resolve` sees the whole, and may still
//! find that a name means another instance or that the fleet is not as expected.

use std::collections::HashSet;

use super::Config;
use crate::model::Instance;

/// Made once for many instances.
#[derive(Debug)]
pub struct Likely<'a> {
    config: &'a Config,
    /// The instances that have a table, by name alone.
    names: HashSet<&'a str>,
}

impl Config {
    /// A quick look at which instances are declared.
    pub fn likely(&self) -> Likely<'_> {
        let tables = self.linked.instances.iter();
        Likely {
            config: self,
            names: tables.map(|table| table.place.name.as_str()).collect(),
        }
    }
}

impl Likely<'_> {
    /// Whether a table has the name of this instance, or a group takes it.
    pub fn declared(&self, instance: &Instance) -> bool {
        self.names.contains(instance.id.name.as_str())
            || self
                .config
                .linked
                .groups
                .iter()
                .any(|group| group.selector.matches(instance))
    }
}
