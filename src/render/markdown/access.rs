//! Who gains and who loses access, as tables of instances that change alike.
//!
//! Owns the grouping and its short forms. Does not drop an opening: the shortest form counts them all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::escape::prose;
use super::{NAMED, code};
use crate::exposure::{self, ComparisonSubject, Diff, Exposed, Line};
use crate::model::{InstanceId, Sources};
use crate::plan::{Change, InstancePlan, Plan, Verdict};
use crate::render::text::{in_doubt, severity};
use crate::render::words::{count, sanitize};

/// Instances by what they gain, and by what they lose.
pub(super) struct Groups<'a> {
    opens: Vec<Group<'a>>,
    closes: Vec<Group<'a>>,
    doubts: Vec<Group<'a>>,
}

struct Group<'a> {
    /// Who reaches what.
    lines: Vec<String>,
    instances: Vec<&'a InstancePlan>,
}

impl<'a> Groups<'a> {
    /// The widest first.
    pub(super) fn of(plan: &'a Plan) -> Self {
        let mut opens = grouped(plan, |i| i.exposure.lines().gained);
        opens.sort_by_key(|group| std::cmp::Reverse(severity(&group.instances[0].exposure)));
        Self {
            opens,
            closes: grouped(plan, |i| i.exposure.lines().lost),
            doubts: grouped(plan, in_doubt),
        }
    }

    /// A table of what opens.
    pub(super) fn opens(&self, out: &mut String, short: bool) {
        if self.opens.is_empty() {
            return;
        }
        out.push_str("**Opens**\n\n| instances | who gets in | declared at |\n|---|---|---|\n");
        for group in &self.opens {
            let lines: Vec<String> = group.lines.iter().map(|line| opened(line)).collect();
            let _ = writeln!(
                out,
                "| {} | {} | {} |",
                names(&group.instances, short),
                lines.join("<br>"),
                declared(&group.instances)
            );
        }
        out.push('\n');
    }

    /// A table of what live firewalls let in beyond what is declared, and one of what they do not let in.
    pub(super) fn drift(&self, out: &mut String, short: bool) {
        if !self.closes.is_empty() {
            out.push_str(
                "**Live allows more than declared**\n\n| instances | who gets in |\n|---|---|\n",
            );
            for group in &self.closes {
                let lines: Vec<String> = group.lines.iter().map(|line| opened(line)).collect();
                let names = names(&group.instances, short);
                let _ = writeln!(out, "| {names} | {} |", lines.join("<br>"));
            }
            out.push('\n');
        }
        if !self.opens.is_empty() {
            out.push_str("**Live lacks**\n\n| instances | who does not get in | declared at |\n|---|---|---|\n");
            for group in &self.opens {
                let lines: Vec<String> = group.lines.iter().map(|line| code(line)).collect();
                let _ = writeln!(
                    out,
                    "| {} | {} | {} |",
                    names(&group.instances, short),
                    lines.join("<br>"),
                    declared(&group.instances)
                );
            }
            out.push('\n');
        }
    }

    /// A table of what live entries that cannot be read for certain may let in now.
    pub(super) fn doubts(&self, out: &mut String, short: bool) {
        if self.doubts.is_empty() {
            return;
        }
        if short {
            let instances: usize = self.doubts.iter().map(|group| group.instances.len()).sum();
            let instances = count(instances, "instance");
            let _ = writeln!(out, "What is open now is in doubt on {instances}.\n");
            return;
        }
        out.push_str("**In doubt**\n\n| instances | who perhaps gets in now |\n|---|---|\n");
        for group in &self.doubts {
            let lines: Vec<String> = group.lines.iter().map(|line| code(line)).collect();
            let _ = writeln!(
                out,
                "| {} | {} |",
                names(&group.instances, false),
                lines.join("<br>")
            );
        }
        out.push('\n');
    }

    /// A table of what closes, folded.
    pub(super) fn closes(&self, out: &mut String, short: bool) {
        let instances: usize = self.closes.iter().map(|group| group.instances.len()).sum();
        if instances == 0 {
            return;
        }
        let instances = count(instances, "instance");
        if short {
            let _ = writeln!(out, "Closes something on {instances}.\n");
            return;
        }
        let _ = writeln!(
            out,
            "<details><summary>Closes something on {instances}</summary>\n\n\
             | instances | who does not get in any more |\n|---|---|"
        );
        for group in &self.closes {
            let lines: Vec<String> = group.lines.iter().map(|line| code(line)).collect();
            let _ = writeln!(
                out,
                "| {} | {} |",
                names(&group.instances, false),
                lines.join("<br>")
            );
        }
        out.push_str("\n</details>\n\n");
    }
}

/// What a number of instances is called.
pub(super) type Counted<'a> = &'a dyn Fn(usize) -> String;

/// Each kind of access once, with the number of instances it opens on.
pub(super) fn sums(out: &mut String, diffs: &[&Diff], counted: Counted<'_>) {
    let mut on: BTreeMap<String, usize> = BTreeMap::new();
    for diff in diffs {
        for line in diff.lines().gained {
            *on.entry(line.to_string()).or_default() += 1;
        }
    }
    if on.is_empty() {
        return;
    }
    out.push_str("**Opens**\n\n");
    let mut on: Vec<(String, usize)> = on.into_iter().collect();
    on.sort_by_key(|(line, n)| (!line.contains("everyone"), std::cmp::Reverse(*n)));
    for (line, n) in on {
        let _ = writeln!(out, "- {} on {}", opened(&line), counted(n));
    }
    out.push('\n');
}

/// What opens, counted, in a few lines whatever the plan.
pub(super) fn totals(out: &mut String, diffs: &[&Diff], counted: Counted<'_>) {
    if diffs.iter().all(|diff| diff.gained.is_empty()) {
        return;
    }
    out.push_str("**Opens**\n\n");
    for atom in exposure::Atom::ALL {
        let on = |is: fn(&Exposed) -> bool| {
            let opening = diffs.iter().filter(|diff| {
                let mut gained = diff.gained.iter();
                gained.any(|exposed| exposed.atom == atom && is(exposed))
            });
            opening.count()
        };
        let world = on(|exposed| is_world(&exposed.sources));
        let all = on(|_| true);
        if all > 0 {
            let _ = writeln!(
                out,
                "- {atom} on {}, **to everyone** on {world}",
                counted(all)
            );
        }
    }
    out.push('\n');
}

/// Whether every address of a family gets in.
pub(super) fn is_world(sources: &Sources) -> bool {
    let access = exposure::Access::from(sources);
    access.v4.is_all() || access.v6.is_all()
}

fn grouped(plan: &Plan, lines: impl Fn(&InstancePlan) -> Vec<Line>) -> Vec<Group<'_>> {
    let mut alike: BTreeMap<(Vec<String>, Option<&str>), Vec<&InstancePlan>> = BTreeMap::new();
    for instance in &plan.instances {
        let lines: Vec<String> = lines(instance).iter().map(ToString::to_string).collect();
        if !lines.is_empty() {
            let group = alike.entry((lines, unwritten(instance))).or_default();
            group.push(instance);
        }
    }
    let group = |((lines, _), instances)| Group { lines, instances };
    alike.into_iter().map(group).collect()
}

/// Why a difference will not be written.
fn unwritten(instance: &InstancePlan) -> Option<&'static str> {
    match instance.verdict {
        Verdict::Observed => Some("only observed"),
        Verdict::Refused { .. } => Some("refused"),
        Verdict::InSync | Verdict::Incomplete | Verdict::Change | Verdict::StillOpen => None,
    }
}

/// A line of access, with `everyone` standing out.
pub(super) fn opened(line: &str) -> String {
    let text = code(line);
    if line.contains("from everyone") {
        format!("🌐 **{text}**")
    } else {
        text
    }
}

fn names(instances: &[&InstancePlan], short: bool) -> String {
    let ids: Vec<&InstanceId> = instances.iter().map(|i| &i.instance.id).collect();
    let mut text = ids_shown(&ids, short);
    if let Some(why) = unwritten(instances[0]) {
        let _ = write!(text, " — {why}");
    }
    text
}

/// Instances by name, the region behind the last of each.
fn ids_shown(ids: &[&InstanceId], short: bool) -> String {
    let subjects: Vec<ComparisonSubject> = ids
        .iter()
        .map(|id| ComparisonSubject::Instance((*id).clone()))
        .collect();
    subjects_shown(&subjects.iter().collect::<Vec<_>>(), short)
}

/// The same of whatever is compared.
pub(super) fn subjects_shown(subjects: &[&ComparisonSubject], short: bool) -> String {
    let shown = if short { NAMED } else { subjects.len() };
    let mut text = String::new();
    for (at, subject) in subjects.iter().take(shown).enumerate() {
        text.push_str(if at == 0 { "" } else { ", " });
        let id = match subject {
            ComparisonSubject::Instance(id) => id,
            ComparisonSubject::Unnamed => {
                text.push_str("the firewall");
                continue;
            }
            ComparisonSubject::Every(instances) => {
                text.push_str(&prose(instances));
                continue;
            }
        };
        let site = id.site();
        text.push_str(&prose(&id.name));
        let next = subjects.get(at + 1).filter(|_| at + 1 < shown);
        let region_follows = next.is_some_and(|next| next.id().is_some_and(|id| id.site() == site));
        if !site.region.is_empty() && !region_follows {
            let _ = write!(text, " ({})", prose(&site.to_string()));
        }
    }
    if subjects.len() > shown {
        let _ = write!(text, " and {} more", subjects.len() - shown);
    }
    text
}

/// The lines that open it.
fn declared(instances: &[&InstancePlan]) -> String {
    let mut places = BTreeSet::new();
    for instance in instances {
        let opens = |change: &&Change| {
            !exposure::subtract(&change.after, &change.before, instance.family()).is_empty()
        };
        for change in instance.changes.iter().filter(opens) {
            for cause in &change.causes {
                let origin = &cause.origin;
                let why = cause.why.as_deref().map(sanitize);
                places.insert((origin.clone(), why));
            }
        }
    }
    let mut texts: Vec<String> = places
        .into_iter()
        .map(|(origin, why)| {
            let why = why.map_or_else(String::new, |why| format!(" {}", prose(&why)));
            format!("{}{why}", code(&origin.to_string()))
        })
        .collect();
    if texts.len() > NAMED {
        let more = texts.len() - NAMED;
        texts.truncate(NAMED);
        texts.push(format!("and {more} more"));
    }
    texts.join("<br>")
}
