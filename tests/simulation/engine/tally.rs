//! How often what happened: proof that the faults bite.
//!
//! Owns counting and a table. Does not judge.

use std::collections::BTreeMap;
use std::fmt;

use portward::emulator::{Author, Quirks};
use portward::plan::Verdict;

use super::act::RunRecord;
use super::cover::setting;
use super::judge;
use super::scene::Scene;

/// Counts by name, in groups.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    counts: BTreeMap<(&'static str, String), usize>,
    most: BTreeMap<&'static str, usize>,
}

impl Tally {
    /// What a scene is made of.
    pub(crate) fn of(scene: &Scene) -> Self {
        let mut tally = Self::default();
        tally.count("seeds", "all");
        for (quirk, value) in Quirks::catalogue().iter().zip(&scene.row) {
            tally.count("quirk", setting(quirk, *value));
        }
        tally
    }

    /// What became of a run.
    pub(crate) fn add(&mut self, act: &RunRecord) {
        for result in &act.report.results {
            self.count("outcome", result.outcome.status().as_str());
        }
        for plan in &act.plan.instances {
            self.count(
                "verdict",
                match plan.verdict {
                    Verdict::InSync => "in sync",
                    Verdict::Incomplete => "incomplete",
                    Verdict::Change => "change",
                    Verdict::Observed => "observed",
                    Verdict::Refused { .. } => "refused",
                    Verdict::StillOpen => "still open",
                },
            );
        }
        for _ in &act.plan.unreadable {
            self.count("verdict", "unreadable");
        }
        self.count("exit code", judge::exit(act).code().to_string());
        for write in &act.journal[act.begin..] {
            let by = match write.by {
                Author::Client => "",
                Author::ForeignWriter => " of a second writer",
            };
            self.count("accepted", format!("{}{by}", write.action));
        }
        for told in act.intents.iter().filter(|told| told.unanswered) {
            self.count("unanswered", told.call.action());
        }
    }

    /// Why a fleet is not as wanted in the end.
    pub(crate) fn excuse(&mut self, excuses: &[&'static str]) {
        if excuses.is_empty() {
            self.count("end", "as wanted");
        }
        for excuse in excuses {
            self.count("end", *excuse);
        }
    }

    /// The most that was needed of something.
    pub(crate) fn most(&mut self, what: &'static str, number: usize) {
        let most = self.most.entry(what).or_default();
        *most = (*most).max(number);
    }

    /// Adds another one.
    pub(crate) fn merge(&mut self, other: Self) {
        for (what, number) in other.most {
            self.most(what, number);
        }
        for (name, count) in other.counts {
            *self.counts.entry(name).or_default() += count;
        }
    }

    /// The wanted events that have not occurred.
    pub(crate) fn missing<'a>(&self, wanted: &[(&'static str, &'a str)]) -> Vec<&'a str> {
        let missing = wanted
            .iter()
            .filter(|(group, name)| !self.counts.contains_key(&(*group, (*name).to_owned())));
        missing.map(|(_, name)| *name).collect()
    }

    fn count(&mut self, group: &'static str, name: impl Into<String>) {
        *self.counts.entry((group, name.into())).or_default() += 1;
    }
}

/// One line a count, by group.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((group, name), count) in &self.counts {
            writeln!(f, "{group:<10}  {name:<44} {count:>8}")?;
        }
        for (what, number) in &self.most {
            writeln!(f, "{:<10}  {what:<44} {number:>8}", "most")?;
        }
        Ok(())
    }
}
