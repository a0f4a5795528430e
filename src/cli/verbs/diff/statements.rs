//! The comparison of two configurations on unknown instances: one instance, or every instance that a selector matches.
//!
//! **Owns** the split of a difference into the part that holds for every such instance, and the parts that hold only if or
//! unless it belongs to another group. **Does not** read documents or format the result.
//!
//! For an instance of a selector that belongs to none of the groups of a condition, the result is exact. Every gain and
//! every loss of every possible instance is in the result of one of the selectors that match it.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::documents::{GroupRules, InstanceRules, Retained, Statements, TableMatch};
use crate::config::TableScope;
use crate::exposure::{
    self, Access, Compared, ComparedDocument, ComparisonSubject, DocumentFirewall, Effective, Reach,
};
use crate::model::{Family, Mode, Site};

const UNSETTLED: &str = "whether both sides keep what is live and not declared";

/// The condition of a part of a difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Condition {
    /// It belongs to this group.
    belongs: Option<String>,
    /// It belongs to none of these.
    unless: BTreeSet<String>,
}

/// A part of a difference.
#[derive(Clone, Debug, Default)]
struct Part {
    gained: Effective,
    lost: Effective,
    before: DocumentFirewall,
    after: DocumentFirewall,
    /// The access that may also be gained.
    may_gain: Effective,
    undecided: Vec<String>,
    /// The configuration without a table that matches such an instance.
    undeclared: Option<ComparedDocument>,
}

/// Compares the rules of two documents for one instance. The first result has no condition.
pub(super) fn instance(
    subject: &ComparisonSubject,
    before: &InstanceRules,
    after: &InstanceRules,
) -> Vec<Compared> {
    let is_known =
        |rules: &InstanceRules| rules.group_rules.is_empty() && rules.retained == Retained::Nothing;
    if is_known(before) && is_known(after) {
        let (before, after) = (before.firewall.clone(), after.firewall.clone());
        return vec![Compared::new(subject.clone(), before, after)];
    }
    Parts::of_instance(before, after).compared(subject, [before, after])
}

/// Compares the rules of two configurations for every instance of a selector without a table of its own.
pub(super) fn selector(
    subject: &ComparisonSubject,
    scope: &TableScope,
    [old, new]: [&Statements; 2],
    sites: &BTreeSet<Site>,
) -> Vec<Compared> {
    let (before, after) = (old.rules_for(scope), new.rules_for(scope));
    let parts = Parts::of_selector(scope, [old, new], [&before, &after], sites);
    parts.compared(subject, [&before, &after])
}

/// The results by condition; the first one has none, even if it is not a difference.
#[derive(Default)]
struct Parts(BTreeMap<Condition, Part>);

impl Parts {
    fn of_instance(before: &InstanceRules, after: &InstanceRules) -> Self {
        let mut parts = Self::default();
        parts.add_certain(before, after, &before.firewall, &after.firewall);
        parts.add_group_rules(before, after);
        for (condition, part) in &mut parts.0 {
            let groups = condition.belongs.iter().chain(&condition.unless);
            let scopes = groups.filter_map(|spelling| group_scope(spelling, before, after));
            let whether = scopes.map(|scope| format!("whether the instance {scope}"));
            part.undecided.extend(whether);
        }
        parts.apply_retained(before, after);
        parts
    }

    fn of_selector(
        scope: &TableScope,
        [old, new]: [&Statements; 2],
        [before, after]: [&InstanceRules; 2],
        sites: &BTreeSet<Site>,
    ) -> Self {
        let spelling = scope.spelling();
        let mut parts = Self::default();
        parts.add_certain(
            before,
            after,
            &old.group_firewall(&spelling),
            &new.group_firewall(&spelling),
        );
        for (condition, part) in &mut parts.0 {
            let unless = condition.unless.iter();
            let unless = unless.filter_map(|spelling| self::group_scope(spelling, before, after));
            let unless: Vec<&TableScope> = unless.collect();
            if !unless.is_empty() && !scope.has_more_than(&unless, sites) {
                let change = "whether there is an instance for which this holds".to_owned();
                part.undecided.push(change);
            }
        }
        parts.apply_retained(before, after);
        parts
    }

    /// The access that is certain in one document and not in the other.
    fn add_certain(
        &mut self,
        before: &InstanceRules,
        after: &InstanceRules,
        own_before: &DocumentFirewall,
        own_after: &DocumentFirewall,
    ) {
        let gained = &own_after.reach.certain;
        let gained = gained.difference(&before.firewall.reach.certain);
        let lost = &own_before.reach.certain;
        let lost = lost.difference(&after.firewall.reach.possible);
        let sides = [&before.firewall, &after.firewall];
        self.part(None, BTreeSet::new(), sides);
        for (unless, gained) in split_by_group(gained, &before.group_rules) {
            let part = self.part(None, unless, sides);
            part.gained = part.gained.union(&gained);
        }
        for (unless, lost) in split_by_group(lost, &after.group_rules) {
            let part = self.part(None, unless, sides);
            part.lost = part.lost.union(&lost);
        }
    }

    /// The access of the groups that may match it.
    fn add_group_rules(&mut self, before: &InstanceRules, after: &InstanceRules) {
        let both = before.group_rules.iter().chain(&after.group_rules);
        let spellings: BTreeSet<&str> = both.map(|group| group.spelling.as_str()).collect();
        for spelling in spellings {
            let of = |rules: &InstanceRules| -> DocumentFirewall {
                let mut groups = rules.group_rules.iter();
                let group = groups.find(|group| group.spelling == spelling);
                group
                    .map(|group| group.firewall.clone())
                    .unwrap_or_default()
            };
            let (was, will) = (of(before), of(after));
            let sides = [&was, &will];
            let given = |firewall: &DocumentFirewall, other: &DocumentFirewall| {
                let rest = firewall.reach.certain.difference(&other.reach.certain);
                let rest = rest.difference(&before.firewall.reach.certain);
                rest.difference(&after.firewall.reach.certain)
            };
            for (unless, gained) in split_by_group(given(&will, &was), &before.group_rules) {
                let part = self.part(Some(spelling), unless, sides);
                part.gained = part.gained.union(&gained);
            }
            let lost = given(&was, &will).difference(&after.firewall.reach.possible);
            for (unless, lost) in split_by_group(lost, &after.group_rules) {
                let part = self.part(Some(spelling), unless, sides);
                part.lost = part.lost.union(&lost);
            }
        }
    }

    fn part(
        &mut self,
        belongs: Option<&str>,
        unless: BTreeSet<String>,
        [before, after]: [&DocumentFirewall; 2],
    ) -> &mut Part {
        let condition = Condition {
            belongs: belongs.map(str::to_owned),
            unless,
        };
        self.0.entry(condition).or_insert_with(|| Part {
            before: before.clone(),
            after: after.clone(),
            ..Part::default()
        })
    }
}

impl Parts {
    fn compared(
        mut self,
        subject: &ComparisonSubject,
        rules: [&InstanceRules; 2],
    ) -> Vec<Compared> {
        let is_reported = |part: &Part| {
            let nothing = part.gained.is_empty() && part.lost.is_empty();
            !nothing || !part.undecided.is_empty() || part.undeclared.is_some()
        };
        // What holds on a condition stands for the instance as a whole, which is not equal then.
        if self.0.values().any(is_reported) {
            self.0.retain(|_, part| is_reported(part));
        }
        let parts = self.0.into_iter();
        parts
            .map(|(condition, part)| part.compared(subject, &condition, rules))
            .collect()
    }

    /// Removes the losses that do not happen because live rules stay, and adds the results that depend on unknown live rules.
    fn apply_retained(&mut self, before: &InstanceRules, after: &InstanceRules) {
        for (Condition { belongs, unless }, part) in &mut self.0 {
            let retained = |rules: &InstanceRules| rules.retained_in(belongs.as_deref(), unless);
            let is_out = |rules: &InstanceRules| {
                let mut groups = rules.group_rules.iter();
                rules.declared != TableMatch::Yes
                    && groups.all(|group| unless.contains(&group.spelling))
            };
            part.undeclared = match (is_out(before), is_out(after)) {
                (true, false) => Some(ComparedDocument::Old),
                (false, true) => Some(ComparedDocument::New),
                _ => None,
            };
            let retained = [retained(before), retained(after)];
            let is_reported = |rules: &'_ InstanceRules| {
                (rules.retained_without_groups.clone(), rules.absent.clone())
            };
            let is_same = belongs.is_some() || is_reported(before) == is_reported(after);
            let (mut rest, may_gain) =
                compare_retained(&retained, is_same, &after.firewall.reach.certain);
            part.may_gain = may_gain;
            if retained[1] != Retained::Nothing {
                let (absent, word) = match &retained[1] {
                    Retained::AllBut(absent) => (absent.clone(), "stays"),
                    _ => (Effective::default(), "closes or stays"),
                };
                let lost = std::mem::take(&mut part.lost);
                let (closes, stays) = (lost.intersection(&absent), lost.difference(&absent));
                if !closes.is_empty() {
                    let lines = access_text(&closes);
                    part.undecided.push(format!(
                        "whether a live rule of more than this keeps it open: {lines}"
                    ));
                }
                if !stays.is_empty() {
                    let lines = access_text(&stays);
                    let whether = format!("whether it is live, and so {word}: {lines}");
                    part.undecided.push(whether);
                    // What else is live stays too.
                    if retained[0] == Retained::Nothing {
                        rest.clear();
                    }
                }
            }
            part.undecided.append(&mut rest);
        }
        // An instance that no table takes is in none of these groups, and a part that is about it says it better.
        let takes_undeclared = |condition: &Condition| {
            let mut sides = [before, after].into_iter();
            condition.belongs.is_none()
                && sides.all(|rules| {
                    let among = |spelling: &String| {
                        rules.group_rules.iter().any(|g| g.spelling == *spelling)
                    };
                    rules.declared == TableMatch::Yes || condition.unless.iter().all(among)
                })
        };
        let is_reported = |part: &Part| !part.undecided.is_empty() || part.undeclared.is_some();
        // Of those that one of the groups takes nothing is open.
        let none = BTreeSet::new();
        let groups = [before, after]
            .into_iter()
            .flat_map(|rules| &rules.group_rules);
        let is_settled = |group: &GroupRules| {
            let retained =
                [before, after].map(|rules| rules.retained_in(Some(&group.spelling), &none));
            compare_retained(&retained, false, &after.firewall.reach.certain)
                .0
                .is_empty()
        };
        let mut others = self.0.iter().skip(1);
        if groups.into_iter().all(is_settled)
            && others.any(|(condition, part)| takes_undeclared(condition) && is_reported(part))
            && let Some(unconditional) = self.0.get_mut(&Condition::default())
        {
            unconditional.undecided.retain(|change| change != UNSETTLED);
        }
        // Where the old side keeps what is live, what the new one opens may be open already.
        for (Condition { belongs, unless }, part) in &mut self.0 {
            let retained = before.retained_in(belongs.as_deref(), unless);
            if retained != Retained::Nothing && !part.gained.is_empty() && part.undecided.is_empty()
            {
                let lines = access_text(&part.gained);
                let whether = format!("whether it is open already, by a live rule: {lines}");
                part.undecided.push(whether);
            }
        }
        let unconditional = self.0.entry(Condition::default()).or_default();
        if before.retained == Retained::Nothing || after.retained == Retained::Nothing {
            return;
        }
        unconditional
            .undecided
            .extend(undecided_groups(before, after));
    }
}

/// The parts that depend on whether the instance is in a group whose live rules differ between the documents.
fn undecided_groups(before: &InstanceRules, after: &InstanceRules) -> Vec<String> {
    let by_spelling =
        |rules: &InstanceRules| -> BTreeMap<String, (Effective, (bool, BTreeSet<Mode>))> {
            let groups = rules.group_rules.iter();
            let mode = |group: &GroupRules| (group.is_additive, group.modes.clone());
            let live_rules = |group: &GroupRules| (group.absent.clone(), mode(group));
            groups
                .map(|group| (group.spelling.clone(), live_rules(group)))
                .collect()
        };
    let (was, will) = (by_spelling(before), by_spelling(after));
    let spellings: BTreeSet<&String> = was.keys().chain(will.keys()).collect();
    let whether = |spelling: &String| {
        let get = |all: &BTreeMap<_, _>| all.get(spelling).cloned().unwrap_or_default();
        let ((absent, mode), (other_absent, other_mode)) = (get(&was), get(&will));
        let change = match (absent == other_absent, mode == other_mode) {
            (true, true) => return None,
            (false, true) => "`absent` changes",
            (true, false) => "the mode changes",
            (false, false) => "the mode and `absent` change",
        };
        let scope = group_scope(spelling, before, after)?;
        Some(format!("whether the instance {scope}, where {change}"))
    };
    spellings.into_iter().filter_map(whether).collect()
}

/// What is not known of live rules that nobody has seen and that neither side declares, and who may get in by them that did
/// not before. Where neither side says for certain whether they stay, `is_same` is whether both say the same of it.
fn compare_retained(
    [before, after]: &[Retained; 2],
    is_same: bool,
    declared: &Effective,
) -> (Vec<String>, Effective) {
    let message = |change: &str| vec![change.to_owned()];
    let everything = || Effective::everywhere(&Access::everyone());
    match (before, after) {
        (Retained::Nothing, Retained::Nothing) => Default::default(),
        (Retained::Perhaps, Retained::Perhaps) if is_same => Default::default(),
        (Retained::AllBut(old), Retained::AllBut(new)) => {
            let undeclared = |absent: &Effective, other: &Effective| {
                let rest = absent.difference(other);
                rest.difference(declared)
            };
            let (closes, stays) = (undeclared(new, old), undeclared(old, new));
            let words = "closes, unless a live rule of more than this keeps it open";
            let all = [(words, &closes), ("stays", &stays)];
            let all = all.into_iter().filter(|(_, access)| !access.is_empty());
            let whether = |(words, access): (&str, &Effective)| {
                format!(
                    "whether it is live, and so {words}: {}",
                    access_text(access)
                )
            };
            (all.map(whether).collect(), stays)
        }
        (Retained::Nothing, Retained::AllBut(absent)) => (
            message(
                "what is live and not declared, which the new side keeps and the old one closes",
            ),
            everything().difference(absent),
        ),
        (Retained::AllBut(_), Retained::Nothing) => (
            message(
                "what is live and not declared, which the new side closes and the old one keeps",
            ),
            Effective::default(),
        ),
        (Retained::Perhaps, Retained::Nothing) => (message(UNSETTLED), Effective::default()),
        (Retained::Perhaps, _) | (_, Retained::Perhaps) => (message(UNSETTLED), everything()),
    }
}

fn access_text(access: &Effective) -> String {
    let lines = exposure::lines(&access.boxes(Family::default()));
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

impl Part {
    fn compared(
        self,
        subject: &ComparisonSubject,
        condition: &Condition,
        rules: [&InstanceRules; 2],
    ) -> Compared {
        let [before, after] = rules.map(|rules| &rules.firewall);
        let both = before.reach.certain.intersection(&after.reach.certain);
        let is_whole = *condition == Condition::default();
        let firewall = |rules: DocumentFirewall,
                        of: &DocumentFirewall,
                        change: &Effective,
                        may_gain: &Effective| {
            let certain = both.union(change);
            let mut firewall = DocumentFirewall {
                reach: Reach {
                    possible: certain.union(may_gain),
                    certain,
                    family: of.reach.family,
                },
                rules: rules.rules,
                doubts: Vec::new(),
            };
            // A doubtful entry is one of the instance as a whole.
            if is_whole {
                firewall.reach.possible = firewall.reach.possible.union(&of.reach.doubt());
                firewall.doubts.clone_from(&of.doubts);
            }
            firewall
        };
        let compared = Compared::new(
            subject.clone(),
            firewall(self.before, before, &self.lost, &Effective::default()),
            firewall(self.after, after, &self.gained, &self.may_gain),
        );
        Compared {
            condition: condition.text(rules),
            undecided: self.undecided,
            undeclared: self.undeclared,
            ..compared
        }
    }
}

impl Condition {
    fn text(&self, [before, after]: [&InstanceRules; 2]) -> Option<String> {
        let description =
            |spelling: &String| group_scope(spelling, before, after).map(TableScope::to_string);
        let belongs = self.belongs.as_ref().and_then(description);
        let unless: Vec<String> = self.unless.iter().filter_map(description).collect();
        match (belongs, unless.join(" or ")) {
            (None, unless) if unless.is_empty() => None,
            (Some(belongs), unless) if unless.is_empty() => {
                Some(format!("if the instance {belongs}"))
            }
            (None, unless) => Some(format!("unless the instance {unless}")),
            (Some(belongs), unless) => {
                Some(format!("if the instance {belongs}, unless it {unless}"))
            }
        }
    }
}

fn group_scope<'a>(
    spelling: &str,
    before: &'a InstanceRules,
    after: &'a InstanceRules,
) -> Option<&'a TableScope> {
    let mut groups = before.group_rules.iter().chain(&after.group_rules);
    let group = groups.find(|group| group.spelling == spelling);
    group.map(|group| &group.scope)
}

/// Access by the groups that also give it: an instance of none of them does not have it by them.
fn split_by_group(access: Effective, groups: &[GroupRules]) -> Vec<(BTreeSet<String>, Effective)> {
    let mut parts = vec![(BTreeSet::new(), access)];
    for group in groups {
        let given = &group.firewall.reach.certain;
        let mut next = Vec::new();
        for (unless, part) in parts {
            let both = part.intersection(given);
            if both.is_empty() {
                next.push((unless, part));
                continue;
            }
            let rest = part.difference(given);
            let mut more: BTreeSet<String> = unless.clone();
            more.insert(group.spelling.clone());
            next.push((unless, rest));
            next.push((more, both));
        }
        parts = next;
    }
    parts.retain(|(_, part)| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests;
