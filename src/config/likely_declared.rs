//! A quick guess which instances the configuration declares, before all instances are known.
//!
//! Owns a guess that lets callers read instances early. It may be wrong: only `resolve` knows all instances, and may find that a name
//! means another instance.

use std::collections::HashSet;

use super::Config;
use crate::model::Instance;

impl Config {
    /// Whether an instance is probably declared: a table has its name, or a group matches it.
    pub(crate) fn likely_declared(&self) -> impl Fn(&Instance) -> bool {
        let tables = self.linked.instances.iter();
        // Without account and region.
        let names: HashSet<&str> = tables.map(|table| table.id.name.as_str()).collect();
        move |instance| {
            let mut groups = self.linked.groups.iter();
            names.contains(instance.id.name.as_str())
                || groups.any(|group| group.selector.matches(instance))
        }
    }
}
