//! Named lists that may contain each other: address sets and services.
//!
//! Owns the expansion of names and the detection of cycles. Does not know the elements. Nothing recurses, because a chain of names
//! can be as long as a file.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::definitions::NamedDefinitions;
use super::diagnostic::DiagnosticsBuilder;
use super::source::{Span, SpannedString, quote};
use crate::model::Code;

/// A parsed element of a list.
pub(super) enum Element<T> {
    Items(Vec<T>),
    /// The name of another list.
    Name,
    /// Not valid, which was reported.
    Invalid,
}

/// What the lists contain, as far as messages need it.
#[derive(Debug)]
pub(super) struct ListKind {
    /// The name in messages, such as `service`.
    pub(super) name: &'static str,
    /// Other valid words, for suggestions.
    pub(super) keywords: Vec<&'static str>,
    /// The hint for a text that is not the name of a list.
    pub(super) hint: fn(&str) -> Option<String>,
    /// The hints for the names of other things.
    pub(super) name_hints: BTreeMap<String, fn(&str) -> String>,
}

#[derive(Debug)]
pub(super) struct NamedLists<T> {
    kind: ListKind,
    /// Whether some definitions may be lost, so that undefined names are not reported.
    is_incomplete: bool,
    ids: BTreeMap<String, usize>,
    lists: Vec<List<T>>,
}

#[derive(Debug)]
struct List<T> {
    span: Span,
    items: Vec<T>,
    /// The lists that it contains, with the places of their names.
    references: Vec<(usize, Span)>,
    is_used: bool,
    /// Cache of the items with those of the lists that it contains.
    expanded: Option<Rc<[T]>>,
}

impl<T: Clone> NamedLists<T> {
    /// Resolves the names in all lists.
    pub(super) fn new(
        kind: ListKind,
        definitions: NamedDefinitions<Vec<SpannedString>>,
        is_incomplete: bool,
        report: &mut DiagnosticsBuilder,
        mut parse: impl FnMut(&SpannedString, &mut DiagnosticsBuilder) -> Element<T>,
    ) -> Self {
        let names = definitions.keys().cloned();
        let mut all = Self {
            kind,
            is_incomplete,
            ids: names.enumerate().map(|(id, name)| (name, id)).collect(),
            lists: Vec::new(),
        };
        for (span, _) in definitions.values() {
            all.lists.push(List {
                span: *span,
                items: Vec::new(),
                references: Vec::new(),
                is_used: false,
                expanded: None,
            });
        }
        for (id, (_, texts)) in definitions.into_values().enumerate() {
            for text in texts {
                match parse(&text, report) {
                    Element::Items(items) => all.lists[id].items.extend(items),
                    Element::Name => {
                        if let Some(other) = all.find(&text.text, text.span, report) {
                            all.lists[other].is_used |= other != id;
                            all.lists[id].references.push((other, text.span));
                        }
                    }
                    Element::Invalid => {}
                }
            }
        }
        all.report_cycles(report);
        all
    }

    /// The list of a name. An unknown name is reported.
    fn find(&self, name: &str, span: Span, report: &mut DiagnosticsBuilder) -> Option<usize> {
        if let Some(id) = self.ids.get(name) {
            return Some(*id);
        }
        if !self.is_incomplete {
            let names = self.ids.keys().map(String::as_str);
            let candidates = names.chain(self.kind.keywords.iter().copied());
            let message = format!("there is no {} {}", self.kind.name, quote(name));
            let error = report.unknown(Code::UnknownName, span, message, name, candidates);
            let name_hint = self.kind.name_hints.get(name).map(|hint| hint(name));
            if let Some(hint) = name_hint.or_else(|| (self.kind.hint)(name)) {
                error.hint(hint);
            }
        }
        None
    }

    /// The items of a list, with those of the lists that it contains. An unknown name is reported.
    pub(super) fn expand(
        &mut self,
        name: &str,
        span: Span,
        report: &mut DiagnosticsBuilder,
    ) -> Option<Rc<[T]>> {
        let id = self.find(name, span, report)?;
        self.lists[id].is_used = true;
        if let Some(expanded) = &self.lists[id].expanded {
            return Some(Rc::clone(expanded));
        }
        let expanded: Rc<[T]> = self.expanded_items(id).into();
        self.lists[id].expanded = Some(Rc::clone(&expanded));
        Some(expanded)
    }

    /// Every list by name, expanded.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Vec<T>)> {
        self.ids
            .iter()
            .map(|(name, id)| (name.as_str(), self.expanded_items(*id)))
    }

    fn expanded_items(&self, id: usize) -> Vec<T> {
        let (mut seen, mut rest, mut items) = (BTreeSet::from([id]), vec![id], Vec::new());
        while let Some(id) = rest.pop() {
            let list = &self.lists[id];
            items.extend_from_slice(&list.items);
            let others = list.references.iter().map(|(other, _)| *other);
            rest.extend(others.filter(|other| seen.insert(*other)));
        }
        items
    }

    /// Warns of lists that are not used.
    pub(super) fn report_unused(&self, report: &mut DiagnosticsBuilder) {
        for (name, id) in &self.ids {
            let list = &self.lists[*id];
            if !list.is_used {
                let message = format!("{} {} is not used", self.kind.name, quote(name));
                report.warning(Code::Unused, list.span, message);
            }
        }
    }

    /// Reports each cycle once, at the name that closes it.
    fn report_cycles(&self, report: &mut DiagnosticsBuilder) {
        let names: Vec<&str> = self.ids.keys().map(String::as_str).collect();
        let mut is_done = vec![false; self.lists.len()];
        for start in 0..self.lists.len() {
            // The path from `start`: each list with the index of its next reference.
            let mut path: Vec<(usize, usize)> = vec![(start, 0)];
            let mut depths: BTreeMap<usize, usize> = BTreeMap::from([(start, 0)]);
            while let Some((id, next)) = path.last_mut() {
                let id = *id;
                let reference = if is_done[id] {
                    None
                } else {
                    self.lists[id].references.get(*next)
                };
                *next += 1;
                let Some((other, span)) = reference else {
                    is_done[id] = true;
                    depths.remove(&id);
                    path.pop();
                    continue;
                };
                if let Some(first) = depths.get(other) {
                    let cycle = path[*first..].iter().map(|(id, _)| names[*id]);
                    let (kind, name) = (self.kind.name, names[*other]);
                    let message = format!("{kind} {} contains itself", quote(name));
                    report
                        .error(Code::Circle, *span, message)
                        .hint(format!("the circle is {}", format_cycle(cycle, name)));
                } else if !is_done[*other] {
                    depths.insert(*other, path.len());
                    path.push((*other, 0));
                }
            }
        }
    }
}

/// `a -> b -> a`, truncated if it is long.
fn format_cycle<'a>(names: impl ExactSizeIterator<Item = &'a str>, last: &str) -> String {
    const MAX_NAMES: usize = 10;
    let length = names.len();
    let mut texts: Vec<String> = names.take(MAX_NAMES).map(quote).collect();
    if length > MAX_NAMES {
        texts.push(format!("{} more", length - MAX_NAMES));
    }
    texts.push(quote(last));
    texts.join(" -> ")
}
