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

/// The key of an instance table below `instances`.
pub(super) struct TableKey<'a> {
    pub(super) span: Span,
    pub(super) name: &'a str,
}

/// A remaining part of a rule: its texts of `allow` and of `from`; `None` if unchanged.
type RulePart = (Option<Vec<String>>, Option<Vec<String>>);

/// The texts with the edits to make.
pub(super) struct Edits<'a> {
    texts: Vec<&'a str>,
    trees: Vec<DeTable<'a>>,
    /// The replacements, by file and by the start and the end of the range.
    replacements: BTreeMap<(usize, usize, usize), String>,
    /// The text to add to the end of the first file.
    appended: String,
    /// The removed elements of lists, by file and offset.
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
            replacements: BTreeMap::new(),
            appended: String::new(),
            removed: BTreeSet::new(),
        }
    }

    /// The members of an address set.
    pub(super) fn address_set(&self, name: &str) -> Vec<String> {
        let mut trees = self.trees.iter();
        let set = trees.find_map(|tree| table(tree.get("addresses")?)?.get(name));
        let text = |value: &Value<'_>| match value.get_ref() {
            DeValue::String(text) => Some(text.clone().into_owned()),
            _ => None,
        };
        match set {
            Some(set) => match array(set) {
                Some(items) => items.iter().filter_map(text).collect(),
                None => text(set).into_iter().collect(),
            },
            None => Vec::new(),
        }
    }

    /// Replaces a rule by its remaining parts; without any part it is removed.
    pub(super) fn replace_rule(&mut self, span: Span, parts: &[RulePart]) -> bool {
        let text = self.texts[span.file()];
        let rule = &text[span.range()];
        let item = instances(&self.trees[span.file()])
            .filter_map(|(_, table)| array(table.get("rules")?))
            .flatten()
            .find(|item| item.span() == (span.range()));
        let Some(fields) = item.and_then(table).filter(|_| rule.starts_with('{')) else {
            return false;
        };
        if parts.is_empty() {
            let mut range = span.range();
            match end_of_comma(text, range.end) {
                // Comments between the elements are about the next one.
                Some(end) if text[range.end..end].contains('\n') => {
                    self.replace(span.file(), end - 1..end, "");
                }
                Some(end) => range.end = end,
                None => {}
            }
            self.removed.insert((span.file(), span.start()));
            self.replace(span.file(), extend_to_line(text, range), "");
            return true;
        }
        let (Some(allow), Some(from)) = (fields.get("allow"), fields.get("from")) else {
            return false;
        };
        let rules: Vec<String> = parts
            .iter()
            .map(|(allow_texts, from_texts)| {
                let mut changes = [(allow, allow_texts), (from, from_texts)];
                changes.sort_by_key(|(value, _)| std::cmp::Reverse(value.span().start));
                let mut copy = rule.to_owned();
                for (value, texts) in changes {
                    if let Some(texts) = texts {
                        let Range { start, end } = value.span();
                        let range = start - span.start()..end - span.start();
                        copy.replace_range(range, &one_or_list(texts));
                    }
                }
                copy
            })
            .collect();
        let separator = format!(",\n{}", indentation(text, span.start()));
        self.replace(span.file(), span.range(), &rules.join(&separator));
        true
    }

    /// Adds rules to a table.
    pub(super) fn add_rules(&mut self, key: &TableKey<'_>, rules: &[String]) -> bool {
        let file = key.span.file();
        let text = self.texts[file];
        let found = instances(&self.trees[file]).find(|(name, _)| *name == key.name);
        let Some((_, table)) = found else {
            return false;
        };
        let Some(list) = table.get("rules") else {
            return self.add_list(key, rules);
        };
        let range = list.span();
        // Not for `[[instances.x.rules]]`, whose tables are elements too.
        let is_inline = |item: &Value<'_>| text[item.span()].starts_with('{');
        let Some(items) = array(list).filter(|items| items.iter().all(is_inline)) else {
            return false;
        };
        let close = range.end - 1;
        let line_start = line_start(text, close);
        let is_alone = text[line_start..close].trim().is_empty() && line_start > range.start;
        let indentation = match items.first() {
            Some(first) if is_alone => indentation(text, first.span().start),
            _ => "  ".to_owned(),
        };
        if let Some(Range { start, end }) = items.last().map(toml::Spanned::span)
            && !self.removed.contains(&(file, start))
            && end_of_comma(text, end).is_none()
        {
            match self.replacements.get_mut(&(file, start, end)) {
                Some(replacement) => replacement.push(','),
                None => self.replace(file, end..end, ","),
            }
        }
        let lines: Vec<String> = rules
            .iter()
            .map(|rule| format!("{indentation}{rule},\n"))
            .collect();
        let lines = lines.concat();
        if is_alone {
            self.replace(file, line_start..line_start, &lines);
        } else {
            self.replace(file, close..close, &format!("\n{lines}"));
        }
        true
    }

    /// Adds a list of rules below the header of a table without one.
    fn add_list(&mut self, key: &TableKey<'_>, rules: &[String]) -> bool {
        let text = self.texts[key.span.file()];
        let start = line_start(text, key.span.start());
        let line = text[start..]
            .split_inclusive('\n')
            .next()
            .unwrap_or_default();
        // Only for `[instances.x]`, not for a key in a table or a part of a longer header.
        let is_header = line.trim_start().starts_with("[instances.")
            && text[key.span.end()..].trim_start().starts_with(']');
        if !is_header {
            return false;
        }
        let list = format!("rules = {}\n", super::format_list(rules));
        let end = start + line.len();
        let newline = if line.ends_with('\n') { "" } else { "\n" };
        self.replace(key.span.file(), end..end, &format!("{newline}{list}"));
        true
    }

    /// Adds text to the end of the first file.
    pub(super) fn append(&mut self, text: &str) {
        self.appended.push_str(text);
    }

    fn replace(&mut self, file: usize, range: Range<usize>, text: &str) {
        let key = (file, range.start, range.end);
        self.replacements.entry(key).or_default().push_str(text);
    }

    /// The edited texts, and the indices of those that changed.
    pub(super) fn apply(self) -> (Vec<String>, BTreeSet<usize>) {
        let mut texts: Vec<String> = self.texts.iter().map(ToString::to_string).collect();
        for ((file, start, end), replacement) in self.replacements.iter().rev() {
            let replacement = convert_newlines(replacement, self.texts[*file]);
            texts[*file].replace_range(*start..*end, &replacement);
        }
        if let Some(first) = texts.first_mut().filter(|_| !self.appended.is_empty()) {
            let ends_with_newline = first.is_empty() || first.ends_with('\n');
            let newline = if ends_with_newline { "" } else { "\n" };
            let appended = format!("{newline}{}", self.appended);
            first.push_str(&convert_newlines(&appended, self.texts[0]));
        }
        let changed = texts.iter().zip(&self.texts).enumerate();
        let changed = changed
            .filter(|(_, (new, old))| new.as_str() != **old)
            .map(|(index, _)| index)
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
fn end_of_comma(text: &str, from: usize) -> Option<usize> {
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
fn extend_to_line(text: &str, element: Range<usize>) -> Range<usize> {
    let line_start = line_start(text, element.start);
    let after = &text[element.end..];
    let line_end = after.find('\n').map(|at| element.end + at + 1);
    let rest = after.split('\n').next().unwrap_or_default().trim();
    match line_end {
        // A comment after the element is about it.
        Some(line_end)
            if text[line_start..element.start].trim().is_empty()
                && (rest.is_empty() || rest.starts_with('#')) =>
        {
            line_start..line_end
        }
        _ => {
            let blanks = after.len() - after.trim_start_matches([' ', '\t']).len();
            element.start..element.end + blanks
        }
    }
}

/// The text with the line endings of `target`.
fn convert_newlines(text: &str, target: &str) -> String {
    match target.split_once('\n') {
        Some((line, _)) if line.ends_with('\r') => text.replace("\r\n", "\n").replace('\n', "\r\n"),
        _ => text.to_owned(),
    }
}

/// The start of the line of an offset.
fn line_start(text: &str, offset: usize) -> usize {
    text[..offset].rfind('\n').map_or(0, |newline| newline + 1)
}

/// The indentation of the line of an offset.
fn indentation(text: &str, offset: usize) -> String {
    text[line_start(text, offset)..offset]
        .chars()
        .take_while(|c| matches!(c, ' ' | '\t'))
        .collect()
}
