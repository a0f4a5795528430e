//! The problems of one resolution.
//!
//! Owns the rule that each problem is reported once, however many instances share its lines. Does not find problems.

use std::collections::BTreeSet;

use super::diagnostic::Report;
use super::source::Span;

/// The problems of one resolution.
pub(super) struct Complaints {
    pub(super) report: Report,
    /// The places of the problems that were reported.
    known: BTreeSet<(Span, Span)>,
}

impl Complaints {
    pub(super) fn new(report: Report) -> Self {
        Self {
            report,
            known: BTreeSet::new(),
        }
    }

    /// Whether no problem was reported yet for these two places.
    pub(super) fn are_new(&mut self, one: Span, other: Span) -> bool {
        self.known.insert((one, other))
    }
}
