//! The stages of a plan, each timed alone: the configuration, the inventory, who is meant, the plan with its exposure, and
//! the judgement of lint, guards and policies.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use portward::config;
use portward::inventory::Inventory;
use portward::model::{Live, LiveFirewall, Unreadable};
use portward::plan::{self, lint};
use portward::policy::{self, State};
use time::OffsetDateTime;

pub(crate) fn run(config: &Path, inventory: &Path) -> anyhow::Result<String> {
    let mut stages = Vec::new();
    let mut since = Instant::now();
    let mut stage = |name: &str| {
        stages.push(format!("\"{name}\": {}", since.elapsed().as_secs_f64()));
        since = Instant::now();
    };

    let config = config::load(config).map_err(|_| anyhow!("the configuration has errors"))?;
    stage("config");

    let text = std::fs::read_to_string(inventory).context("no inventory")?;
    let inventory = Inventory::parse(&text)?;
    stage("inventory");

    let mut live = Live::default();
    for (id, entry) in inventory.entries() {
        let rules = entry.port_states.as_deref().map(LiveFirewall::read);
        let rules = rules.ok_or_else(|| Unreadable {
            reason: "it has no rules".to_owned(),
            hint: None,
        });
        live.instances
            .insert(id.clone(), entry.instance(&id.region));
        live.firewalls.insert(id, rules);
    }
    stage("live");

    let listed: BTreeSet<String> = inventory.regions.keys().cloned().collect();
    let now = OffsetDateTime::now_utc();
    let desired = config
        .resolve(&live.instances, &listed, now)
        .map_err(|_| anyhow!("the configuration does not fit the inventory"))?;
    stage("resolve");

    let plan = plan::plan(&desired, &live, plan::Options::default());
    stage("plan");

    let defects = lint::lint(&plan).len();
    let declared = desired.instances.len();
    let refusals = policy::judge(&plan, &desired.guard, declared, &[], "").refusals;
    let findings = policy::policies(&plan, &desired, State::Result);
    stage("judge");

    anyhow::ensure!(defects == 0, "the plan is wrong");
    // Used here, so that none of it is optimised away.
    stages.push(format!("\"instances\": {}", plan.instances.len()));
    stages.push(format!(
        "\"refused\": {}",
        !refusals.is_empty() || findings.refuse()
    ));
    Ok(format!("{{{}}}", stages.join(", ")))
}
