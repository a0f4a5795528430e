//! Limits on the size of a configuration with resolved names.
//!
//! A few lines can expand to more than any memory: a thousand ports for a thousand sources, in a ruleset that a thousand instances
//! use. The limits count pairs of a port and a source, because each becomes a part of a rule. Owns the limits and the
//! counting. Does not limit the size of files; their reader does.

use super::diagnostic::HintedError;
use crate::model::{MAX_PAIRS_PER_INSTANCE, MAX_SOURCES_PER_FAMILY};

/// The most pairs of port and source of all tables and all instances together. Instances of the same groups count once.
///
/// Forty thousand instances with full firewalls have as many; by default an account can have twenty instances.
pub(super) const MAX_PAIRS: usize = 5_000_000;

/// The most pairs of port and source of one instance, times the number of policies.
///
/// Every policy checks every rule. An instance with a full firewall may have two thousand policies.
const MAX_PAIRS_TIMES_POLICIES: usize = 250_000;

/// The number of pairs of port and source so far.
#[derive(Debug)]
pub(super) struct PairBudget {
    policies: usize,
    /// Of the current table.
    pub(super) table: usize,
    total: usize,
    /// Whether an exceeded limit was reported, after which no names are resolved.
    is_table_exceeded: bool,
    is_total_exceeded: bool,
}

impl PairBudget {
    /// An empty budget, for this number of policies.
    pub(super) fn new(policies: usize) -> Self {
        Self {
            policies,
            table: 0,
            total: 0,
            is_table_exceeded: false,
            is_total_exceeded: false,
        }
    }

    /// Starts a table or an instance that has this many pairs already. `subject` begins the message, such as "its groups and its own
    /// table come".
    pub(super) fn begin(&mut self, pairs: usize, subject: &str) -> Result<(), HintedError> {
        self.table = 0;
        self.is_table_exceeded = false;
        self.add(pairs, |_| {
            format!("{subject} to {pairs} pairs of port and source")
        })
    }

    pub(super) fn add_rule(&mut self, ports: usize, sources: usize) -> Result<(), HintedError> {
        let pairs = ports.max(1).saturating_mul(sources.max(1));
        self.add(pairs, |table| {
            if pairs > MAX_PAIRS_PER_INSTANCE {
                format!("this rule comes to {pairs} pairs of port and source ({ports} x {sources})")
            } else {
                format!("with this rule the table comes to {table} pairs of port and source")
            }
        })
    }

    /// Whether a limit is exceeded, so that no more names are to be resolved.
    pub(super) fn is_exceeded(&self) -> bool {
        self.is_table_exceeded || self.is_total_exceeded
    }

    fn add(
        &mut self,
        pairs: usize,
        describe: impl FnOnce(usize) -> String,
    ) -> Result<(), HintedError> {
        if self.is_exceeded() {
            return Ok(());
        }
        self.table = self.table.saturating_add(pairs);
        self.total = self.total.saturating_add(pairs);
        if self.table > MAX_PAIRS_PER_INSTANCE {
            self.is_table_exceeded = true;
            return Err(HintedError::new(format!(
                "{}, more than the limit of {MAX_PAIRS_PER_INSTANCE} for one instance",
                describe(self.table)
            ))
            .hint(format!(
                "the service takes {MAX_SOURCES_PER_FAMILY} sources of each family on an instance: write ranges of ports, and networks instead of addresses"
            )));
        }
        let checks = self.table.saturating_mul(self.policies);
        if checks > MAX_PAIRS_TIMES_POLICIES {
            self.is_table_exceeded = true;
            return Err(HintedError::new(format!(
                "{}, which {} policies check: {checks} in all, more than the limit of {MAX_PAIRS_TIMES_POLICIES}",
                describe(self.table),
                self.policies
            ))
            .hint("let one policy cover several services, or write fewer rules"));
        }
        if self.total > MAX_PAIRS {
            self.is_total_exceeded = true;
            return Err(HintedError::new(format!(
                "up to here everything comes to {} pairs of port and source, more than the limit of {MAX_PAIRS}",
                self.total
            ))
            .hint("each table counts with the rulesets that it uses: a group gives the same rules to many instances and counts once"));
        }
        Ok(())
    }
}
