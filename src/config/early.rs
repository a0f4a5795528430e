//! A quick guess whether the configuration declares an instance, before all instances are known.
//!
//! Owns a guess that lets callers read instances early. It may be wrong: only `resolve` knows all instances, and may find that a name
//! means another instance.

use std::collections::HashSet;

use super::Config;
use crate::model::Instance;

/// The guess for many instances.
#[derive(Debug)]
pub struct Likely<'a> {
    config: &'a Config,
    /// The names of the instances with a table, without account and region.
    names: HashSet<&'a str>,
}

impl Config {
    /// A quick guess which instances are declared.
    pub fn likely(&self) -> Likely<'_> {
        let tables = self.linked.instances.iter();
        Likely {
            config: self,
            names: tables.map(|table| table.place.name.as_str()).collect(),
        }
    }
}

impl Likely<'_> {
    /// Whether a table has the name of this instance, or a group matches it.
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
