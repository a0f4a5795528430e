//! How much a configuration may come to once its names are followed.
//!
//! A few lines can multiply out to more than any machine holds: a thousand ports for a thousand sources, in a ruleset that
//! a thousand instances use. What counts is pairs of a port and a source, since each becomes a piece of a rule. Owns the
//! limits and the counting. Does not limit the size of files, which whoever reads them does.

use super::source::Span;
use crate::model::{Code, PAIRS_OF_AN_INSTANCE, SOURCES_PER_FAMILY};

/// The most pairs of port and source of all tables and all instances together, where instances of the same groups count
/// once.
///
/// Forty thousand instances that are filled to the brim have as many; an account has twenty instances unless it asks for
/// more.
pub(crate) const PAIRS_IN_ALL: usize = 5_000_000;

/// The most pairs of port and source of one instance, times the policies that judge them.
///
/// Every policy looks at every rule. An instance that is filled to the brim may have two thousand policies.
pub(super) const PAIRS_JUDGED: usize = 250_000;

/// What is too much, and the hint that goes with it.
pub(super) struct TooMuch {
    pub(super) message: String,
    pub(super) hint: String,
}

/// The pairs that were counted so far.
#[derive(Debug)]
pub(super) struct Budget {
    policies: usize,
    table: usize,
    all: usize,
    /// Whether it was said that something is too much, after which nothing more is followed.
    table_is_full: bool,
    all_is_full: bool,
}

impl Budget {
    /// Nothing was counted yet; so many policies judge it.
    pub(super) fn new(policies: usize) -> Self {
        Self {
            policies,
            table: 0,
            all: 0,
            table_is_full: false,
            all_is_full: false,
        }
    }

    /// A table begins that has this many pairs by what it uses.
    pub(super) fn begin(&mut self, used: usize) -> Result<(), TooMuch> {
        self.table = 0;
        self.table_is_full = false;
        self.add(used, |_| {
            format!("the rulesets that it uses come to {used} pairs of port and source")
        })
    }

    /// An instance begins that gets this many pairs from its groups and its own table.
    pub(super) fn instance(&mut self, pairs: usize) -> Result<(), TooMuch> {
        self.table = 0;
        self.table_is_full = false;
        self.add(pairs, |_| {
            format!("its groups and its own table come to {pairs} pairs of port and source")
        })
    }

    /// Counts a rule.
    pub(super) fn rule(&mut self, ports: usize, sources: usize) -> Result<(), TooMuch> {
        let pairs = ports.max(1).saturating_mul(sources.max(1));
        self.add(pairs, |table| {
            if pairs > PAIRS_OF_AN_INSTANCE {
                format!("this rule comes to {pairs} pairs of port and source ({ports} x {sources})")
            } else {
                format!("with this rule the table comes to {table} pairs of port and source")
            }
        })
    }

    /// The pairs of the table that was begun last.
    pub(super) fn table(&self) -> usize {
        self.table
    }

    /// Whether what follows shall not be followed.
    pub(super) fn is_full(&self) -> bool {
        self.table_is_full || self.all_is_full
    }

    fn add(&mut self, pairs: usize, what: impl FnOnce(usize) -> String) -> Result<(), TooMuch> {
        if self.is_full() {
            return Ok(());
        }
        self.table = self.table.saturating_add(pairs);
        self.all = self.all.saturating_add(pairs);
        if self.table > PAIRS_OF_AN_INSTANCE {
            self.table_is_full = true;
            return Err(TooMuch {
                message: format!(
                    "{}, more than the limit of {PAIRS_OF_AN_INSTANCE} for one instance",
                    what(self.table)
                ),
                hint: format!(
                    "the service takes {SOURCES_PER_FAMILY} sources of each family on an instance: write ranges of ports, and networks instead of addresses"
                ),
            });
        }
        let judged = self.table.saturating_mul(self.policies);
        if judged > PAIRS_JUDGED {
            self.table_is_full = true;
            return Err(TooMuch {
                message: format!(
                    "{}, which {} policies judge: {judged} in all, more than the limit of {PAIRS_JUDGED}",
                    what(self.table),
                    self.policies
                ),
                hint: "let one policy speak of several services, or write fewer rules".to_owned(),
            });
        }
        if self.all > PAIRS_IN_ALL {
            self.all_is_full = true;
            return Err(TooMuch {
                message: format!(
                    "up to here everything comes to {} pairs of port and source, more than the limit of {PAIRS_IN_ALL}",
                    self.all
                ),
                hint: "each table counts with the rulesets that it uses: a group gives the same rules to many instances and counts once".to_owned(),
            });
        }
        Ok(())
    }
}

impl TooMuch {
    /// Says of what.
    pub(super) fn about(mut self, subject: &str) -> Self {
        self.message = format!("{subject}: {}", self.message);
        self
    }

    pub(super) fn report(self, report: &mut super::diagnostic::Report, span: Span) {
        report
            .error(Code::TooLarge, span, self.message)
            .hint(self.hint);
    }
}
