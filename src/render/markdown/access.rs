//! Gained and lost access, as tables of instances with the same change.
//!
//! Owns the tables and their short forms. Does not drop an opening: the shortest form counts them all.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::escape::prose;
use super::{Detail, NAMED, code, folded};
use crate::exposure::ComparisonSubject;
use crate::render::access::{AccessGroup, AccessSection, Weight, is_everyone, subjects};

/// A table for each part. Closed access is folded; in a short comment it is counted, as doubtful access is.
pub(super) fn parts(out: &mut String, parts: &[AccessSection], detail: Detail) {
    for part in parts {
        let words = part.words;
        let on = format!("{} {}", words.sentence.0, part.subjects());
        match words.weight {
            Weight::Doubt | Weight::Narrower if detail >= Detail::Short => {
                let _ = writeln!(out, "{on}.\n");
            }
            Weight::Wider | Weight::Lacks if detail >= Detail::Sums => sums(out, part, detail),
            Weight::Narrower => folded(out, &on, &table(part, false)),
            Weight::Wider | Weight::Lacks | Weight::Doubt => {
                let table = table(part, detail >= Detail::Short);
                let _ = writeln!(out, "**{}**\n\n{table}", words.title);
            }
        }
    }
}

fn table(part: &AccessSection, short: bool) -> String {
    let words = part.words;
    let (because, rule) = match words.cause_heading {
        Some(because) => (format!(" {because} |"), "---|"),
        None => (String::new(), ""),
    };
    let mut table = format!(
        "| instances | {} |{because}\n|---|---|{rule}\n",
        words.source_heading
    );
    for group in &part.groups {
        let lines = group.lines.iter().map(|line| line_text(words.weight, line));
        let lines: Vec<String> = lines.collect();
        let on = named(group, short);
        let _ = write!(table, "| {on} | {} |", lines.join("<br>"));
        if words.cause_heading.is_some() {
            let _ = write!(table, " {} |", causes(group));
        }
        table.push('\n');
    }
    table
}

fn named(group: &AccessGroup, short: bool) -> String {
    let aside = group.aside.as_deref().map(prose);
    let aside = aside.map_or_else(String::new, |aside| format!(", {aside}"));
    names(&group.members, short) + &aside
}

fn causes(group: &AccessGroup) -> String {
    let named = group.causes.iter().take(NAMED).map(|(place, why)| {
        let why = why.as_deref().map(prose);
        let why = why.map_or_else(String::new, |why| format!(" {why}"));
        code(place) + &why
    });
    let mut texts: Vec<String> = named.collect();
    if group.causes.len() > NAMED {
        texts.push(format!("and {} more", group.causes.len() - NAMED));
    }
    texts.join("<br>")
}

/// Each kind of access once, with those on whom it is; only counted where it is to be shortest.
fn sums(out: &mut String, part: &AccessSection, detail: Detail) {
    let _ = writeln!(out, "**{}**\n", part.words.title);
    if detail == Detail::Counts {
        let to_everyone = |group: &&AccessGroup| group.lines.iter().any(|line| is_everyone(line));
        let everyone = part.groups.iter().filter(to_everyone);
        let everyone = match subjects(everyone.flat_map(|group| &group.members)) {
            on if on.is_empty() => String::new(),
            on => format!(", **from everyone** on {on}"),
        };
        let _ = writeln!(out, "- on {}{everyone}\n", part.subjects());
        return;
    }
    let mut on: BTreeMap<&str, Vec<&ComparisonSubject>> = BTreeMap::new();
    for group in &part.groups {
        for line in &group.lines {
            on.entry(line).or_default().extend(&group.members);
        }
    }
    let mut on: Vec<(&str, Vec<&ComparisonSubject>)> = on.into_iter().collect();
    on.sort_by_key(|(line, on)| (!is_everyone(line), Reverse(on.len())));
    for (line, on) in on {
        let on = subjects(on.into_iter());
        let _ = writeln!(out, "- {} on {on}", line_text(part.words.weight, line));
    }
    out.push('\n');
}

/// A line of access; where more get in, `everyone` stands out.
fn line_text(weight: Weight, line: &str) -> String {
    let text = code(line);
    if weight == Weight::Wider && is_everyone(line) {
        format!("🌐 **{text}**")
    } else {
        text
    }
}

/// Instances by name, the region behind the last of each.
pub(super) fn names(subjects: &[ComparisonSubject], short: bool) -> String {
    let most = if short { NAMED } else { subjects.len() };
    let named = most.min(subjects.len());
    let mut text = String::new();
    for (at, subject) in subjects[..named].iter().enumerate() {
        text.push_str(if at == 0 { "" } else { ", " });
        match subject {
            ComparisonSubject::Unnamed => text.push_str("the firewall"),
            ComparisonSubject::Every(instances) => text.push_str(&prose(instances)),
            ComparisonSubject::Instance(id) => {
                text.push_str(&prose(&id.name));
                let next = subjects[..named]
                    .get(at + 1)
                    .and_then(ComparisonSubject::id);
                let region_follows = next.is_some_and(|next| next.site() == id.site());
                if !id.region.is_empty() && !region_follows {
                    let _ = write!(text, " ({})", prose(&id.site().to_string()));
                }
            }
        }
    }
    if subjects.len() > named {
        let _ = write!(text, " and {} more", subjects.len() - named);
    }
    text
}
