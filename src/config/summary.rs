//! Summary of a configuration without instances, for `check`.
//!
//! Owns the numbers of lines, groups and instances, and the list of expiring rules. Does not know which rules an instance has.

use time::OffsetDateTime;

use super::Config;
use super::rule::Rule;
use crate::model::Note;

/// The size of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The number of lines that allow access.
    pub rules: usize,
    /// The number of groups.
    pub groups: usize,
    /// The number of instances with a table of their own.
    pub instances: usize,
}

impl Config {
    /// The size of the configuration.
    pub fn summary(&self) -> Summary {
        Summary {
            rules: self.rules().count(),
            groups: self.linked.groups.len(),
            instances: self.linked.instances.len(),
        }
    }

    /// Notes on rules that have ended at this instant or will end soon, in the order of the files.
    pub fn expiring(&self, as_of: OffsetDateTime) -> Vec<Note> {
        let mut notes = Vec::new();
        for rule in self.rules() {
            if rule.is_expired(as_of, &mut notes) {
                let allow: Vec<&str> = rule.items.iter().map(super::rule::Item::text).collect();
                let text = format!(
                    "`{}` has expired and is no longer wanted",
                    allow.join("`, `")
                );
                notes.push(Note {
                    text,
                    origin: rule.origin(),
                });
            }
        }
        notes.sort_by(|a, b| a.origin.cmp(&b.origin));
        notes
    }

    fn rules(&self) -> impl Iterator<Item = &Rule> {
        let rulesets = self.linked.rulesets.iter().flatten();
        let groups = self.linked.groups.iter().map(|group| &group.settings);
        let instances = self
            .linked
            .instances
            .iter()
            .map(|declared| &declared.settings);
        rulesets.chain(
            groups
                .chain(instances)
                .flat_map(|settings| settings.rules.iter()),
        )
    }
}
