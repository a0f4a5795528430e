//! Where to look when the configuration names accounts.
//!
//! Owns `--account`, and what `--region` means then. Refuses to reach an account.

use std::collections::{BTreeMap, BTreeSet};

use super::no_region;
use crate::cli::args::WorldArgs;
use crate::cli::output::Cannot;
use crate::config::{Account, Config};
use crate::lightsail::aws;
use crate::model::Site;

/// The sites of the accounts that are asked for. `--region` narrows each account to these of its regions.
pub(super) async fn sites(world: &WorldArgs, config: &Config) -> Result<Vec<Site>, Cannot> {
    let accounts = config.accounts();
    for name in &world.account {
        if !accounts.contains_key(name) {
            let known: Vec<String> = accounts.keys().map(|name| format!("`{name}`")).collect();
            return Err(Cannot::usage(
                format!("`--account {name}` names no account of the configuration"),
                format!("the accounts are {}", known.join(", ")),
            ));
        }
    }
    let wanted = accounts
        .iter()
        .filter(|(name, _)| world.account.is_empty() || world.account.contains(name));
    let declared = config.sites();
    let mut sites = BTreeSet::new();
    for (name, account) in wanted {
        let site = |region: &String| Site {
            account: Some(name.clone()),
            region: region.clone(),
        };
        let known = declared.iter();
        let known: Vec<&String> = known
            .filter(|site| site.account.as_ref() == Some(name))
            .map(|site| &site.region)
            .collect();
        if known.is_empty() {
            let profile = account.profile.as_deref().or(world.profile.as_deref());
            let region = match &world.region[..] {
                [] => aws::default_region(profile).await.into_iter().collect(),
                regions => regions.to_vec(),
            };
            if region.is_empty() {
                return Err(no_region());
            }
            sites.extend(region.iter().map(site));
        } else {
            let narrowed =
                |region: &&&String| world.region.is_empty() || world.region.contains(region);
            sites.extend(known.iter().filter(narrowed).map(|region| site(region)));
        }
    }
    if sites.is_empty() {
        return Err(Cannot::usage(
            format!("no account is looked at in {}", world.region.join(", ")),
            "name another `--region`, or add it to `regions` of an account",
        ));
    }
    Ok(sites.into_iter().collect())
}

/// The id of each account that is looked at, by its name.
pub(super) fn of(sites: &[Site], accounts: &BTreeMap<String, Account>) -> BTreeMap<String, String> {
    let mut ids = ids_of(accounts);
    ids.retain(|name, _| sites.iter().any(|site| site.account.as_ref() == Some(name)));
    ids
}

/// The id of each account, by its name.
pub(in crate::cli) fn ids_of(accounts: &BTreeMap<String, Account>) -> BTreeMap<String, String> {
    let ids = accounts.iter();
    ids.map(|(name, account)| (name.clone(), account.id.clone()))
        .collect()
}
