//! Syntax errors of TOML.
//!
//! Owns the conversion of the parser's errors, and the disposal of deep trees. Does not know the language.

use std::ops::Range;

use toml::de::{DeTable, DeValue, Error};

use super::diagnostic::Report;
use super::habits;
use super::source::{Span, quote};
use crate::model::Code;

/// The message of the parser for a key without a value.
const NO_ASSIGNMENT: &str = "missing assignment";

/// The most errors for which the first definition is searched, because each search scans the text.
const MOST_SEARCHES: usize = 20;

/// What came of a part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// All of it is there.
    Whole,
    /// Some of it may be lost.
    Partial,
    /// It is written in another notation, so that what the parser made of it means nothing.
    Foreign,
}

/// Reports every syntax error of a part of a file. A part with `:` in place of `=` has one error.
pub(super) fn report(
    report: &mut Report,
    file: usize,
    part: Range<usize>,
    errors: &[Error],
) -> Parsed {
    let source = report.source(file);
    let text = &source.text()[part.clone()];
    let place =
        |range: Range<usize>| Span::new(file, part.start + range.start..part.start + range.end);
    let is_colon = |range: &Range<usize>| {
        let rest = text.get(range.start..).unwrap_or_default();
        rest.trim_start().starts_with(':')
    };
    let colons = errors
        .iter()
        .filter(|error| error.message().contains(NO_ASSIGNMENT));
    let mut colons = colons.filter_map(Error::span).filter(is_colon);
    if let Some(colon) = colons.next() {
        let message = "expected `=`, found `:`";
        report
            .error(Code::Syntax, place(colon.start..colon.start + 1), message)
            .hint(habits::COLON);
        return Parsed::Foreign;
    }
    // The parser gives no place for some errors, so the place of the previous error is used.
    let mut last = 0;
    let (mut searches, mut partial, mut is_pasted) = (0, false, false);
    for error in errors {
        let range = error.span().unwrap_or(last..last);
        last = range.start;
        let span = place(range.clone());
        match error.message() {
            // The parser merges tables of the same name and continues.
            "duplicate key" => {
                searches += 1;
                let first = if searches <= MOST_SEARCHES {
                    first_definition(text, range.clone())
                } else {
                    None
                };
                let key = quote(text.get(range).unwrap_or_default());
                let problem = report.error(Code::Syntax, span, format!("{key} is defined twice"));
                if let Some(first) = first {
                    problem.related(place(first), "first defined here");
                }
            }
            "recursion limit" | "cannot recurse further; max recursion depth met" => {
                partial = true;
                report.error(Code::Syntax, span, "this is nested too deeply");
            }
            message => {
                partial = true;
                let pasted = text.get(..range.start).and_then(|before| {
                    let line = before.rfind('\n').map_or(0, |newline| newline + 1);
                    habits::printed_ports(text.get(line..)?).filter(|_| !is_pasted)
                });
                let problem = report.error(Code::Syntax, span, message);
                if let Some(hint) = pasted {
                    is_pasted = true;
                    problem.hint(hint);
                }
            }
        }
    }
    if partial {
        Parsed::Partial
    } else {
        Parsed::Whole
    }
}

/// The first definition of the table or key that `again` repeats, found by comparing texts.
fn first_definition(text: &str, again: Range<usize>) -> Option<Range<usize>> {
    let from = text
        .get(..again.start)?
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let this = text.get(from..)?.lines().next()?.trim_start();
    if this.starts_with('[') {
        let header = this.split_inclusive(']').next()?;
        let mut at = 0;
        return text[..from].split_inclusive('\n').find_map(|line| {
            let start = at + line.len() - line.trim_start().len();
            at += line.len();
            line.trim_start()
                .starts_with(header)
                .then(|| start..start + header.len())
        });
    }
    let key = text.get(again)?;
    let mut end = from;
    let lines = text[..from]
        .split_inclusive('\n')
        .rev()
        .take_while(|line| !line.starts_with('['));
    let defined = lines.filter_map(|line| {
        end -= line.len();
        let start = end + line.len() - line.trim_start().len();
        let rest = line.trim_start().strip_prefix(key)?;
        rest.trim_start()
            .starts_with('=')
            .then(|| start..start + key.len())
    });
    defined.last()
}

/// The depth up to which a tree is dropped recursively. No valid file is deeper than ten.
const SHALLOW: usize = 100;

/// Drops a tree, without recursion if it is deep. The parser limits brackets and dotted keys separately, so together they can
/// nest thousands of levels deep, which would need as many stack frames.
pub(super) fn dismantle(root: DeTable<'_>) {
    if !root
        .values()
        .any(|value| is_deeper(value.get_ref(), SHALLOW))
    {
        return;
    }
    let mut rest: Vec<DeValue<'_>> = root
        .into_iter()
        .map(|(_, value)| value.into_inner())
        .collect();
    while let Some(value) = rest.pop() {
        match value {
            DeValue::Table(table) => {
                rest.extend(table.into_iter().map(|(_, value)| value.into_inner()));
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

fn is_deeper(value: &DeValue<'_>, levels: usize) -> bool {
    match value {
        DeValue::Table(table) => {
            levels == 0
                || table
                    .values()
                    .any(|value| is_deeper(value.get_ref(), levels - 1))
        }
        DeValue::Array(items) => {
            levels == 0
                || items
                    .iter()
                    .any(|value| is_deeper(value.get_ref(), levels - 1))
        }
        _ => false,
    }
}
