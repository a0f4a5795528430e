//! Syntax errors of TOML.
//!
//! Owns the conversion of the parser's errors, and the disposal of deep trees. Does not know the language.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

use super::diagnostic::DiagnosticsBuilder;
use super::hints;
use super::source::{Span, quote};
use crate::model::Code;

/// The message of the parser for a key without a value.
const NO_ASSIGNMENT: &str = "missing assignment";

/// The most errors for which the first definition is searched, because each search scans the text.
const MAX_SEARCHES: usize = 20;

/// Whether the parser read a part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ParseStatus {
    /// It read all of it.
    Complete,
    /// Some of it may be lost.
    Partial,
    /// It is written in another notation, so the tree of the parser is meaningless.
    OtherNotation,
}

/// Reports every syntax error of a part of a file. A part with `:` in place of `=` has one error.
pub(super) fn report_errors(
    report: &mut DiagnosticsBuilder,
    file: usize,
    part: Range<usize>,
    errors: &[Error],
) -> ParseStatus {
    let source = report.source(file);
    let text = &source.text()[part.clone()];
    let span_of =
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
            .error(Code::Syntax, span_of(colon.start..colon.start + 1), message)
            .hint(hints::FOR_COLON);
        return ParseStatus::OtherNotation;
    }
    // The parser gives no place for some errors, so the place of the previous error is used.
    let mut last = 0;
    let (mut searches, mut is_partial, mut has_cli_hint) = (0, false, false);
    for error in errors {
        let range = error.span().unwrap_or(last..last);
        last = range.start;
        let span = span_of(range.clone());
        match error.message() {
            // The parser merges tables of the same name and continues.
            "duplicate key" => {
                searches += 1;
                let first = (searches <= MAX_SEARCHES)
                    .then(|| first_definition(text, range.clone()))
                    .flatten();
                let key = quote(text.get(range).unwrap_or_default());
                let error = report.error(Code::Syntax, span, format!("{key} is defined twice"));
                if let Some(first) = first {
                    error.related(span_of(first), "first defined here");
                }
            }
            "recursion limit" | "cannot recurse further; max recursion depth met" => {
                is_partial = true;
                report.error(Code::Syntax, span, "this is nested too deeply");
            }
            message => {
                is_partial = true;
                let hint = text.get(..range.start).and_then(|before| {
                    let line = before.rfind('\n').map_or(0, |newline| newline + 1);
                    hints::for_cli_output(text.get(line..)?).filter(|_| !has_cli_hint)
                });
                has_cli_hint |= hint.is_some();
                report.error(Code::Syntax, span, message).hint = hint.map(str::to_owned);
            }
        }
    }
    if is_partial {
        ParseStatus::Partial
    } else {
        ParseStatus::Complete
    }
}

/// The first definition of the table or key that `repeated` defines again, found by comparing texts.
fn first_definition(text: &str, repeated: Range<usize>) -> Option<Range<usize>> {
    let line_start = text
        .get(..repeated.start)?
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let line = text.get(line_start..)?.lines().next()?.trim_start();
    if line.starts_with('[') {
        let header = line.split_inclusive(']').next()?;
        let mut end = 0;
        return text[..line_start].split_inclusive('\n').find_map(|line| {
            end += line.len();
            let start = end - line.trim_start().len();
            let is_same = line.trim_start().starts_with(header);
            is_same.then(|| start..start + header.len())
        });
    }
    let key = text.get(repeated)?;
    let mut start_of_line = line_start;
    let lines = text[..line_start]
        .split_inclusive('\n')
        .rev()
        .take_while(|line| !line.starts_with('['));
    let definitions = lines.filter_map(|line| {
        start_of_line -= line.len();
        let start = start_of_line + line.len() - line.trim_start().len();
        let rest = line.trim_start().strip_prefix(key)?;
        let is_same = rest.trim_start().starts_with('=');
        is_same.then(|| start..start + key.len())
    });
    definitions.last()
}

/// The depth up to which a tree is dropped recursively. No valid file is deeper than ten.
const MAX_RECURSION: usize = 100;

/// Drops a tree, without recursion if it is deep. The parser limits brackets and dotted keys separately, so together they can
/// nest thousands of levels deep, which would need as many stack frames.
pub(super) fn drop_tree(root: DeTable<'_>) {
    if !root
        .values()
        .any(|value| is_deeper(value.get_ref(), MAX_RECURSION))
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
    let is_inner_deeper = |inner: &Spanned<DeValue<'_>>| is_deeper(inner.get_ref(), levels - 1);
    match value {
        DeValue::Table(_) | DeValue::Array(_) if levels == 0 => true,
        DeValue::Table(table) => table.values().any(is_inner_deeper),
        DeValue::Array(items) => items.iter().any(is_inner_deeper),
        _ => false,
    }
}
