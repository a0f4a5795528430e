//! Two configurations on instances that nobody has seen: what each says of one, or of every one that a selector takes.
//!
//! **Owns** the split of a difference into what holds for every such instance, and what holds only if or unless it belongs
//! to another group. **Does not** read documents, and does not word what it found.
//!
//! For an instance of a selector that belongs to none of the groups of a condition, what is told is exact. Every gain and
//! every loss of every conceivable instance is told by one of the selectors that take it.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::documents::{Conditional, Declared, Kept, Stated, Statements};
use crate::config::Scope;
use crate::exposure::{
    Access, Compared, ComparedDocument, ComparisonSubject, Diff, DocumentFirewall, Effective, Reach,
};
use crate::model::{Family, Mode, Site};

const UNSETTLED: &str = "whether both sides keep what is live and not declared";

/// What an instance is on which a part of a difference depends.
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
    /// What may be gained besides.
    perhaps: Effective,
    undecided: Vec<String>,
    /// The document that is a configuration in which no table takes such an instance.
    undeclared: Option<ComparedDocument>,
}

/// Compares what two documents say of one instance. The first answer is the one that holds on no condition.
pub(super) fn instance(
    subject: &ComparisonSubject,
    before: &Stated,
    after: &Stated,
) -> Vec<Compared> {
    let is_known = |stated: &Stated| stated.conditional.is_empty() && stated.kept == Kept::Nothing;
    if is_known(before) && is_known(after) {
        let sides = (before.side.clone(), after.side.clone());
        return vec![Compared::new(subject.clone(), sides.0, sides.1)];
    }
    Parts::of_instance(before, after).compared(subject, [before, after])
}

/// Compares what two configurations say of every instance of a selector that has no table of its own.
pub(super) fn selector(
    subject: &ComparisonSubject,
    scope: &Scope,
    [old, new]: [&Statements; 2],
    sites: &BTreeSet<Site>,
) -> Vec<Compared> {
    let (before, after) = (old.stated(scope), new.stated(scope));
    let parts = Parts::of_selector(scope, [old, new], [&before, &after], sites);
    parts.compared(subject, [&before, &after])
}

/// By what they depend on; first what depends on nothing, even where it is no difference.
#[derive(Default)]
struct Parts(BTreeMap<Condition, Part>);

impl Parts {
    fn of_instance(before: &Stated, after: &Stated) -> Self {
        let mut parts = Self::default();
        parts.certain(before, after, &before.side, &after.side);
        parts.conditional(before, after);
        for (condition, part) in &mut parts.0 {
            let groups = condition.belongs.iter().chain(&condition.unless);
            let scopes = groups.filter_map(|spelling| scope(spelling, before, after));
            let whether = scopes.map(|scope| format!("whether the instance {scope}"));
            part.undecided.extend(whether);
        }
        parts.keep(before, after);
        parts
    }

    fn of_selector(
        scope: &Scope,
        [old, new]: [&Statements; 2],
        [before, after]: [&Stated; 2],
        sites: &BTreeSet<Site>,
    ) -> Self {
        let spelling = scope.spelling();
        let mut parts = Self::default();
        parts.certain(before, after, &old.own(&spelling), &new.own(&spelling));
        for (condition, part) in &mut parts.0 {
            let unless = condition.unless.iter();
            let unless = unless.filter_map(|spelling| self::scope(spelling, before, after));
            let unless: Vec<&Scope> = unless.collect();
            if !unless.is_empty() && !scope.has_more_than(&unless, sites) {
                let what = "whether there is an instance for which this holds".to_owned();
                part.undecided.push(what);
            }
        }
        parts.keep(before, after);
        parts
    }

    /// What is given for certain on one side and not on the other, of what these sides of the whole give.
    fn certain(
        &mut self,
        before: &Stated,
        after: &Stated,
        own_before: &DocumentFirewall,
        own_after: &DocumentFirewall,
    ) {
        let gained = &own_after.reach.certain;
        let gained = gained.difference(&before.side.reach.certain);
        let lost = &own_before.reach.certain;
        let lost = lost.difference(&after.side.reach.possible);
        let sides = || (before.side.clone(), after.side.clone());
        self.part(None, BTreeSet::new(), sides);
        for (unless, gained) in split(gained, &before.conditional) {
            let part = self.part(None, unless, sides);
            part.gained = part.gained.union(&gained);
        }
        for (unless, lost) in split(lost, &after.conditional) {
            let part = self.part(None, unless, sides);
            part.lost = part.lost.union(&lost);
        }
    }

    /// What groups give that may take it.
    fn conditional(&mut self, before: &Stated, after: &Stated) {
        let both = before.conditional.iter().chain(&after.conditional);
        let spellings: BTreeSet<&str> = both.map(|group| group.spelling.as_str()).collect();
        for spelling in spellings {
            let of = |stated: &Stated| -> DocumentFirewall {
                let mut groups = stated.conditional.iter();
                let group = groups.find(|group| group.spelling == spelling);
                group.map(|group| group.side.clone()).unwrap_or_default()
            };
            let (was, will) = (of(before), of(after));
            let sides = || (was.clone(), will.clone());
            let given = |side: &DocumentFirewall, other: &DocumentFirewall| {
                let rest = side.reach.certain.difference(&other.reach.certain);
                let rest = rest.difference(&before.side.reach.certain);
                rest.difference(&after.side.reach.certain)
            };
            for (unless, gained) in split(given(&will, &was), &before.conditional) {
                let part = self.part(Some(spelling), unless, sides);
                part.gained = part.gained.union(&gained);
            }
            let lost = given(&was, &will).difference(&after.side.reach.possible);
            for (unless, lost) in split(lost, &after.conditional) {
                let part = self.part(Some(spelling), unless, sides);
                part.lost = part.lost.union(&lost);
            }
        }
    }

    fn part(
        &mut self,
        belongs: Option<&str>,
        unless: BTreeSet<String>,
        sides: impl Fn() -> (DocumentFirewall, DocumentFirewall),
    ) -> &mut Part {
        let condition = Condition {
            belongs: belongs.map(str::to_owned),
            unless,
        };
        self.0.entry(condition).or_insert_with(|| {
            let (before, after) = sides();
            Part {
                before,
                after,
                ..Part::default()
            }
        })
    }
}

impl Parts {
    fn compared(mut self, subject: &ComparisonSubject, stated: [&Stated; 2]) -> Vec<Compared> {
        let says = |part: &Part| {
            let nothing = part.gained.is_empty() && part.lost.is_empty();
            !nothing || !part.undecided.is_empty() || part.undeclared.is_some()
        };
        // What holds on a condition stands for the instance as a whole, which is not equal then.
        if self.0.values().any(says) {
            self.0.retain(|_, part| says(part));
        }
        let parts = self.0.into_iter();
        parts
            .map(|(condition, part)| part.compared(subject, &condition, stated))
            .collect()
    }

    /// Takes back what does not close because live rules stay, and tells what hangs on rules that nobody has seen.
    fn keep(&mut self, before: &Stated, after: &Stated) {
        for (Condition { belongs, unless }, part) in &mut self.0 {
            let kept = |stated: &Stated| stated.kept_in(belongs.as_deref(), unless);
            let is_out = |stated: &Stated| {
                let mut groups = stated.conditional.iter();
                stated.declared != Declared::Yes
                    && groups.all(|group| unless.contains(&group.spelling))
            };
            part.undeclared = match (is_out(before), is_out(after)) {
                (true, false) => Some(ComparedDocument::Old),
                (false, true) => Some(ComparedDocument::New),
                _ => None,
            };
            let kept = [kept(before), kept(after)];
            let says = |stated: &'_ Stated| (stated.kept_alone.clone(), stated.absent.clone());
            let alike = belongs.is_some() || says(before) == says(after);
            let (mut rest, perhaps) = unseen(&kept, alike, &after.side.reach.certain);
            part.perhaps = perhaps;
            if kept[1] != Kept::Nothing {
                let absent = match &kept[1] {
                    Kept::AllBut(absent) => absent.clone(),
                    Kept::Nothing | Kept::Perhaps => Effective::default(),
                };
                let lost = std::mem::take(&mut part.lost);
                let (closes, stays) = (lost.intersection(&absent), lost.difference(&absent));
                let word = match &kept[1] {
                    Kept::Perhaps => "closes or stays",
                    Kept::Nothing | Kept::AllBut(_) => "stays",
                };
                if !closes.is_empty() {
                    part.undecided.push(whether_wider(&closes));
                }
                if !stays.is_empty() {
                    let lines = lines(&stays);
                    let whether = format!("whether it is live, and so {word}: {lines}");
                    part.undecided.push(whether);
                    // What else is live stays too.
                    if kept[0] == Kept::Nothing {
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
                && sides.all(|stated| {
                    let among = |spelling: &String| {
                        stated.conditional.iter().any(|g| g.spelling == *spelling)
                    };
                    stated.declared == Declared::Yes || condition.unless.iter().all(among)
                })
        };
        let says = |part: &Part| !part.undecided.is_empty() || part.undeclared.is_some();
        // Of those that one of the groups takes nothing is open.
        let none = BTreeSet::new();
        let groups = [before, after]
            .into_iter()
            .flat_map(|stated| &stated.conditional);
        let is_settled = |group: &Conditional| {
            let kept = [before, after].map(|stated| stated.kept_in(Some(&group.spelling), &none));
            unseen(&kept, false, &after.side.reach.certain).0.is_empty()
        };
        let mut others = self.0.iter().skip(1);
        if groups.into_iter().all(is_settled)
            && others.any(|(condition, part)| takes_undeclared(condition) && says(part))
            && let Some(whole) = self.0.get_mut(&Condition::default())
        {
            whole.undecided.retain(|what| what != UNSETTLED);
        }
        // Where the old side keeps what is live, what the new one opens may be open already.
        for (Condition { belongs, unless }, part) in &mut self.0 {
            let kept = before.kept_in(belongs.as_deref(), unless);
            if kept != Kept::Nothing && !part.gained.is_empty() && part.undecided.is_empty() {
                let lines = lines(&part.gained);
                let whether = format!("whether it is open already, by a live rule: {lines}");
                part.undecided.push(whether);
            }
        }
        let whole = self.0.entry(Condition::default()).or_default();
        if before.kept == Kept::Nothing || after.kept == Kept::Nothing {
            return;
        }
        whole.undecided.extend(of_groups(before, after));
    }
}

/// What hangs on whether the instance is in a group of which both sides do not say the same of live rules.
fn of_groups(before: &Stated, after: &Stated) -> Vec<String> {
    let said = |stated: &Stated| -> BTreeMap<String, (Effective, (bool, BTreeSet<Mode>))> {
        let groups = stated.conditional.iter();
        let mode = |group: &Conditional| (group.is_additive, group.modes.clone());
        let said = |group: &Conditional| (group.absent.clone(), mode(group));
        groups
            .map(|group| (group.spelling.clone(), said(group)))
            .collect()
    };
    let (was, will) = (said(before), said(after));
    let spellings: BTreeSet<&String> = was.keys().chain(will.keys()).collect();
    let whether = |spelling: &String| {
        let of = |all: &BTreeMap<_, _>| all.get(spelling).cloned().unwrap_or_default();
        let ((absent, mode), (other_absent, other_mode)) = (of(&was), of(&will));
        let what = match (absent == other_absent, mode == other_mode) {
            (true, true) => return None,
            (false, true) => "`absent` changes",
            (true, false) => "the mode changes",
            (false, false) => "the mode and `absent` change",
        };
        let scope = scope(spelling, before, after)?;
        Some(format!("whether the instance {scope}, where {what}"))
    };
    spellings.into_iter().filter_map(whether).collect()
}

fn whether_wider(closes: &Effective) -> String {
    format!(
        "whether a live rule of more than this keeps it open: {}",
        lines(closes)
    )
}

/// What is not known of live rules that nobody has seen and that neither side declares, and who may get in by them that did
/// not before. Where neither side says for certain whether they stay, `alike` is whether both say the same of it.
fn unseen(
    [before, after]: &[Kept; 2],
    alike: bool,
    declared: &Effective,
) -> (Vec<String>, Effective) {
    let told = |what: &str| vec![what.to_owned()];
    let everything = || Effective::everywhere(&Access::everyone());
    match (before, after) {
        (Kept::Nothing, Kept::Nothing) => Default::default(),
        (Kept::Perhaps, Kept::Perhaps) if alike => Default::default(),
        (Kept::AllBut(old), Kept::AllBut(new)) => {
            let undeclared = |absent: &Effective, other: &Effective| {
                let rest = absent.difference(other);
                rest.difference(declared)
            };
            let (closes, stays) = (undeclared(new, old), undeclared(old, new));
            let words = "closes, unless a live rule of more than this keeps it open";
            let all = [(words, &closes), ("stays", &stays)];
            let all = all.into_iter().filter(|(_, access)| !access.is_empty());
            let whether = |(words, access): (&str, &Effective)| {
                format!("whether it is live, and so {words}: {}", lines(access))
            };
            (all.map(whether).collect(), stays)
        }
        (Kept::Nothing, Kept::AllBut(absent)) => (
            told("what is live and not declared, which the new side keeps and the old one closes"),
            everything().difference(absent),
        ),
        (Kept::AllBut(_), Kept::Nothing) => (
            told("what is live and not declared, which the new side closes and the old one keeps"),
            Effective::default(),
        ),
        (Kept::Perhaps, Kept::Nothing) => (told(UNSETTLED), Effective::default()),
        (Kept::Perhaps, _) | (_, Kept::Perhaps) => (told(UNSETTLED), everything()),
    }
}

fn lines(access: &Effective) -> String {
    let lines = Diff::gaining(access, Family::default()).lines().gained;
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

impl Part {
    fn compared(
        self,
        subject: &ComparisonSubject,
        condition: &Condition,
        stated: [&Stated; 2],
    ) -> Compared {
        let [before, after] = stated.map(|stated| &stated.side);
        let both = before.reach.certain.intersection(&after.reach.certain);
        let is_whole = *condition == Condition::default();
        let side = |rules: DocumentFirewall,
                    of: &DocumentFirewall,
                    change: &Effective,
                    perhaps: &Effective| {
            let certain = both.union(change);
            let mut side = DocumentFirewall {
                reach: Reach {
                    possible: certain.union(perhaps),
                    certain,
                    family: of.reach.family,
                },
                rules: rules.rules,
                doubts: Vec::new(),
            };
            // A doubtful entry is one of the instance as a whole.
            if is_whole {
                side.reach.possible = side.reach.possible.union(&of.reach.doubt());
                side.doubts.clone_from(&of.doubts);
            }
            side
        };
        let compared = Compared::new(
            subject.clone(),
            side(self.before, before, &self.lost, &Effective::default()),
            side(self.after, after, &self.gained, &self.perhaps),
        );
        Compared {
            condition: condition.words(stated),
            undecided: self.undecided,
            undeclared: self.undeclared,
            ..compared
        }
    }
}

impl Condition {
    fn words(&self, [before, after]: [&Stated; 2]) -> Option<String> {
        let shown = |spelling: &String| scope(spelling, before, after).map(Scope::to_string);
        let belongs = self.belongs.as_ref().and_then(shown);
        let unless: Vec<String> = self.unless.iter().filter_map(shown).collect();
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

fn scope<'a>(spelling: &str, before: &'a Stated, after: &'a Stated) -> Option<&'a Scope> {
    let mut groups = before.conditional.iter().chain(&after.conditional);
    let group = groups.find(|group| group.spelling == spelling);
    group.map(|group| &group.scope)
}

/// Access by the groups that also give it: an instance of none of them does not have it by them.
fn split(access: Effective, groups: &[Conditional]) -> Vec<(BTreeSet<String>, Effective)> {
    let mut parts = vec![(BTreeSet::new(), access)];
    for group in groups {
        let given = &group.side.reach.certain;
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
