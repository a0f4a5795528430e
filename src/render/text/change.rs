//! The lines of one changed rule: sign, key, sources, and where it is declared.
//!
//! Owns their columns. Does not know instances and plans.

use std::fmt::Write as _;

use anstyle::Style;

use super::{CHANGE, DIM, GAIN, LOSS, ORIGIN_COLUMN, SOURCES_COLUMN, WIDTH};
use crate::exposure;
use crate::model::Family;
use crate::plan::{Cause, CauseKind, Change};
use crate::render::words::{count, key, sanitize, source_words, until, wrapped};

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
pub(super) fn change_lines(text: &mut String, change: &Change) {
    let (before, after) = (source_words(&change.before), source_words(&change.after));
    let (sign, style, words) = match (before.is_empty(), after.is_empty()) {
        (true, _) => ('+', GAIN, after),
        (_, true) => ('-', LOSS, before),
        (false, false) => return exchange(text, change, &before, &after),
    };
    first_line(
        text,
        (sign, style),
        change,
        &format!("from {}", words.join(", ")),
        || wrapped(&words, SOURCES_COLUMN + 5, WIDTH),
    );
}

/// A rule that stays and whose sources change: side by side where that is short, else just what comes and goes.
fn exchange(text: &mut String, change: &Change, before: &[String], after: &[String]) {
    let side_by_side = format!("from {} -> {}", before.join(", "), after.join(", "));
    if SOURCES_COLUMN + side_by_side.chars().count() <= WIDTH {
        return first_line(text, ('~', CHANGE), change, &side_by_side, Vec::new);
    }
    let counts = format!("from {} -> {}", count(before.len(), "source"), after.len());
    first_line(text, ('~', CHANGE), change, &counts, Vec::new);
    let missing_from = |these: &[String], those: &[String]| -> Vec<String> {
        those
            .iter()
            .filter(|word| !these.contains(word))
            .cloned()
            .collect()
    };
    let comes_and_goes = [
        ('+', GAIN, missing_from(before, after)),
        ('-', LOSS, missing_from(after, before)),
    ];
    for (sign, style, words) in comes_and_goes {
        for line in wrapped(&words, SOURCES_COLUMN + 2, WIDTH)
            .iter()
            .filter(|line| !line.is_empty())
        {
            let _ = writeln!(text, "{:SOURCES_COLUMN$}{style}{sign}{style:#} {line}", "");
        }
    }
}

/// The line of a rule with its origin: behind the sources where they are short, below them where they are not.
fn first_line(
    text: &mut String,
    (sign, style): (char, Style),
    change: &Change,
    what: &str,
    lines: impl Fn() -> Vec<String>,
) {
    let head = format!("  {style}{sign}{style:#} {:<12} ", key(change.key));
    let origins: Vec<String> = change.causes.iter().map(cause).collect();
    let used = SOURCES_COLUMN + what.chars().count();
    if used > WIDTH {
        let mut all = lines().into_iter();
        let _ = writeln!(text, "{head}from {}", all.next().unwrap_or_default());
        for line in all {
            let _ = writeln!(text, "{:1$}{line}", "", SOURCES_COLUMN + 5);
        }
        return more_origins(text, &origins);
    }
    // Beside the sources, in its column or as far right as it fits; else below.
    let beside = origins.first().and_then(|first| {
        let column = ORIGIN_COLUMN
            .max(used + 2)
            .min(WIDTH.saturating_sub(first.chars().count()));
        (column >= used + 2).then_some((first, column))
    });
    let Some((first, column)) = beside else {
        let _ = writeln!(text, "{head}{what}");
        return more_origins(text, &origins);
    };
    let pad = column - used;
    let _ = writeln!(text, "{head}{what}{:pad$}{DIM}{first}{DIM:#}", "");
    more_origins(text, &origins[1..]);
}

/// Origins on lines of their own, as far left as their length wants.
fn more_origins(text: &mut String, origins: &[String]) {
    for origin in origins {
        let column = ORIGIN_COLUMN
            .min(WIDTH.saturating_sub(origin.chars().count()))
            .max(SOURCES_COLUMN);
        let _ = writeln!(text, "{:column$}{DIM}{origin}{DIM:#}", "");
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
