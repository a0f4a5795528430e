//! A quick guess which instances the configuration declares, before all instances are known.
//!
//! Owns a guess that lets callers read instances early. It may be wrong: only `resolve` knows all instances, and may find that a name
//! means another instance.

use std::collections::HashSet;

use super::Config;
use crate::model::Instance;

#[derive(Debug)]
pub(crate) struct LikelyDeclared<'a> {
    config: &'a Config,
    /// The names of the instances with a table, without account and region.
    names: HashSet<&'a str>,
}

impl Config {
    /// The instances that are probably declared.
    pub(crate) fn likely_declared(&self) -> LikelyDeclared<'_> {
        let tables = self.linked.instances.iter();
        LikelyDeclared {
            config: self,
            names: tables.map(|table| table.id.name.as_str()).collect(),
        }
    }
}

impl LikelyDeclared<'_> {
    /// Whether a table has the name of this instance, or a group matches it.
    pub(crate) fn contains(&self, instance: &Instance) -> bool {
        let mut groups = self.config.linked.groups.iter();
        self.names.contains(instance.id.name.as_str())
            || groups.any(|group| group.selector.matches(instance))
    }
}
