//! What a configuration holds, without looking at any instance: what `check` says of a valid one.
//!
//! Owns the counting and the calendar. Does not say what an instance gets.

use time::OffsetDateTime;

use super::Config;
use super::rule::Rule;
use crate::model::Note;

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Lines that allow something.
    pub rules: usize,
    /// Groups.
    pub groups: usize,
    /// Instances with a table of their own.
    pub instances: usize,
}

impl Config {
    /// How much there is.
    pub fn summary(&self) -> Summary {
        Summary {
            rules: self.rules().count(),
            groups: self.linked.groups.len(),
            instances: self.linked.instances.len(),
        }
    }

    /// Rules that are over as of this instant, or soon will be, in the order of the files.
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
