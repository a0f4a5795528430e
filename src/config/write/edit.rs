//! Edits of TOML texts.
//!
//! Owns the search for lists and tables of rules in a text, and their edits. A list is edited on its own with `toml_edit`, which
//! keeps the comments and the layout of a list, so that the rest of the text stays exactly. Does not know the meaning of the
//! parts. It does not edit forms that it does not support, and returns `None` then.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::de::{DeTable, DeValue};
use toml_edit::{Array, InlineTable, RawString};

use super::super::source::Span;
use super::super::table::InstanceTable;
use super::super::tree::Value;
use super::lines::one_or_list;

/// A remaining part of a rule: its texts of `allow` and of `from`; `None` if unchanged.
type RulePart = (Option<Vec<String>>, Option<Vec<String>>);

/// The texts with the edits to make.
pub(super) struct Edits<'a> {
    texts: Vec<&'a str>,
    trees: Vec<DeTable<'a>>,
    /// The edited lists, by file and offset.
    lists: BTreeMap<(usize, usize), RuleList>,
    /// The texts to insert, by file and offset.
    insertions: BTreeMap<(usize, usize), String>,
    /// The text to add to the end of the first file.
    appended: String,
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
            lists: BTreeMap::new(),
            insertions: BTreeMap::new(),
            appended: String::new(),
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
    pub(super) fn replace_rule(&mut self, span: Span, parts: &[RulePart]) -> Option<()> {
        let (range, index) = instances(&self.trees[span.file()]).find_map(|(_, table)| {
            let list = table.get("rules")?;
            let mut rules = array(list)?.iter();
            let index = rules.position(|rule| rule.span() == span.range())?;
            Some((list.span(), index))
        })?;
        let list = self.list(span.file(), range)?;
        let rule = list.array.get(index)?.as_inline_table()?;
        let parts = parts.iter().map(|part| remaining_rule(rule, part));
        let parts = parts.collect::<Option<_>>()?;
        list.replaced.insert(index, parts);
        Some(())
    }

    pub(super) fn add_rules(&mut self, table: &InstanceTable, rules: &[String]) -> Option<()> {
        let file = table.span.file();
        let (_, tree) = instances(&self.trees[file]).find(|(name, _)| *name == table.key)?;
        let Some(range) = tree.get("rules").map(toml::Spanned::span) else {
            return self.add_list(table.span, rules);
        };
        let rules = rules.iter().map(|rule| rule.parse().ok());
        self.list(file, range)?.added = rules.collect::<Option<_>>()?;
        Some(())
    }

    /// A list of rules to edit; `None` for `[[instances.x.rules]]`, whose tables are a list too.
    fn list(&mut self, file: usize, range: Range<usize>) -> Option<&mut RuleList> {
        match self.lists.entry((file, range.start)) {
            Entry::Occupied(list) => Some(list.into_mut()),
            Entry::Vacant(entry) => {
                let text = self.texts[file].get(range.clone())?;
                let newline = newline(self.texts[file]);
                let Ok(toml_edit::Value::Array(array)) = text.parse() else {
                    return None;
                };
                // Line endings that differ would not be kept.
                if array.to_string().replace('\n', newline) != text {
                    return None;
                }
                Some(entry.insert(RuleList {
                    range,
                    newline,
                    array,
                    replaced: BTreeMap::new(),
                    added: Vec::new(),
                }))
            }
        }
    }

    /// Adds a list of rules below the header of a table without one, whose key is at this place.
    fn add_list(&mut self, key: Span, rules: &[String]) -> Option<()> {
        let text = self.texts[key.file()];
        let start = text[..key.start()]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        let line = text[start..]
            .split_inclusive('\n')
            .next()
            .unwrap_or_default();
        // Only for `[instances.x]`, not for a key in a table or a part of a longer header.
        let is_header = line.trim_start().starts_with("[instances.")
            && text[key.end()..].trim_start().starts_with(']');
        let newline = if line.ends_with('\n') { "" } else { "\n" };
        is_header.then(|| {
            self.insertions.insert(
                (key.file(), start + line.len()),
                format!("{newline}rules = {}\n", super::format_list(rules)),
            );
        })
    }

    /// Adds text to the end of the first file.
    pub(super) fn append(&mut self, text: &str) {
        self.appended.push_str(text);
    }

    /// The edited texts, and the indices of those that changed.
    pub(super) fn apply(self) -> (Vec<String>, BTreeSet<usize>) {
        let mut texts: Vec<String> = self.texts.iter().map(ToString::to_string).collect();
        let insertions = self.insertions.into_iter().map(|((file, at), text)| {
            let text = text.replace('\n', newline(self.texts[file]));
            ((file, at), (at..at, text))
        });
        let lists = self.lists.into_iter();
        let lists = lists.map(|(place, list)| (place, (list.range.clone(), list.edited())));
        let replacements: BTreeMap<_, _> = insertions.chain(lists).collect();
        for ((file, _), (range, text)) in replacements.into_iter().rev() {
            texts[file].replace_range(range, &text);
        }
        if let Some(first) = texts.first_mut().filter(|_| !self.appended.is_empty()) {
            let newline = newline(self.texts[0]);
            if !first.is_empty() && !first.ends_with('\n') {
                first.push_str(newline);
            }
            first.push_str(&self.appended.replace('\n', newline));
        }
        let changed = texts.iter().zip(&self.texts).enumerate();
        let changed = changed
            .filter(|(_, (new, old))| new.as_str() != **old)
            .map(|(index, _)| index)
            .collect();
        (texts, changed)
    }
}

/// A list of rules and its edits.
struct RuleList {
    range: Range<usize>,
    newline: &'static str,
    array: Array,
    /// What remains of rules, by index; of a removed rule, nothing.
    replaced: BTreeMap<usize, Vec<toml_edit::Value>>,
    added: Vec<toml_edit::Value>,
}

impl RuleList {
    /// The text of the list after the edits.
    fn edited(self) -> String {
        let Self {
            newline,
            array,
            mut replaced,
            added,
            ..
        } = self;
        let mut edited = Array::new();
        let mut trailing = raw_text(Some(array.trailing())).to_owned();
        let mut indentation = "\n  ".to_owned();
        // The text before and after a removed rule.
        let mut removed: Option<(String, String)> = None;
        for (index, rule) in array.iter().enumerate() {
            let (prefix, suffix) = decor(rule);
            let (_, own_line) = split_last_line(&prefix);
            if index == 0 && !own_line.is_empty() {
                own_line.clone_into(&mut indentation);
            }
            let mut before = match removed.take() {
                Some((before, after)) => joined(&before, &(after + &prefix)),
                None => prefix.clone(),
            };
            let parts = replaced
                .remove(&index)
                .unwrap_or_else(|| vec![rule.clone()]);
            if parts.is_empty() {
                removed = Some((before, suffix));
                continue;
            }
            for part in parts {
                edited.push_formatted(part.decorated(before, ""));
                before = String::from(if own_line.is_empty() { " " } else { own_line });
            }
            if let Some(last) = edited.iter_mut().last() {
                last.decor_mut().set_suffix(suffix);
            }
        }
        let mut has_comma = array.trailing_comma();
        if let Some((before, after)) = removed {
            trailing = joined(&before, &(after + &trailing));
            has_comma = true;
        } else if !has_comma && let Some(last) = edited.iter_mut().last() {
            (_, trailing) = decor(last);
            last.decor_mut().set_suffix("");
        }
        for rule in added {
            let (before, last_line) = split_last_line(&trailing);
            let before = format!("{before}{indentation}");
            trailing = match last_line {
                "" => "\n".to_owned(),
                _ => last_line.to_owned(),
            };
            edited.push_formatted(rule.decorated(before, ""));
            has_comma = true;
        }
        edited.set_trailing_comma(has_comma);
        edited.set_trailing(trailing);
        edited.to_string().replace('\n', newline)
    }
}

fn remaining_rule(rule: &InlineTable, (allow, from): &RulePart) -> Option<toml_edit::Value> {
    let mut rest = rule.clone();
    for (field, texts) in [("allow", allow), ("from", from)] {
        if let Some(texts) = texts {
            let value = rest.get_mut(field)?;
            let new: toml_edit::Value = one_or_list(texts).parse().ok()?;
            let (before, after) = decor(value);
            *value = new.decorated(before, after);
        }
    }
    Some(rest.into())
}

/// The white space and comments before and after a value.
fn decor(value: &toml_edit::Value) -> (String, String) {
    let decor = value.decor();
    let [before, after] = [decor.prefix(), decor.suffix()].map(raw_text);
    (before.to_owned(), after.to_owned())
}

fn raw_text(raw: Option<&RawString>) -> &str {
    raw.and_then(RawString::as_str).unwrap_or_default()
}

/// The text between two rules after the rule between them is removed: the rest of its line goes, and its comment with it.
fn joined(before: &str, after: &str) -> String {
    match after.find('\n') {
        Some(newline) => format!("{}{}", split_last_line(before).0, &after[newline..]),
        None => before.to_owned(),
    }
}

/// The text up to its last line, and its last line with the line break before it; two empty texts without a line break.
fn split_last_line(text: &str) -> (&str, &str) {
    text.rfind('\n').map_or(("", ""), |at| text.split_at(at))
}

/// The line ending of a text.
fn newline(text: &str) -> &'static str {
    match text.split_once('\n') {
        Some((line, _)) if line.ends_with('\r') => "\r\n",
        _ => "\n",
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
