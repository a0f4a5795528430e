//! A comparison of two documents as a comment on a pull request.
//!
//! Owns its order: one sentence where that is all, else what could not be compared, what opens, what closes, and the rest
//! folded away. Where the limit of length is near the least important goes first, as in a comment on a run. Does not drop
//! an opening: the shortest form counts them all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::access::{Counted, opened, subjects_shown, sums, totals};
use super::escape::{code, prose};
use super::{Detail, LIMIT, NAMED, SHORTENED, folded, wrong};
use crate::exposure::{Compared, ComparisonSubject, Diff, Which};
use crate::render::difference::{Clause, Comparison, Way, blocks, clauses, one_sentence, summary};
use crate::render::finding::findings;
use crate::render::json::Severity;
use crate::render::words::count;

/// Instances that change alike in one direction, whatever the reasons.
struct Group<'a> {
    condition: Option<&'a str>,
    lines: Vec<Opening>,
    members: Vec<&'a ComparisonSubject>,
    causes: Vec<String>,
}

/// What, and who.
type Opening = (Vec<String>, String);

/// Reasons that a row has room for.
const CAUSES: usize = 20;

/// The comment. Its first line is a mark that a bot knows its own comment by.
#[must_use]
pub(crate) fn difference(of: &Comparison<'_>) -> String {
    let sentence = in_a_sentence(of);
    if let Some(text) = sentence.filter(|text| text.chars().count() <= LIMIT) {
        return text;
    }
    let groups = Groups::of(of);
    let details = [Detail::All, Detail::Short, Detail::Sums, Detail::Counts];
    let mut text = String::new();
    for detail in details {
        text = composed(of, &groups, detail);
        if text.chars().count() <= LIMIT {
            break;
        }
    }
    text
}

fn in_a_sentence(of: &Comparison<'_>) -> Option<String> {
    let equal = of.all.iter().filter(|c| c.is_equal()).count();
    let blocks = blocks(of.all, of.words);
    if blocks.iter().any(|block| block.members.len() > NAMED) {
        return None;
    }
    let sentence = one_sentence(&blocks, equal)?;
    let sentence = anstream::adapter::strip_str(&sentence).to_string();
    let mut out = head(of, Detail::All);
    let sign = if opens_to_everyone(of) { "🌐 " } else { "" };
    let _ = writeln!(out, "{sign}{}\n", prose(sentence.trim_end()));
    rest(&mut out, of);
    Some(out)
}

fn composed(of: &Comparison<'_>, groups: &Groups<'_>, detail: Detail) -> String {
    let mut out = head(of, detail);
    let diffs: Vec<&Diff> = of.all.iter().map(|compared| &compared.diff).collect();
    let short = detail >= Detail::Short;
    let mut subjects = of.all.iter().map(|compared| &compared.subject);
    let counted: Counted<'_> =
        if subjects.any(|subject| matches!(subject, ComparisonSubject::Every(_))) {
            &|n| match n {
                1 => "1 instance or group".to_owned(),
                n => format!("{n} instances or groups"),
            }
        } else {
            &|n| count(n, "instance")
        };
    match detail {
        Detail::Counts => totals(&mut out, &diffs, counted),
        Detail::Sums => sums(&mut out, &diffs, counted),
        Detail::All | Detail::NoText | Detail::Short => opening(&mut out, &groups.opens, short),
    }
    doubting(&mut out, &groups.doubts, short);
    closing(&mut out, &groups.closes, short);
    if short {
        out.push_str(SHORTENED);
    } else {
        rest(&mut out, of);
    }
    out
}

fn head(of: &Comparison<'_>, detail: Detail) -> String {
    let mut out = format!("<!-- portward:diff -->\n### portward diff: {}", summary(of));
    let opens = of.all.iter().filter(|c| !c.diff.gained.is_empty());
    let opens = subjects(opens.map(|compared| &compared.subject));
    if !opens.is_empty() {
        let _ = write!(out, " Opens something on {opens}.");
    }
    if of.problems.iter().any(|p| p.severity == Severity::Error) {
        out.push_str(" **Not everything could be compared.**");
    }
    out.push_str("\n\n");
    wrong(&mut out, &findings(&of.run()), detail);
    out
}

/// How many instances these are, and how many kinds of instances.
fn subjects<'a>(all: impl Iterator<Item = &'a ComparisonSubject>) -> String {
    let all: BTreeSet<&ComparisonSubject> = all.collect();
    let every = all
        .iter()
        .filter(|s| matches!(s, ComparisonSubject::Every(_)))
        .count();
    let counts = [(all.len() - every, "instance"), (every, "group")];
    let counts = counts.into_iter().filter(|(n, _)| *n > 0);
    let counts: Vec<String> = counts.map(|(n, what)| count(n, what)).collect();
    counts.join(" and ")
}

fn opens_to_everyone(of: &Comparison<'_>) -> bool {
    let mut gained = of.all.iter().flat_map(|compared| &compared.diff.gained);
    gained.any(|exposed| super::access::is_world(&exposed.sources))
}

fn opening(out: &mut String, groups: &[Group<'_>], short: bool) {
    if groups.is_empty() {
        return;
    }
    out.push_str("**Opens**\n\n| instances | who gets in | because of |\n|---|---|---|\n");
    for group in groups {
        let lines: Vec<String> = group.lines.iter().map(|o| opened(&line(o))).collect();
        row(out, group, &lines, short);
    }
    out.push('\n');
}

fn doubting(out: &mut String, groups: &[Group<'_>], short: bool) {
    if groups.is_empty() {
        return;
    }
    out.push_str(
        "**In doubt**\n\n| instances | who perhaps gets in | because of |\n|---|---|---|\n",
    );
    for group in groups {
        let lines: Vec<String> = group.lines.iter().map(|o| code(&line(o))).collect();
        row(out, group, &lines, short);
    }
    out.push('\n');
}

fn closing(out: &mut String, groups: &[Group<'_>], short: bool) {
    let on = subjects(groups.iter().flat_map(|group| &group.members).copied());
    if on.is_empty() {
        return;
    }
    let title = format!("Closes something on {on}");
    if short {
        let _ = writeln!(out, "{title}.\n");
        return;
    }
    let mut table =
        "| instances | who does not get in any more | it was open by |\n|---|---|---|\n".to_owned();
    for group in groups {
        let lines: Vec<String> = group.lines.iter().map(|o| code(&line(o))).collect();
        row(&mut table, group, &lines, short);
    }
    folded(out, &title, &table);
}

fn row(out: &mut String, group: &Group<'_>, lines: &[String], short: bool) {
    let causes = group.causes.iter().take(CAUSES);
    let mut causes: Vec<String> = causes.map(|cause| code(cause)).collect();
    if group.causes.len() > CAUSES {
        causes.push(format!("and {} more", group.causes.len() - CAUSES));
    }
    let condition = group.condition.map(prose);
    let condition = condition.map_or_else(String::new, |condition| format!(", {condition}"));
    let _ = writeln!(
        out,
        "| {}{condition} | {} | {} |",
        subjects_shown(&group.members, short),
        lines.join("<br>"),
        causes.join("<br>")
    );
}

fn line((whats, who): &Opening) -> String {
    format!("{} from {who}", whats.join(", "))
}

/// Instances that change alike, by what happens.
struct Groups<'a> {
    opens: Vec<Group<'a>>,
    closes: Vec<Group<'a>>,
    doubts: Vec<Group<'a>>,
}

impl<'a> Groups<'a> {
    fn of(of: &Comparison<'a>) -> Self {
        Self {
            opens: groups(of, Way::Opens),
            closes: groups(of, Way::Closes),
            doubts: groups(of, Way::Doubt),
        }
    }
}

/// Those to which the same happens, everyone first, then by their first members.
fn groups<'a>(of: &Comparison<'a>, way: Way) -> Vec<Group<'a>> {
    let mut alike = Alike::new();
    for compared in of.all.iter().filter(|compared| !compared.is_equal()) {
        let mut clauses = clauses(compared, of.words);
        clauses.retain(|clause| clause.way == way);
        if !clauses.is_empty() {
            join(&mut alike, compared, clauses);
        }
    }
    let everyone = |group: &Group<'_>| {
        let mut who = group.lines.iter().map(|(_, who)| who);
        who.any(|who| who.starts_with("everyone"))
    };
    let mut groups: Vec<Group<'a>> = alike.into_values().collect();
    groups.sort_by_cached_key(|group| {
        let first = group.members.first().copied().cloned();
        (!everyone(group), first, group.condition)
    });
    groups
}

/// By the condition under which they hold, and by what they say.
type Alike<'a> = BTreeMap<(Option<&'a str>, Vec<Opening>), Group<'a>>;

fn join<'a>(alike: &mut Alike<'a>, compared: &'a Compared, clauses: Vec<Clause>) {
    let opening = |clause: &Clause| (clause.whats.clone(), clause.who.clone());
    let lines: Vec<Opening> = clauses.iter().map(opening).collect();
    let condition = compared.condition.as_deref();
    let group = alike.entry((condition, lines.clone()));
    let group = group.or_insert_with(|| Group {
        condition,
        lines,
        members: Vec::new(),
        causes: Vec::new(),
    });
    group.members.push(&compared.subject);
    for cause in clauses.into_iter().flat_map(|clause| clause.causes) {
        if !group.causes.contains(&cause) {
            group.causes.push(cause);
        }
    }
}

/// What does not differ, and what else there is to know.
fn rest(out: &mut String, of: &Comparison<'_>) {
    let equal = of.all.iter().filter(|compared| compared.is_equal());
    let equal: Vec<&ComparisonSubject> = equal.map(|compared| &compared.subject).collect();
    if !equal.is_empty() {
        let title = format!("Equal: {}", count(equal.len(), "instance"));
        folded(out, &title, &format!("{}\n", subjects_shown(&equal, false)));
    }
    for which in [Which::Old, Which::New] {
        let those = of.all.iter().filter(|c| c.undeclared == Some(which));
        let those: Vec<&ComparisonSubject> = those.map(|compared| &compared.subject).collect();
        if !those.is_empty() {
            let title = format!(
                "Not declared on the {} side: {}",
                which.as_str(),
                subjects(those.iter().copied())
            );
            folded(out, &title, &format!("{}\n", subjects_shown(&those, false)));
        }
    }
    if !of.notes.is_empty() {
        let mut notes = String::new();
        for note in of.notes {
            let _ = writeln!(notes, "- {}", prose(note));
        }
        folded(out, &count(of.notes.len(), "note"), &notes);
    }
}

#[cfg(test)]
mod tests;
