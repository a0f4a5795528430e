//! The checks of an account: its credentials, their owner, their permissions, and the rate budget.
//!
//! Owns the order of the checks: a check that would fail for the reason of an earlier one is skipped. Does not write.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use time::{Duration, OffsetDateTime};

use super::{Check, CheckStatus};
use crate::cli::connection::Connection;
use crate::cli::exit::Exit;
use crate::cli::session;
use crate::config::Account;
use crate::lightsail::aws::{Aws, FoundCredentials};
use crate::lightsail::{Error, Rate, Reader as _};
use crate::model::{Instance, Live, Site};
use crate::render::count;

/// The clock skew that signatures tolerate.
const MAX_SKEW: Duration = Duration::minutes(5);

/// The clock skew that indicates a clock without synchronisation.
const WARN_SKEW: Duration = Duration::seconds(60);

/// Temporary credentials that end sooner may not outlast a run.
const EXPIRY_WARNING: Duration = Duration::minutes(15);

/// Checks every account. Without sites, only credentials are checked.
pub(super) async fn run_checks(
    connection: &Connection,
    sites: &[Site],
    accounts: &BTreeMap<String, Account>,
    rate: Rate,
) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut names: BTreeSet<Option<&str>> =
        sites.iter().map(|site| site.account.as_deref()).collect();
    if names.is_empty() {
        names.extend(accounts.keys().map(|name| Some(name.as_str())));
    }
    if names.is_empty() {
        names.insert(None);
    }
    let (mut good, mut clocks) = (Vec::new(), Vec::new());
    for name in names {
        let Some(aws) = connection.accounts().and_then(|all| all.connection(name)) else {
            continue;
        };
        let account = name.and_then(|name| accounts.get(name));
        let own = check_account(aws, name, account).await;
        let usable = own.iter().all(|check| check.status != CheckStatus::Fail);
        checks.extend(own.into_iter().map(|check| check.with_account(name)));
        let own_sites: Vec<Site> = sites
            .iter()
            .filter(|site| site.account.as_deref() == name)
            .cloned()
            .collect();
        if let Some(first) = own_sites.first().filter(|_| usable) {
            let region = first.region.clone();
            clocks
                .push(async move { check_clock(aws.clock_skew(&region).await).with_account(name) });
            good.extend(own_sites);
        }
    }
    if good.is_empty() {
        return checks;
    }
    // Both at once: a server that does not answer is waited for once.
    let live = session::discover(connection.reader(), &good);
    let (clocks, live) = tokio::join!(join_all(clocks), live);
    checks.extend(clocks);
    checks.extend(check_regions(&good, &live));
    checks.extend(check_permissions(connection, &good, &live).await);
    checks.push(check_rate_budget(&live, rate));
    checks
}

/// Checks the credentials of an account, and that they belong to it.
async fn check_account(aws: &Aws, name: Option<&str>, account: Option<&Account>) -> Vec<Check> {
    let target = name.unwrap_or("this account");
    let mut checks = match aws.credentials(target).await {
        Ok(found) => vec![check_credentials(&found)],
        Err(error) => return vec![failed_check("credentials", &error, Exit::Failed)],
    };
    let Some(account) = account else {
        return checks;
    };
    checks.push(match aws.caller(target).await {
        Ok(caller) if caller.account == account.id => {
            Check::ok("account", format!("{}, as {}", caller.account, caller.arn))
        }
        Ok(caller) => Check::fail(
            "account",
            format!(
                "the credentials are of {}, and the configuration says {}",
                caller.account, account.id
            ),
            Some(format!(
                "give `[accounts.{target}]` the `role` or the `profile` that leads to {}, or correct its `id`",
                account.id
            )),
            Exit::Failed,
        ),
        Err(error) => failed_check("account", &error, Exit::Failed),
    });
    checks
}

fn failed_check(check: &'static str, error: &Error, exit: Exit) -> Check {
    // The name of the check says already what was tried.
    let code = error.code().map(|code| format!("{code}: "));
    let text = format!("{}{}", code.unwrap_or_default(), error.message());
    Check::fail(check, text, error.hint(), exit)
}

fn check_credentials(found: &FoundCredentials) -> Check {
    const CHECK: &str = "credentials";
    let FoundCredentials {
        source,
        access_key_id,
        expires,
    } = found;
    let text = format!("from {source}, key {access_key_id}");
    let Some(expires) = expires else {
        return Check::ok(CHECK, text);
    };
    let left = *expires - OffsetDateTime::now_utc();
    let minutes = left.whole_minutes();
    let text = format!(
        "{text}, good for {}",
        count(usize::try_from(minutes).unwrap_or(0), "minute")
    );
    if left < EXPIRY_WARNING {
        return Check::warn(
            CHECK,
            text,
            "get new ones before a long run; those of a role are renewed by themselves",
        );
    }
    Check::ok(CHECK, text)
}

fn check_clock(ahead: Option<Duration>) -> Check {
    const CHECK: &str = "clock";
    let fix =
        "set this machine's clock, and keep it with NTP: signatures are refused at five minutes";
    let Some(ahead) = ahead else {
        let text = "not compared: no response said what time it is";
        return Check::warn(CHECK, text, "see what else failed");
    };
    let seconds = ahead.whole_seconds().unsigned_abs();
    // Replies tell whole seconds, and take some time.
    if seconds <= 2 {
        return Check::ok(CHECK, "agrees with the service's");
    }
    let off = if ahead.is_positive() {
        format!("{seconds} s behind the service's")
    } else {
        format!("{seconds} s ahead of the service's")
    };
    if ahead.abs() >= MAX_SKEW {
        return Check::fail(CHECK, off, Some(fix.to_owned()), Exit::Failed);
    }
    if ahead.abs() >= WARN_SKEW {
        return Check::warn(CHECK, off, fix);
    }
    Check::ok(CHECK, off)
}

/// Checks that each region responds, and counts its instances.
fn check_regions(sites: &[Site], live: &Live) -> Vec<Check> {
    let check = |site: &Site| {
        let check = if let Some(cause) = live.sites_unreadable.get(site) {
            let text = format!("{}: {}", site.region, cause.reason);
            Check::fail("regions", text, cause.hint.clone(), Exit::Incomplete)
        } else {
            let there = count(instances_of(live, site).count(), "instance");
            Check::ok("regions", format!("{}: {there}", site.region))
        };
        check.with_account(site.account.as_deref())
    };
    sites.iter().map(check).collect()
}

fn instances_of<'a>(live: &'a Live, site: &'a Site) -> impl Iterator<Item = &'a Instance> {
    live.instances
        .values()
        .filter(move |instance| instance.id.site() == *site)
}

/// Checks the permissions to read, on one instance of each account. If there is no list, `regions` gives the reason.
async fn check_permissions(connection: &Connection, sites: &[Site], live: &Live) -> Vec<Check> {
    const CHECK: &str = "permissions";
    let mut checks = Vec::new();
    let names: BTreeSet<Option<&str>> = sites.iter().map(|site| site.account.as_deref()).collect();
    for name in names {
        let own_sites = |site: &&Site| site.account.as_deref() == name;
        let listed = |site: &&Site| !live.sites_unreadable.contains_key(*site);
        if !sites.iter().filter(own_sites).any(|site| listed(&site)) {
            continue;
        }
        let mut instances = live.instances.values();
        let check = match instances.find(|instance| instance.id.account.as_deref() == name) {
            None => Check::ok(
                CHECK,
                "GetInstances is allowed; there is no instance to try more on; writes are not tried",
            ),
            Some(instance) => match connection.reader().port_states(&instance.id).await {
                Ok(_) => Check::ok(
                    CHECK,
                    "GetInstances and GetInstancePortStates are allowed; writes are not tried",
                ),
                Err(error) => failed_check(CHECK, &error, Exit::Incomplete),
            },
        };
        checks.push(check.with_account(name));
    }
    checks
}

/// The least time that the rates allow, for the busiest site: each has rates of its own.
fn check_rate_budget(live: &Live, rate: Rate) -> Check {
    const CHECK: &str = "rate budget";
    let total = count(live.instances.len(), "instance");
    if rate == Rate::UNLIMITED {
        return Check::ok(CHECK, format!("not paced, for {total}"));
    }
    let mut by_site: BTreeMap<Site, u64> = BTreeMap::new();
    for id in live.instances.keys() {
        *by_site.entry(id.site()).or_default() += 1;
    }
    let most = by_site.values().copied().max().unwrap_or(0);
    let plan = rate.minimum_time("GetInstancePortStates", most);
    // A change takes one write, and a read before it and one after it.
    let reads = rate.minimum_time("GetInstancePortStates", most.saturating_mul(3));
    let change = rate.minimum_time("PutInstancePublicPorts", most).max(reads);
    let part = rate.share_text().unwrap_or_else(|| "all".to_owned());
    let times = if change.is_zero() {
        format!("a plan of {total} never has to wait")
    } else {
        let change = change.as_secs_f64();
        let plan = if plan.is_zero() {
            "never has to wait".to_owned()
        } else {
            format!("takes at least {:.1} s", plan.as_secs_f64())
        };
        format!("a plan of {total} {plan}, a change on all takes at least {change:.1} s")
    };
    Check::ok(CHECK, format!("{part} of the documented rates: {times}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_skew_is_limited_by_signature_tolerance() {
        for (seconds, status, text) in [
            (0, CheckStatus::Ok, "agrees with the service's"),
            (-2, CheckStatus::Ok, "agrees with the service's"),
            (59, CheckStatus::Ok, "59 s behind the service's"),
            (-60, CheckStatus::Warn, "60 s ahead of the service's"),
            (299, CheckStatus::Warn, "299 s behind the service's"),
            (300, CheckStatus::Fail, "300 s behind the service's"),
            (-86_400, CheckStatus::Fail, "86400 s ahead of the service's"),
        ] {
            let check = check_clock(Some(Duration::seconds(seconds)));
            assert_eq!((check.status, check.text.as_str()), (status, text));
            assert_eq!(check.fix.is_some(), status != CheckStatus::Ok);
        }
        assert_eq!(check_clock(None).status, CheckStatus::Warn);
    }

    #[test]
    fn credentials_near_expiry_are_reported() {
        let found = |minutes: Option<i64>| FoundCredentials {
            source: "a role",
            access_key_id: "ASIATEST".to_owned(),
            expires: minutes.map(|minutes| OffsetDateTime::now_utc() + Duration::minutes(minutes)),
        };
        for (minutes, status) in [
            (None, CheckStatus::Ok),
            (Some(60), CheckStatus::Ok),
            (Some(10), CheckStatus::Warn),
            (Some(-10), CheckStatus::Warn),
        ] {
            assert_eq!(
                check_credentials(&found(minutes)).status,
                status,
                "{minutes:?}"
            );
        }
    }

    #[test]
    fn rate_budget_uses_the_busiest_site() {
        let mut live = Live::default();
        for (region, instances) in [("eu-central-1", 120), ("us-east-1", 19)] {
            for n in 0..instances {
                let instance = Instance {
                    id: crate::model::InstanceId {
                        account: None,
                        region: region.to_owned(),
                        name: format!("web-{n}"),
                    },
                    arn: String::new(),
                    tags: BTreeMap::new(),
                    state: crate::model::InstanceState::Running,
                    address_type: crate::model::AddressType::Dualstack,
                };
                live.instances.insert(instance.id.clone(), instance);
            }
        }
        // Beyond the burst: 100 reads at 10 a second, and 340 for three of each; 100 writes at 5 a second are less.
        let text = check_rate_budget(&live, Rate::FULL).text;
        assert!(
            text.starts_with("all of the documented rates: a plan of 139 instances"),
            "{text}"
        );
        assert!(
            text.ends_with("takes at least 10.0 s, a change on all takes at least 34.0 s"),
            "{text}"
        );
        // At the busiest site, 19 reads are within the burst, and three for each are not.
        while live.instances.len() > 30 {
            live.instances.pop_first();
        }
        let text = check_rate_budget(&live, Rate::FULL).text;
        assert!(
            text.contains("instances never has to wait, a change on all takes at least"),
            "{text}"
        );
        assert_eq!(
            check_rate_budget(&live, Rate::UNLIMITED).text,
            "not paced, for 30 instances"
        );
    }
}
