//! What is wrong with a configuration beside its instances.
//!
//! Owns that each complaint is made once, however many instances share its lines. Does not find anything wrong.

use std::collections::BTreeSet;

use super::diagnostic::Report;
use super::source::Span;

/// The problems of one resolution.
pub(super) struct Complaints {
    pub(super) report: Report,
    /// What was complained about: many instances share a line, and one complaint is enough.
    known: BTreeSet<(Span, Span)>,
}

impl Complaints {
    pub(super) fn new(report: Report) -> Self {
        Self {
            report,
            known: BTreeSet::new(),
        }
    }

    /// Whether nothing was said yet of these two places.
    pub(super) fn are_new(&mut self, one: Span, other: Span) -> bool {
        self.known.insert((one, other))
    }
}
