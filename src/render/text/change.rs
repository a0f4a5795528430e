//! The lines of one changed rule: sign, key, sources, and where it is declared.
//!
//! Owns their columns. Does not know instances and plans.

use std::fmt::Write as _;

use anstyle::Style;

use super::{CHANGE, DIM, GAIN, LOSS, ORIGIN_FROM_RIGHT, SOURCES_COLUMN};
use crate::exposure;
use crate::model::Family;
use crate::plan::{Cause, CauseKind, Change};
use crate::render::words::{count, key, sanitize, source_words, until};
use crate::render::wrap::{columns, wrap_to};

/// Openings first, then what grows, what is exchanged, what shrinks, and closings.
pub(super) fn rank(change: &Change, family: Family) -> u8 {
    if change.before.is_empty() {
        return 0;
    }
    if change.after.is_empty() {
        return 4;
    }
    let gains = !exposure::subtract(&change.after, &change.before, family).is_empty();
    let loses = !exposure::subtract(&change.before, &change.after, family).is_empty();
    match (gains, loses) {
        (true, false) => 1,
        (true, true) | (false, false) => 2,
        (false, true) => 3,
    }
}

/// All lines of a change.
pub(super) fn change_lines(text: &mut String, change: &Change, width: usize) {
    let (before, after) = (source_words(&change.before), source_words(&change.after));
    match (before.is_empty(), after.is_empty()) {
        (true, _) => rule_line(text, ("+", GAIN), change, &after, width),
        (_, true) => rule_line(text, ("-", LOSS), change, &before, width),
        (false, false) => exchange(text, change, &before, &after, width),
    }
}

/// The same from the other side: first every rule that is live and not declared, then every rule that is declared and not live.
pub(super) fn difference_lines(text: &mut String, changes: &[&Change], width: usize) {
    for (sign, style) in [("extra  ", LOSS), ("missing", CHANGE)] {
        for change in changes {
            let (before, after) = (source_words(&change.before), source_words(&change.after));
            let sources = match sign {
                "extra  " => missing_from(&after, &before),
                _ => missing_from(&before, &after),
            };
            if !sources.is_empty() {
                rule_line(text, (sign, style), change, &sources, width);
            }
        }
    }
}

/// These words that are not among those.
fn missing_from(those: &[String], these: &[String]) -> Vec<String> {
    let absent = these.iter().filter(|word| !those.contains(word));
    absent.cloned().collect()
}

/// A rule that opens or closes as a whole, or is on one side only.
fn rule_line(
    text: &mut String,
    (sign, style): (&str, Style),
    change: &Change,
    words: &[String],
    width: usize,
) {
    let sources = format!("from {}", words.join(", "));
    first_line(text, (sign, style), change, &sources, width);
}

/// A rule that stays and whose sources change: side by side where that is short, else just what comes and goes.
fn exchange(text: &mut String, change: &Change, before: &[String], after: &[String], width: usize) {
    let side_by_side = format!("from {} -> {}", before.join(", "), after.join(", "));
    if SOURCES_COLUMN + side_by_side.chars().count() <= width {
        return first_line(text, ("~", CHANGE), change, &side_by_side, width);
    }
    let counts = format!("from {} -> {}", count(before.len(), "source"), after.len());
    first_line(text, ("~", CHANGE), change, &counts, width);
    for (sign, style, words) in [
        ('+', GAIN, missing_from(before, after)),
        ('-', LOSS, missing_from(after, before)),
    ] {
        if !words.is_empty() {
            let _ = writeln!(
                text,
                "{:SOURCES_COLUMN$}{style}{sign}{style:#} {}",
                "",
                words.join(", ")
            );
        }
    }
}

/// The line of a rule with its first origin behind the sources where it fits, and the other origins below the sources.
fn first_line(
    text: &mut String,
    (sign, style): (&str, Style),
    change: &Change,
    what: &str,
    width: usize,
) {
    let head = format!("  {style}{sign}{style:#} {:<12} ", key(change.key));
    let start = columns(&head);
    let origins: Vec<String> = change.causes.iter().map(cause).collect();
    let used = start + what.chars().count();
    let column = width.saturating_sub(ORIGIN_FROM_RIGHT).max(used + 2);
    let (beside, below) = match origins.split_first() {
        Some((first, rest)) if column + first.chars().count() <= width => (Some(first), rest),
        _ => (None, &origins[..]),
    };
    let _ = match beside {
        Some(first) => {
            writeln!(
                text,
                "{head}{what}{:1$}{DIM}{first}{DIM:#}",
                "",
                column - used
            )
        }
        None => writeln!(
            text,
            "{}",
            wrap_to(&format!("{head}{what}"), start + 5, width)
        ),
    };
    for origin in below {
        let _ = writeln!(text, "{:start$}{DIM}{origin}{DIM:#}", "");
    }
}

/// `firewall.toml:19  operators (until 2031-12-31, data-team)`.
pub(super) fn cause(cause: &Cause) -> String {
    let mut text = sanitize(&cause.origin.to_string());
    match cause.kind {
        CauseKind::Declared => {}
        CauseKind::Absent => text.push_str("  absent"),
        CauseKind::Expired => text.push_str("  expired"),
    }
    if let Some(why) = &cause.why {
        let _ = write!(text, "  {}", sanitize(why));
    }
    let ends = cause.until.map(|end| format!("until {}", until(end)));
    let extra: Vec<String> = ends
        .into_iter()
        .chain(cause.owner.as_deref().map(sanitize))
        .collect();
    if !extra.is_empty() {
        let _ = write!(text, " ({})", extra.join(", "));
    }
    text
}
