//! Named lists that may contain each other: address sets and services.
//!
//! Owns the expansion of names and the detection of cycles. Does not know the elements. Nothing recurses, because a chain of names
//! can be as long as a file.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::definitions::Named;
use super::diagnostic::Report;
use super::source::{Span, quote};
use super::tree::Text;
use crate::model::Code;

/// A parsed element of a list.
pub(super) enum Element<T> {
    /// Items.
    Items(Vec<T>),
    /// The name of another list.
    Name,
    /// Not valid, which was reported.
    Wrong,
}

/// Hints for texts that are not the name of a list.
#[derive(Debug)]
pub(super) struct Habit {
    pub(super) of: fn(&str) -> Option<String>,
    /// Names of other things, with a hint for each.
    pub(super) others: BTreeMap<String, fn(&str) -> String>,
}

impl Habit {
    fn hint(&self, name: &str) -> Option<String> {
        let other = self.others.get(name).map(|hint| hint(name));
        other.or_else(|| (self.of)(name))
    }
}

/// All lists of one kind.
#[derive(Debug)]
pub(super) struct Nested<T> {
    kind: &'static str,
    habit: Habit,
    reserved: Vec<&'static str>,
    incomplete: bool,
    ids: BTreeMap<String, usize>,
    lists: Vec<List<T>>,
}

#[derive(Debug)]
struct List<T> {
    span: Span,
    own: Vec<T>,
    names: Vec<(usize, Span)>,
    used: bool,
    flat: Option<Rc<[T]>>,
}

impl<T: Clone> Nested<T> {
    /// Resolves the names in all lists. `reserved` are other valid words, for suggestions.
    pub(super) fn new(
        (kind, habit): (&'static str, Habit),
        reserved: Vec<&'static str>,
        definitions: Named<Vec<Text>>,
        incomplete: bool,
        report: &mut Report,
        mut read: impl FnMut(&Text, &mut Report) -> Element<T>,
    ) -> Self {
        let ids = definitions
            .0
            .keys()
            .enumerate()
            .map(|(id, name)| (name.clone(), id))
            .collect();
        let mut all = Self {
            kind,
            habit,
            reserved,
            incomplete,
            ids,
            lists: Vec::new(),
        };
        let mut texts = Vec::new();
        for (span, members) in definitions.0.into_values() {
            all.lists.push(List {
                span,
                own: Vec::new(),
                names: Vec::new(),
                used: false,
                flat: None,
            });
            texts.push(members);
        }
        for (id, members) in texts.into_iter().enumerate() {
            for text in members {
                match read(&text, report) {
                    Element::Items(items) => all.lists[id].own.extend(items),
                    Element::Name => {
                        if let Some(other) = all.find(&text.text, text.span, report) {
                            all.lists[other].used |= other != id;
                            all.lists[id].names.push((other, text.span));
                        }
                    }
                    Element::Wrong => {}
                }
            }
        }
        all.report_cycles(report);
        all
    }

    fn find(&self, name: &str, span: Span, report: &mut Report) -> Option<usize> {
        if let Some(id) = self.ids.get(name) {
            return Some(*id);
        }
        if !self.incomplete {
            let Self { kind, .. } = self;
            let known = self
                .ids
                .keys()
                .map(String::as_str)
                .chain(self.reserved.iter().copied());
            let message = format!("there is no {kind} {}", quote(name));
            let problem = report.unknown(Code::UnknownName, span, message, name, known);
            if let Some(hint) = self.habit.hint(name) {
                problem.hint(hint);
            }
        }
        None
    }

    /// The items of a list, with the lists that it contains. An unknown name is reported.
    pub(super) fn expand(
        &mut self,
        name: &str,
        span: Span,
        report: &mut Report,
    ) -> Option<Rc<[T]>> {
        let id = self.find(name, span, report)?;
        self.lists[id].used = true;
        if let Some(flat) = &self.lists[id].flat {
            return Some(Rc::clone(flat));
        }
        let flat: Rc<[T]> = self.members(id).into();
        self.lists[id].flat = Some(Rc::clone(&flat));
        Some(flat)
    }

    /// Every list by name, expanded.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, Vec<T>)> {
        self.ids
            .iter()
            .map(|(name, id)| (name.as_str(), self.members(*id)))
    }

    fn members(&self, id: usize) -> Vec<T> {
        let (mut seen, mut rest, mut items) = (BTreeSet::from([id]), vec![id], Vec::new());
        while let Some(id) = rest.pop() {
            let list = &self.lists[id];
            items.extend_from_slice(&list.own);
            rest.extend(
                list.names
                    .iter()
                    .map(|(other, _)| *other)
                    .filter(|other| seen.insert(*other)),
            );
        }
        items
    }

    /// Warns of lists that are not used.
    pub(super) fn report_unused(&self, report: &mut Report) {
        for (name, id) in &self.ids {
            let list = &self.lists[*id];
            if !list.used {
                report.warning(
                    Code::Unused,
                    list.span,
                    format!("{} {} is not used", self.kind, quote(name)),
                );
            }
        }
    }

    /// Reports each cycle once, at the name that closes it.
    fn report_cycles(&self, report: &mut Report) {
        let names: Vec<&str> = self.ids.keys().map(String::as_str).collect();
        let mut done = vec![false; self.lists.len()];
        for start in 0..self.lists.len() {
            // The path from `start`: each list with the index of its next name.
            let mut way: Vec<(usize, usize)> = vec![(start, 0)];
            let mut place: BTreeMap<usize, usize> = BTreeMap::from([(start, 0)]);
            while let Some((id, next)) = way.last_mut() {
                let id = *id;
                let step = if done[id] {
                    None
                } else {
                    self.lists[id].names.get(*next)
                };
                *next += 1;
                let Some((other, span)) = step else {
                    done[id] = true;
                    place.remove(&id);
                    way.pop();
                    continue;
                };
                if let Some(first) = place.get(other) {
                    let circle = way[*first..].iter().map(|(id, _)| names[*id]);
                    let problem = report.error(
                        Code::Circle,
                        *span,
                        format!("{} {} contains itself", self.kind, quote(names[*other])),
                    );
                    problem.hint(format!("the circle is {}", way_of(circle, names[*other])));
                } else if !done[*other] {
                    place.insert(*other, way.len());
                    way.push((*other, 0));
                }
            }
        }
    }
}

/// `a -> b -> a`, truncated if it is long.
fn way_of<'a>(circle: impl ExactSizeIterator<Item = &'a str>, last: &str) -> String {
    const SHOWN: usize = 10;
    let length = circle.len();
    let mut steps: Vec<String> = circle.take(SHOWN).map(quote).collect();
    if length > SHOWN {
        steps.push(format!("{} more", length - SHOWN));
    }
    steps.push(quote(last));
    steps.join(" -> ")
}
