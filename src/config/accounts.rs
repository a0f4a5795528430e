//! `[accounts]`: the accounts of the instances, and the sites to read.
//!
//! Owns the check that every name of an account is defined, and the choice of sites. Does not call AWS.

use std::collections::{BTreeMap, BTreeSet};

use super::definitions::{Account, NamedDefinitions};
use super::diagnostic::DiagnosticsBuilder;
use super::partial_id::PartialInstanceId;
use super::selector::Selector;
use super::source::{Span, quote};
use crate::model::{Code, Site};

/// The ID of each account, by its name.
pub(crate) fn account_ids(accounts: &BTreeMap<String, Account>) -> BTreeMap<String, String> {
    let ids = accounts.iter();
    ids.map(|(name, account)| (name.clone(), account.id.clone()))
        .collect()
}

/// The accounts by name. Two names for one account are an error, because each of its instances would exist twice.
pub(super) fn link(
    named: NamedDefinitions<Account>,
    report: &mut DiagnosticsBuilder,
) -> BTreeMap<String, Account> {
    let mut by_id: BTreeMap<String, (String, Span)> = BTreeMap::new();
    let mut accounts = BTreeMap::new();
    for (name, (span, account)) in named {
        if let Some((first, first_span)) = by_id.get(&account.id) {
            let message = format!(
                "accounts {} and {} have the same `id`",
                quote(first),
                quote(&name)
            );
            report
                .error(Code::Conflict, span, message)
                .hint("one account has one name; `regions` takes several regions")
                .related(*first_span, "the other one is here");
        } else {
            by_id.insert(account.id.clone(), (name.clone(), span));
        }
        accounts.insert(name, account);
    }
    accounts
}

/// Reports conditions on accounts that no account meets.
pub(super) fn check_selectors<'a>(
    accounts: &BTreeMap<String, Account>,
    selectors: impl Iterator<Item = &'a Selector>,
    report: &mut DiagnosticsBuilder,
) {
    let globs =
        selectors.flat_map(|selector| selector.accounts.iter().zip(&selector.account_spans));
    for (glob, span) in globs {
        if accounts.keys().any(|name| glob.matches(name)) {
            continue;
        }
        match glob.literal() {
            Some(name) => report_unknown(accounts, name, *span, report),
            None => {
                report
                    .error(Code::UnknownName, *span, "no account matches this pattern")
                    .hint(known_accounts(accounts));
            }
        }
    }
}

/// Reports instances that are named with an unknown account.
pub(super) fn check_instances<'a>(
    accounts: &BTreeMap<String, Account>,
    instances: impl Iterator<Item = (Span, &'a PartialInstanceId)>,
    report: &mut DiagnosticsBuilder,
) {
    for (span, id) in instances {
        if let Some(name) = &id.account
            && !accounts.contains_key(name)
        {
            report_unknown(accounts, name, span, report);
        }
    }
}

/// The sites to read. An account without regions of its own is read in `regions`; an instance that is named with account and
/// region adds its site.
pub(super) fn sites<'a>(
    accounts: &BTreeMap<String, Account>,
    regions: &BTreeSet<String>,
    instances: impl Iterator<Item = &'a PartialInstanceId>,
) -> BTreeSet<Site> {
    if accounts.is_empty() {
        return regions.iter().map(Site::of_region).collect();
    }
    let of_accounts = accounts.iter().flat_map(|(name, account)| {
        let regions = if account.regions.is_empty() {
            regions
        } else {
            &account.regions
        };
        regions.iter().map(|region| Site {
            account: Some(name.clone()),
            region: region.clone(),
        })
    });
    let of_instances = instances.filter_map(|id| {
        let name = id.account.as_ref()?;
        accounts.contains_key(name).then_some(())?;
        Some(Site {
            account: Some(name.clone()),
            region: id.region.clone()?,
        })
    });
    of_accounts.chain(of_instances).collect()
}

fn report_unknown(
    accounts: &BTreeMap<String, Account>,
    name: &str,
    span: Span,
    report: &mut DiagnosticsBuilder,
) {
    let message = format!("account {} is not defined", quote(name));
    let hint = report.suggestion(name, accounts.keys().map(String::as_str));
    report
        .error(Code::UnknownName, span, message)
        .hint(hint.unwrap_or_else(|| known_accounts(accounts)));
}

/// The hint for an unknown account.
fn known_accounts(accounts: &BTreeMap<String, Account>) -> String {
    if accounts.is_empty() {
        return "define it, as in `[accounts.prod] id = \"123456789012\"`".to_owned();
    }
    let names: Vec<String> = accounts.keys().map(|name| quote(name)).collect();
    format!("the accounts are {}", names.join(", "))
}
