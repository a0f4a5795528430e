//! A comparison of two documents as a comment on a pull request.
//!
//! Owns its order: one sentence where that is all, else what could not be compared, what opens, what closes, and the rest
//! folded away. Where the limit of length is near the least important goes first, as in a comment on a run. Does not drop
//! an opening: the shortest form counts them all.

use std::fmt::Write as _;

use super::access::{names, parts};
use super::escape::prose;
use super::{Detail, NAMED, SHORTENED, first_that_fits, fits, folded, write_findings};
use crate::exposure::{self, ComparedDocument, ComparisonSubject};
use crate::render::access::{AccessSection, is_everyone, of_comparison, subjects};
use crate::render::difference::{Comparison, blocks, one_sentence, summary, undeclared_on};
use crate::render::formats::count;
use crate::render::json::ProblemSeverity;

/// The comment. Its first line is a mark that a bot knows its own comment by.
pub(crate) fn difference(comparison: &Comparison<'_>) -> String {
    let sentence = sentence_comment(comparison);
    if let Some(text) = sentence.filter(|text| fits(text)) {
        return text;
    }
    let parts = of_comparison(comparison);
    let details = [Detail::All, Detail::Short, Detail::Sums, Detail::Counts];
    first_that_fits(&details, |detail| render(comparison, &parts, detail))
}

fn sentence_comment(comparison: &Comparison<'_>) -> Option<String> {
    let equal = comparison.all.iter().filter(|c| c.is_equal()).count();
    let blocks = blocks(comparison.all, comparison.names);
    if blocks.iter().any(|block| block.members.len() > NAMED) {
        return None;
    }
    let sentence = one_sentence(&blocks, equal)?;
    let sentence = anstream::adapter::strip_str(&sentence).to_string();
    let mut out = head(comparison, Detail::All);
    let sign = if opens_to_everyone(comparison) {
        "🌐 "
    } else {
        ""
    };
    let _ = writeln!(out, "{sign}{}\n", prose(sentence.trim_end()));
    write_rest(&mut out, comparison);
    Some(out)
}

fn render(comparison: &Comparison<'_>, all: &[AccessSection], detail: Detail) -> String {
    let mut out = head(comparison, detail);
    parts(&mut out, all, detail);
    if detail >= Detail::Short {
        out.push_str(SHORTENED);
    } else {
        write_rest(&mut out, comparison);
    }
    out
}

fn head(comparison: &Comparison<'_>, detail: Detail) -> String {
    let mut out = format!(
        "<!-- portward:diff -->\n### portward diff: {}",
        summary(comparison)
    );
    let opens = comparison.all.iter().filter(|c| !c.diff.gained.is_empty());
    let opens = subjects(opens.map(|compared| &compared.subject));
    if !opens.is_empty() {
        let _ = write!(out, " Opens something on {opens}.");
    }
    if comparison
        .problems
        .iter()
        .any(|p| p.severity == ProblemSeverity::Error)
    {
        out.push_str(" **Not everything could be compared.**");
    }
    out.push_str("\n\n");
    write_findings(&mut out, &comparison.run(), detail);
    out
}

fn opens_to_everyone(comparison: &Comparison<'_>) -> bool {
    let mut lines = comparison
        .all
        .iter()
        .flat_map(|compared| exposure::lines(&compared.diff.gained));
    lines.any(|line| is_everyone(&line.to_string()))
}

/// The number of equal instances, and the notes.
fn write_rest(out: &mut String, comparison: &Comparison<'_>) {
    let equal = comparison.all.iter().filter(|compared| compared.is_equal());
    let equal: Vec<ComparisonSubject> = equal.map(|compared| compared.subject.clone()).collect();
    if !equal.is_empty() {
        let title = format!("Equal: {}", count(equal.len(), "instance"));
        folded(out, &title, &format!("{}\n", names(&equal, false)));
    }
    for which in [ComparedDocument::Old, ComparedDocument::New] {
        let undeclared = undeclared_on(comparison.all, which).into_iter().cloned();
        let undeclared: Vec<ComparisonSubject> = undeclared.collect();
        if !undeclared.is_empty() {
            let title = format!(
                "Not declared on the {} side: {}",
                which.as_str(),
                subjects(undeclared.iter())
            );
            folded(out, &title, &format!("{}\n", names(&undeclared, false)));
        }
    }
    if !comparison.notes.is_empty() {
        let mut notes = String::new();
        for note in comparison.notes {
            let _ = writeln!(notes, "- {}", prose(note));
        }
        folded(out, &count(comparison.notes.len(), "note"), &notes);
    }
}

#[cfg(test)]
mod tests;
