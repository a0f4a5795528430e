//! Summary of a configuration without instances, for `check`.
//!
//! Owns the numbers of lines, groups and instances, and the list of expiring rules. Does not know which rules an instance has.

use time::OffsetDateTime;

use super::Config;
use super::rule::LinkedRule;
use crate::model::Note;

/// The size of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigSize {
    /// The number of lines that allow access.
    pub rules: usize,
    /// The number of groups.
    pub groups: usize,
    /// The number of instances with a table of their own.
    pub instances: usize,
}

impl Config {
    /// The size of the configuration.
    pub fn summary(&self) -> ConfigSize {
        ConfigSize {
            rules: self.rules().count(),
            groups: self.linked.groups.len(),
            instances: self.linked.instances.len(),
        }
    }

    /// Notes on rules that have ended at this instant or will end soon, in the order of the files.
    pub(crate) fn expiring(&self, as_of: OffsetDateTime) -> Vec<Note> {
        let mut notes = Vec::new();
        for rule in self.rules() {
            notes.extend(rule.expiry_note(as_of));
            if rule.is_expired(as_of) {
                let allow = rule.allow_texts();
                notes.push(rule.note(format!("{allow} has expired and is no longer wanted")));
            }
        }
        notes.sort_by(|a, b| a.origin.cmp(&b.origin));
        notes
    }

    fn rules(&self) -> impl Iterator<Item = &LinkedRule> {
        let groups = self.linked.groups.iter().map(|group| &group.settings);
        let instances = self.linked.instances.iter().map(|table| &table.settings);
        let own = groups.chain(instances).flat_map(|settings| &settings.rules);
        self.linked.rulesets.iter().flatten().chain(own)
    }
}
