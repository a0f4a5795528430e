//! Edits of TOML texts.
//!
//! Owns the search for lists and tables in a text, and replacements that keep the rest of the text exactly. Does not know the meaning
//! of the parts. It does not edit forms that it does not support, and returns `false` then.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::super::source::Span;
use super::super::tree::Value;
use super::lines::one_or_list;

/// A table of an instance, by its key below `instances`.
pub(super) struct Place<'a> {
    pub(super) span: Span,
    pub(super) key: &'a str,
}

/// The remaining part of a rule: its texts of `allow` and of `from`; `None` if unchanged.
type Piece = (Option<Vec<String>>, Option<Vec<String>>);

/// The texts with the edits to make.
pub(super) struct Edits<'a> {
    texts: Vec<&'a str>,
    trees: Vec<DeTable<'a>>,
    /// Ranges in a text with their replacements.
    pieces: BTreeMap<(usize, usize, usize), String>,
    tail: String,
    /// The removed elements of lists: file and offset.
    removed: BTreeSet<(usize, usize)>,
}

impl<'a> Edits<'a> {
    pub(super) fn of(texts: &[&'a str]) -> Self {
        let tree = |text: &&'a str| match DeTable::parse(text) {
            Ok(tree) => tree.into_inner(),
            // A configuration exists only if its texts are valid TOML.
            Err(_) => DeTable::new(),
        };
        Self {
            texts: texts.to_vec(),
            trees: texts.iter().map(tree).collect(),
            pieces: BTreeMap::new(),
            tail: String::new(),
            removed: BTreeSet::new(),
        }
    }

    /// The members of an address set.
    pub(super) fn set(&self, name: &str) -> Vec<String> {
        let found = self.trees.iter().find_map(|tree| {
            let sets = table(tree.get("addresses")?)?;
            sets.get(name)
        });
        match found.map(toml::Spanned::get_ref) {
            Some(DeValue::String(text)) => vec![text.clone().into_owned()],
            Some(DeValue::Array(items)) => items
                .iter()
                .filter_map(|item| match item.get_ref() {
                    DeValue::String(text) => Some(text.clone().into_owned()),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Replaces a rule by its remaining parts; without any part it is removed.
    pub(super) fn replace(&mut self, span: Span, pieces: &[Piece]) -> bool {
        let text = self.texts[span.file()];
        let rule = &text[span.range()];
        let found = instances(&self.trees[span.file()])
            .filter_map(|(_, body)| array(body.get("rules")?))
            .flatten()
            .find(|item| item.span() == (span.range()));
        let Some(fields) = found.and_then(table).filter(|_| rule.starts_with('{')) else {
            return false;
        };
        if pieces.is_empty() {
            let mut range = span.range();
            match comma(text, range.end) {
                // Comments between the elements are about the next one.
                Some(end) if text[range.end..end].contains('\n') => {
                    self.put(span.file(), end - 1..end, "");
                }
                Some(end) => range.end = end,
                None => {}
            }
            self.removed.insert((span.file(), span.start()));
            self.put(span.file(), with_line(text, range), "");
            return true;
        }
        let (Some(allow), Some(from)) = (fields.get("allow"), fields.get("from")) else {
            return false;
        };
        let written: Vec<String> = pieces
            .iter()
            .map(|(words, who)| {
                let mut changes = Vec::new();
                for (value, texts) in [(allow, words), (from, who)] {
                    if let Some(texts) = texts {
                        let range = value.span();
                        let inside = range.start - span.start()..range.end - span.start();
                        changes.push((inside, one_or_list(texts)));
                    }
                }
                changes.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
                let mut copy = rule.to_owned();
                for (range, text) in changes {
                    copy.replace_range(range, &text);
                }
                copy
            })
            .collect();
        let joint = format!(",\n{}", indent(text, span.start()));
        self.put(span.file(), span.range(), &written.join(&joint));
        true
    }

    /// Adds rules to a table.
    pub(super) fn add_rules(&mut self, place: &Place<'_>, rules: &[String]) -> bool {
        let file = place.span.file();
        let text = self.texts[file];
        let found = instances(&self.trees[file])
            .find(|(key, _)| *key == place.key)
            .map(|(_, body)| body);
        let Some(body) = found else { return false };
        let Some(list) = body.get("rules") else {
            return self.new_list(place, rules);
        };
        let range = list.span();
        // Not for `[[instances.x.rules]]`, whose tables are elements too.
        let is_inline = |item: &Value<'_>| text[item.span()].starts_with('{');
        let Some(items) = array(list).filter(|items| items.iter().all(is_inline)) else {
            return false;
        };
        let close = range.end - 1;
        let line_start = text[..close].rfind('\n').map_or(0, |at| at + 1);
        let alone = text[line_start..close].trim().is_empty() && line_start > range.start;
        let indent = match items.first() {
            Some(first) if alone => indent(text, first.span().start),
            _ => "  ".to_owned(),
        };
        if let Some(Range { start, end }) = items.last().map(toml::Spanned::span)
            && !self.removed.contains(&(file, start))
            && comma(text, end).is_none()
        {
            match self.pieces.get_mut(&(file, start, end)) {
                Some(piece) => piece.push(','),
                None => self.put(file, end..end, ","),
            }
        }
        let lines: Vec<String> = rules
            .iter()
            .map(|rule| format!("{indent}{rule},\n"))
            .collect();
        let lines = lines.concat();
        if alone {
            self.put(file, line_start..line_start, &lines);
        } else {
            self.put(file, close..close, &format!("\n{lines}"));
        }
        true
    }

    /// Adds a list of rules below the header of a table without one.
    fn new_list(&mut self, place: &Place<'_>, rules: &[String]) -> bool {
        let text = self.texts[place.span.file()];
        let start = text[..place.span.start()]
            .rfind('\n')
            .map_or(0, |at| at + 1);
        let line = text[start..]
            .split_inclusive('\n')
            .next()
            .unwrap_or_default();
        // Only for `[instances.x]`, not for a key in a table or a part of a longer header.
        let header = line.trim_start().starts_with("[instances.")
            && text[place.span.end()..].trim_start().starts_with(']');
        if !header {
            return false;
        }
        let list = format!("rules = {}\n", super::list(rules));
        let end = start + line.len();
        let broken = if line.ends_with('\n') { "" } else { "\n" };
        self.put(place.span.file(), end..end, &format!("{broken}{list}"));
        true
    }

    /// Adds text to the end of the first file.
    pub(super) fn append(&mut self, text: &str) {
        self.tail.push_str(text);
    }

    fn put(&mut self, file: usize, range: Range<usize>, text: &str) {
        let piece = self
            .pieces
            .entry((file, range.start, range.end))
            .or_default();
        piece.push_str(text);
    }

    /// The edited texts, and the indices of those that changed.
    pub(super) fn apply(self) -> (Vec<String>, BTreeSet<usize>) {
        let mut texts: Vec<String> = self.texts.iter().map(ToString::to_string).collect();
        for ((file, start, end), piece) in self.pieces.iter().rev() {
            texts[*file].replace_range(*start..*end, &with_newlines_of(self.texts[*file], piece));
        }
        if let Some(first) = texts.first_mut().filter(|_| !self.tail.is_empty()) {
            let is_broken = first.is_empty() || first.ends_with('\n');
            let newline = if is_broken { "" } else { "\n" };
            let tail = with_newlines_of(self.texts[0], &format!("{newline}{}", self.tail));
            first.push_str(&tail);
        }
        let changed = texts.iter().zip(&self.texts).enumerate();
        let changed = changed
            .filter(|(_, (new, old))| new.as_str() != **old)
            .map(|(at, _)| at)
            .collect();
        (texts, changed)
    }
}

fn table<'t, 'a>(value: &'t Value<'a>) -> Option<&'t DeTable<'a>> {
    match value.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

fn array<'t, 'a>(value: &'t Value<'a>) -> Option<&'t [Value<'a>]> {
    match value.get_ref() {
        DeValue::Array(items) => Some(items),
        _ => None,
    }
}

/// The tables of instances in a file.
fn instances<'t, 'a>(tree: &'t DeTable<'a>) -> impl Iterator<Item = (&'t str, &'t DeTable<'a>)> {
    tree.get("instances")
        .and_then(table)
        .into_iter()
        .flat_map(DeTable::iter)
        .filter_map(|(key, value)| Some((key.get_ref().as_ref(), table(value)?)))
}

/// The offset after the next comma, skipping white space and comments.
fn comma(text: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let rest = &text[at..];
        at += rest.len() - rest.trim_start().len();
        match text[at..].bytes().next()? {
            b'#' => at += text[at..].find('\n')?,
            b',' => return Some(at + 1),
            _ => return None,
        }
    }
}

/// The range of an element of a list, extended to the whole line if nothing else is on it.
fn with_line(text: &str, element: Range<usize>) -> Range<usize> {
    let line = text[..element.start].rfind('\n').map_or(0, |at| at + 1);
    let after = &text[element.end..];
    let line_end = after.find('\n').map(|at| element.end + at + 1);
    let rest = after.split('\n').next().unwrap_or_default().trim();
    match line_end {
        // A comment after the element is about it.
        Some(line_end)
            if text[line..element.start].trim().is_empty()
                && (rest.is_empty() || rest.starts_with('#')) =>
        {
            line..line_end
        }
        _ => {
            let blanks = after.len() - after.trim_start_matches([' ', '\t']).len();
            element.start..element.end + blanks
        }
    }
}

/// The text with the line endings of the target.
fn with_newlines_of(text: &str, piece: &str) -> String {
    match text.split_once('\n') {
        Some((line, _)) if line.ends_with('\r') => {
            piece.replace("\r\n", "\n").replace('\n', "\r\n")
        }
        _ => piece.to_owned(),
    }
}

/// The indentation of the line of an offset.
fn indent(text: &str, at: usize) -> String {
    let line = text[..at].rfind('\n').map_or(0, |at| at + 1);
    text[line..at]
        .chars()
        .take_while(|c| matches!(c, ' ' | '\t'))
        .collect()
}
