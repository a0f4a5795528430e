//! The stages of a plan, each timed alone: the configuration, the inventory, who is meant, the plan with its exposure, and
//! the judgement of lint, guards and policies.
//!
//! Seconds are those that the kernel gave to this thread where it tells them, because other programs share the machine;
//! elsewhere they are those of the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use portward::config;
use portward::inventory::Inventory;
use portward::model::{Live, LiveFirewall, Site, Unreadable};
use portward::plan::{self, lint};
use portward::policy::{self, CheckedRules};
use time::OffsetDateTime;

pub(crate) fn run(config: &Path, inventory: &Path) -> anyhow::Result<String> {
    let mut stages = Vec::new();
    let clock = Clock::start();
    let mut since = clock.seconds();
    let mut stage = |name: &str| {
        let now = clock.seconds();
        stages.push(format!("\"{name}\": {}", now - since));
        since = clock.seconds();
    };

    let config = config::load(config).map_err(|_| anyhow!("the configuration has errors"))?;
    stage("config");

    let text = std::fs::read_to_string(inventory).context("no inventory")?;
    let inventory = Inventory::parse(&text)?;
    stage("inventory");

    let mut live = Live::default();
    for (id, entry) in inventory.entries() {
        let rules = entry.port_states.as_deref().map(LiveFirewall::read);
        let rules = rules.ok_or_else(|| Unreadable::new("it has no rules"));
        live.instances
            .insert(id.clone(), entry.instance(&id.site()));
        live.firewalls.insert(id, rules);
    }
    stage("live");

    let listed: BTreeSet<Site> = inventory.regions.keys().map(Site::of_region).collect();
    let now = OffsetDateTime::now_utc();
    let desired = config
        .resolve(&live.instances, &listed, now)
        .map_err(|_| anyhow!("the configuration does not fit the inventory"))?;
    stage("resolve");

    let plan = plan::plan(&desired, &live, plan::PlanOptions::default());
    stage("plan");

    let defects = lint::lint(&plan).len();
    let declared = desired.instances.len();
    let refusals =
        policy::judge(&plan, &desired.guard, declared, &BTreeMap::new(), &[], "").refusals;
    let findings = policy::check_policies(&plan, &desired, CheckedRules::Result);
    stage("judge");

    anyhow::ensure!(defects == 0, "the plan is wrong");
    // Used here, so that none of it is optimised away.
    stages.push(format!("\"instances\": {}", plan.instances.len()));
    stages.push(format!(
        "\"refused\": {}",
        !refusals.is_empty() || findings.has_refusal()
    ));
    Ok(format!("{{{}}}", stages.join(", ")))
}

struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn seconds(&self) -> f64 {
        // The kernel adds up at its ticks, which are 4 ms apart, and whenever a thread gives way.
        std::thread::yield_now();
        // Nanoseconds on a processor come first.
        std::fs::read_to_string("/proc/thread-self/schedstat")
            .ok()
            .and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok())
            .map_or_else(|| self.0.elapsed().as_secs_f64(), |nanos| nanos / 1e9)
    }
}
