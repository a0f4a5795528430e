//! Limits on the size of a configuration with resolved names.
//!
//! A few lines can expand to more than any memory: a thousand ports for a thousand sources, in a ruleset that a thousand instances
//! use. The limits count pairs of a port and a source, because each becomes a part of a rule. Owns the limits and the
//! counting. Does not limit the size of files; their reader does.

use super::source::Span;
use crate::model::{Code, MAX_PAIRS_PER_INSTANCE, MAX_SOURCES_PER_FAMILY};

/// The most pairs of port and source of all tables and all instances together. Instances of the same groups count once.
///
/// Forty thousand instances with full firewalls have as many; by default an account can have twenty instances.
pub(crate) const PAIRS_IN_ALL: usize = 5_000_000;

/// The most pairs of port and source of one instance, times the number of policies.
///
/// Every policy checks every rule. An instance with a full firewall may have two thousand policies.
pub(super) const MAX_PAIRS_TIMES_POLICIES: usize = 250_000;

/// A limit that is exceeded, with a hint.
pub(super) struct TooMuch {
    pub(super) message: String,
    pub(super) hint: String,
}

/// The number of pairs so far.
#[derive(Debug)]
pub(super) struct Budget {
    policies: usize,
    table: usize,
    all: usize,
    /// Whether an exceeded limit was reported, after which no names are resolved.
    table_is_full: bool,
    all_is_full: bool,
}

impl Budget {
    /// An empty budget, for this number of policies.
    pub(super) fn new(policies: usize) -> Self {
        Self {
            policies,
            table: 0,
            all: 0,
            table_is_full: false,
            all_is_full: false,
        }
    }

    /// Starts a table whose rulesets have this many pairs.
    pub(super) fn begin(&mut self, used: usize) -> Result<(), TooMuch> {
        self.table = 0;
        self.table_is_full = false;
        self.add(used, |_| {
            format!("the rulesets that it uses come to {used} pairs of port and source")
        })
    }

    /// Starts an instance that gets this many pairs from its groups and its own table.
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
            if pairs > MAX_PAIRS_PER_INSTANCE {
                format!("this rule comes to {pairs} pairs of port and source ({ports} x {sources})")
            } else {
                format!("with this rule the table comes to {table} pairs of port and source")
            }
        })
    }

    /// The number of pairs of the current table.
    pub(super) fn table(&self) -> usize {
        self.table
    }

    /// Whether no more names are to be resolved.
    pub(super) fn is_full(&self) -> bool {
        self.table_is_full || self.all_is_full
    }

    fn add(&mut self, pairs: usize, what: impl FnOnce(usize) -> String) -> Result<(), TooMuch> {
        if self.is_full() {
            return Ok(());
        }
        self.table = self.table.saturating_add(pairs);
        self.all = self.all.saturating_add(pairs);
        if self.table > MAX_PAIRS_PER_INSTANCE {
            self.table_is_full = true;
            return Err(TooMuch {
                message: format!(
                    "{}, more than the limit of {MAX_PAIRS_PER_INSTANCE} for one instance",
                    what(self.table)
                ),
                hint: format!(
                    "the service takes {MAX_SOURCES_PER_FAMILY} sources of each family on an instance: write ranges of ports, and networks instead of addresses"
                ),
            });
        }
        let judged = self.table.saturating_mul(self.policies);
        if judged > MAX_PAIRS_TIMES_POLICIES {
            self.table_is_full = true;
            return Err(TooMuch {
                message: format!(
                    "{}, which {} policies check: {judged} in all, more than the limit of {MAX_PAIRS_TIMES_POLICIES}",
                    what(self.table),
                    self.policies
                ),
                hint: "let one policy cover several services, or write fewer rules".to_owned(),
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
    /// Adds a subject to the message.
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
