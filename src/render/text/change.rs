//! The lines of changed rules: sign, key, sources, and where they are declared.
//!
//! Owns their columns, and that each place is told once: beside the one rule that it is about, in a column of its own, or
//! below the last of several. Does not know instances and plans.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use anstyle::Style;

use super::{CHANGE, DIM, GAIN, LOSS};
use crate::exposure;
use crate::model::{Family, Key};
use crate::plan::{Cause, CauseKind, Change};
use crate::render::formats::{count, format_key, format_last_day, sanitize, source_words};
use crate::render::wrap::{columns, wrap_to};

/// The distance from the right edge at which a location beside its rule begins.
const PLACE_FROM_RIGHT: usize = 28;

/// The column of the sources of a rule: sign, key, and two spaces.
const SOURCES_COLUMN: usize = 17;

/// The most locations of one rule that are shown; the others are counted.
const PLACES_SHOWN: usize = 4;

/// A change, and every line of the configuration that has a part in it.
pub(super) struct Changed<'a> {
    pub(super) change: &'a Change,
    pub(super) causes: Vec<&'a Cause>,
}

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

/// All lines of these changes.
pub(super) fn change_lines(text: &mut String, changes: &[Changed<'_>], width: usize) {
    let lines = changes.iter().map(|changed| {
        let change = changed.change;
        let (before, after) = (source_words(&change.before), source_words(&change.after));
        match (before.is_empty(), after.is_empty()) {
            (true, _) => Line::new(("+", GAIN), changed, &after),
            (_, true) => Line::new(("-", LOSS), changed, &before),
            (false, false) => exchange(changed, &before, &after, width),
        }
    });
    paragraphs(text, lines.collect(), width);
}

/// The same from the other side: first every rule that is live and not declared, then every rule that is declared and not live.
pub(super) fn difference_lines(text: &mut String, changes: &[Changed<'_>], width: usize) {
    let mut lines = Vec::new();
    for (sign, style) in [("extra  ", LOSS), ("missing", CHANGE)] {
        for of in changes {
            let (before, after) = (
                source_words(&of.change.before),
                source_words(&of.change.after),
            );
            let sources = match sign {
                "extra  " => missing_from(&after, &before),
                _ => missing_from(&before, &after),
            };
            if !sources.is_empty() {
                lines.push(Line::new((sign, style), of, &sources));
            }
        }
    }
    paragraphs(text, lines, width);
}

/// The words that are not among the known ones.
pub(in crate::render) fn missing_from(known: &[String], words: &[String]) -> Vec<String> {
    let absent = words.iter().filter(|word| !known.contains(word));
    absent.cloned().collect()
}

/// A rule that changes.
struct Line<'a> {
    sign: (&'static str, Style),
    key: Key,
    sources: String,
    /// The added and removed sources, if they do not fit on the line.
    parts: Vec<(char, Style, Vec<String>)>,
    causes: &'a [&'a Cause],
}

impl<'a> Line<'a> {
    /// A rule that opens or closes as a whole, or is on one side only.
    fn new(sign: (&'static str, Style), of: &'a Changed<'_>, words: &[String]) -> Self {
        Self {
            sign,
            key: of.change.key,
            sources: format!("from {}", words.join(", ")),
            parts: Vec::new(),
            causes: &of.causes,
        }
    }

    fn head(&self) -> String {
        let (sign, style) = self.sign;
        format!("  {style}{sign}{style:#} {:<12} ", format_key(self.key))
    }
}

/// A rule that stays and whose sources change: side by side where that is short, else just what comes and goes.
fn exchange<'a>(
    of: &'a Changed<'_>,
    before: &[String],
    after: &[String],
    width: usize,
) -> Line<'a> {
    let mut line = Line::new(("~", CHANGE), of, &[]);
    line.sources = format!("from {} -> {}", before.join(", "), after.join(", "));
    if SOURCES_COLUMN + line.sources.chars().count() > width {
        line.sources = format!("from {} -> {}", count(before.len(), "source"), after.len());
        line.parts = vec![
            ('+', GAIN, missing_from(before, after)),
            ('-', LOSS, missing_from(after, before)),
        ];
        line.parts.retain(|(_, _, words)| !words.is_empty());
    }
    line
}

/// The lines, those that one rule of the configuration is behind one after the other, with its place behind or below them.
/// The reason of a rule is shown where it is named first.
fn paragraphs(text: &mut String, lines: Vec<Line<'_>>, width: usize) {
    let mut paragraphs: Vec<Vec<Line<'_>>> = Vec::new();
    // A plan may have thousands of lines, so they are not compared with each other.
    let mut indices: HashMap<(&str, &[&Cause]), usize> = HashMap::new();
    for line in lines {
        let index = *indices
            .entry((line.sign.0, line.causes))
            .or_insert(paragraphs.len());
        if index == paragraphs.len() {
            paragraphs.push(Vec::new());
        }
        paragraphs[index].push(line);
    }
    let mut explained: HashSet<&Cause> = HashSet::new();
    for paragraph in &paragraphs {
        let places = places(paragraph[0].causes, &mut explained);
        let beside = match (&paragraph[..], &places[..]) {
            ([line], [place]) if line.parts.is_empty() => line_with_place(line, place, width),
            _ => None,
        };
        if let Some(line) = beside {
            let _ = writeln!(text, "{line}");
            continue;
        }
        for line in paragraph {
            let head = line.head();
            let indent = columns(&head) + 5;
            let whole = wrap_to(&format!("{head}{}", line.sources), indent, width);
            let _ = writeln!(text, "{whole}");
            for (sign, style, words) in &line.parts {
                let words = words.join(", ");
                let _ = writeln!(text, "{:SOURCES_COLUMN$}{style}{sign}{style:#} {words}", "");
            }
        }
        let start = columns(&paragraph[0].head());
        for place in places {
            let _ = writeln!(text, "{:start$}{DIM}{place}{DIM:#}", "");
        }
    }
}

/// A line with its place in the column of places; `None` where either is too long for that.
fn line_with_place(line: &Line<'_>, place: &str, width: usize) -> Option<String> {
    let head = line.head();
    let used = columns(&head) + line.sources.chars().count();
    let column = width.checked_sub(PLACE_FROM_RIGHT)?;
    let fits = used + 2 <= column && column + place.chars().count() <= width;
    let pad = column.checked_sub(used).filter(|_| fits)?;
    let sources = &line.sources;
    Some(format!("{head}{sources}{:pad$}{DIM}{place}{DIM:#}", ""))
}

/// The places of a rule, a line each; those that have nothing to add share one.
fn places<'a>(causes: &[&'a Cause], explained: &mut HashSet<&'a Cause>) -> Vec<String> {
    let mut places: Vec<String> = Vec::new();
    let mut is_bare = false;
    let more = causes.len().saturating_sub(PLACES_SHOWN);
    // One place takes no more room than that there is one more.
    let more = if more == 1 { 0 } else { more };
    for cause in &causes[..causes.len() - more] {
        let origin = sanitize(&cause.origin.to_string());
        let whole = self::cause(cause);
        let known = explained.contains(cause) || whole == origin;
        match places.last_mut().filter(|_| known && is_bare) {
            Some(last) => {
                let _ = write!(last, ", {origin}");
            }
            None if known => places.push(origin),
            None => places.push(whole),
        }
        is_bare = known;
        explained.insert(cause);
    }
    if more > 0 {
        places.push(format!("and {more} more places"));
    }
    places
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
    let ends = cause
        .until
        .map(|end| format!("until {}", format_last_day(end)));
    let extra: Vec<String> = ends
        .into_iter()
        .chain(cause.owner.as_deref().map(sanitize))
        .collect();
    if !extra.is_empty() {
        let _ = write!(text, " ({})", extra.join(", "));
    }
    text
}
