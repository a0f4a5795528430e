//! What the TOML parser says about a file that is no TOML.
//!
//! Owns the way from its errors to ours, and the taking apart of deep trees. Refuses to know the language.

use toml::de::{DeTable, DeValue, Error};

use super::diagnostic::Report;
use super::source::Span;

/// Reports every syntax error.
pub(super) fn report(report: &mut Report, file: usize, root: &DeTable<'_>, errors: &[Error]) {
    let source = report.source(file);
    let text = source.text();
    // The parser names no place for some errors; the place of the one before is the nearest there is.
    let mut last = 0;
    for error in errors {
        let range = error.span().unwrap_or(last..last);
        last = range.start;
        let span = Span {
            file,
            start: range.start,
            end: range.end,
        };
        let message = match error.message() {
            "recursion limit" | "cannot recurse further; max recursion depth met" => {
                "this is nested too deeply"
            }
            message => message,
        };
        let first = (message == "duplicate key")
            .then(|| first_definition(text, root, range.start))
            .flatten();
        let problem = report.error(span, message);
        if let Some(first) = first {
            problem.related(
                Span {
                    file,
                    start: first.start,
                    end: first.end,
                },
                "first defined here",
            );
        }
    }
}

/// Where the table was opened that the header at `at` opens again.
fn first_definition(text: &str, root: &DeTable<'_>, at: usize) -> Option<std::ops::Range<usize>> {
    /// Longer headers are not looked into: the look-up must cost nothing beside the parse.
    const LONGEST: usize = 1000;
    let from = text
        .get(..at)?
        .bytes()
        .rev()
        .take(LONGEST)
        .position(|byte| byte == b'\n')
        .map_or(0, |back| at - back);
    let line = text.get(from..)?.lines().next()?;
    if line.len() > LONGEST || !line.trim_start().starts_with('[') {
        return None;
    }
    let (header, _) = DeTable::parse_recoverable(line);
    let (mut wanted, mut known) = (header.get_ref(), root);
    loop {
        let key = wanted.keys().next()?;
        let (defined, value) = known.get_key_value(key)?;
        let inner = match wanted.get(key)?.get_ref() {
            DeValue::Table(inner) if !inner.is_empty() => inner,
            _ => return (defined.span().start < at).then(|| defined.span()),
        };
        let DeValue::Table(table) = value.get_ref() else {
            return None;
        };
        (wanted, known) = (inner, table);
    }
}

/// Drops a tree level by level. The parser bounds brackets and dotted keys each on their own, so together they can nest
/// thousands deep, and the drop that the compiler writes would need as many stack frames.
pub(super) fn dismantle(root: DeTable<'_>) {
    let mut rest: Vec<DeValue<'_>> = root
        .into_iter()
        .map(|(_, value)| value.into_inner())
        .collect();
    while let Some(value) = rest.pop() {
        match value {
            DeValue::Table(table) => {
                rest.extend(table.into_iter().map(|(_, value)| value.into_inner()))
            }
            DeValue::Array(mut items) => {
                rest.extend(
                    items
                        .iter_mut()
                        .map(|item| std::mem::replace(item.get_mut(), DeValue::Boolean(false))),
                );
            }
            _ => {}
        }
    }
}
