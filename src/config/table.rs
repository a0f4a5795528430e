//! The tables of groups and instances, with resolved names.
//!
//! Owns their types. Does not know which instances exist.

use std::collections::BTreeSet;

use super::expected_count::ExpectedCount;
use super::partial_id::PartialInstanceId;
use super::rule::{AbsentRule, LinkedRule};
use super::selector::Selector;
use super::source::Span;
use crate::model::{Mode, Strategy};

/// The rules and settings of a group or an instance.
#[derive(Debug)]
pub(super) struct TableSettings {
    /// Indices into the list of all rulesets.
    pub(super) uses: BTreeSet<usize>,
    pub(super) rules: Box<[LinkedRule]>,
    pub(super) absent: Box<[AbsentRule]>,
    /// The number of pairs of port and source of `rules` and `absent`.
    pub(super) own_pairs: usize,
    pub(super) mode: Option<(Mode, Span)>,
    pub(super) strategy: Option<(Strategy, Span)>,
}

/// `[groups.NAME]`.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) span: Span,
    pub(super) selector: Selector,
    pub(super) expect: Option<(ExpectedCount, Span)>,
    pub(super) settings: TableSettings,
}

/// `[instances.NAME]`.
#[derive(Debug)]
pub(super) struct InstanceTable {
    pub(super) key: String,
    pub(super) span: Span,
    pub(super) id: PartialInstanceId,
    pub(super) settings: TableSettings,
}

impl TableSettings {
    /// Whether there are no rules and no settings.
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            uses,
            rules,
            absent,
            own_pairs: _,
            mode,
            strategy,
        } = self;
        uses.is_empty()
            && rules.is_empty()
            && absent.is_empty()
            && mode.is_none()
            && strategy.is_none()
    }
}

/// The indices of the rulesets that these tables use.
pub(super) fn used_rulesets(tables: &[&TableSettings]) -> BTreeSet<usize> {
    let uses = tables.iter().flat_map(|settings| &settings.uses);
    uses.copied().collect()
}
