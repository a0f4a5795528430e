//! The sites to read if the configuration names accounts.
//!
//! Owns `--account`, and the meaning of `--region` with accounts. Does not connect to an account.

use std::collections::{BTreeMap, BTreeSet};

use super::no_region;
use crate::cli::args::ConnectionArgs;
use crate::cli::error::CommandError;
use crate::config::{Account, Config, account_ids};
use crate::lightsail::aws;
use crate::model::Site;

/// The sites of the selected accounts. `--region` limits each account to these of its regions.
pub(super) async fn sites(
    connection: &ConnectionArgs,
    config: &Config,
) -> Result<Vec<Site>, CommandError> {
    let accounts = config.accounts();
    for name in &connection.account {
        if !accounts.contains_key(name) {
            let known: Vec<String> = accounts.keys().map(|name| format!("`{name}`")).collect();
            return Err(CommandError::usage(
                format!("`--account {name}` names no account of the configuration"),
                format!("the accounts are {}", known.join(", ")),
            ));
        }
    }
    let selected = accounts
        .keys()
        .filter(|name| connection.account.is_empty() || connection.account.contains(name));
    let mut sites = BTreeSet::new();
    for name in selected {
        let known = configured_sites(config, name);
        if known.is_empty() {
            let regions = match &connection.region[..] {
                [] => default_regions(connection, config, name).await,
                regions => regions.to_vec(),
            };
            if regions.is_empty() {
                return Err(no_region(true));
            }
            sites.extend(regions.into_iter().map(|region| site(name, region)));
        } else {
            let narrowed = |site: &Site| {
                connection.region.is_empty() || connection.region.contains(&site.region)
            };
            sites.extend(known.into_iter().filter(narrowed));
        }
    }
    if sites.is_empty() {
        return Err(CommandError::usage(
            format!(
                "no account is looked at in {}",
                connection.region.join(", ")
            ),
            "name another `--region`, or add it to `regions` of an account",
        ));
    }
    Ok(sites.into_iter().collect())
}

/// The further sites that must be listed to resolve names. `--region` and `--account` limit the plan, and not the
/// instances that a name may refer to.
pub(in crate::cli) async fn other_sites(
    connection: &ConnectionArgs,
    config: &Config,
    sites: &[Site],
) -> Vec<Site> {
    if connection.region.is_empty() && connection.account.is_empty() {
        return Vec::new();
    }
    let mut all = config.sites();
    for name in config.accounts().keys() {
        if configured_sites(config, name).is_empty() {
            let regions = default_regions(connection, config, name).await;
            all.extend(regions.into_iter().map(|region| site(name, region)));
        }
    }
    let sites = sites.iter().cloned().collect();
    config.additional_sites(&sites, &all).into_iter().collect()
}

fn site(account: &str, region: String) -> Site {
    Site {
        account: Some(account.to_owned()),
        region,
    }
}

/// The sites of an account in the configuration.
fn configured_sites(config: &Config, account: &str) -> Vec<Site> {
    let mut sites = config.sites();
    sites.retain(|site| site.account.as_deref() == Some(account));
    sites.into_iter().collect()
}

/// The sites of an account without regions in the configuration, from the environment.
async fn default_regions(
    connection: &ConnectionArgs,
    config: &Config,
    account: &str,
) -> Vec<String> {
    let own = config.accounts().get(account);
    let profile = own.and_then(|account| account.profile.as_deref());
    let profile = profile.or(connection.profile.as_deref());
    aws::default_region(profile).await.into_iter().collect()
}

/// The id of each selected account, by its name.
pub(super) fn selected_ids(
    sites: &[Site],
    accounts: &BTreeMap<String, Account>,
) -> BTreeMap<String, String> {
    let mut ids = account_ids(accounts);
    ids.retain(|name, _| sites.iter().any(|site| site.account.as_ref() == Some(name)));
    ids
}
