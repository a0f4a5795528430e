//! The configuration loader, and everything that is decided from what it loads.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use portward::config::{Source, parse};
use portward::inventory::Inventory;
use portward::model::{Desired, Instance, InstanceId, Live, LiveFirewall};
use portward::plan;
use portward::render::{json, text};
use time::OffsetDateTime;

use super::check_shown;

/// Separates the files of one input: no text holds it unescaped.
const NEXT_FILE: u8 = 0x0c;

/// Any texts are either a configuration or problems that can be shown; a configuration never asks for a rule without
/// sources, and a plan made from it can be shown.
pub fn check(data: &[u8]) {
    let sources = data
        .split(|byte| *byte == NEXT_FILE)
        .take(3)
        .enumerate()
        .map(|(at, text)| Source::from_bytes(&format!("{at}.toml"), text.to_vec()))
        .collect();
    let live = live();
    let resolved = parse(sources).and_then(|config| {
        let desired = config.resolve(&live.instances, &config.sites(), OffsetDateTime::UNIX_EPOCH);
        let _ = config.summary();
        desired
    });
    match resolved {
        Ok(desired) => check_desired(&desired, live),
        Err(problems) => {
            assert!(!problems.problems.is_empty(), "refused for no reason");
            assert!(
                problems
                    .problems
                    .iter()
                    .all(|problem| problem.origin.line > 0)
            );
            check_shown(&problems.render(false));
        }
    }
}

fn check_desired(desired: &Desired, live: &Live) {
    for wanted in desired.instances.values() {
        assert!(
            wanted.rules.iter().all(|rule| !rule.sources.is_empty()),
            "a rule without sources might open a port to everybody"
        );
    }
    let plan = plan::plan(desired, live, plan::PlanOptions::default());
    for call in plan.instances.iter().flat_map(|instance| &instance.calls) {
        if let plan::Call::Open { sources, .. } = call {
            assert!(!sources.is_empty());
        }
    }
    let shown = text::plan(&plan, text::PlanView::Plan, 80);
    check_shown(&without_colour(&shown));
    let document = json::document(&json::RunReport {
        verb: "plan",
        config: "",
        exit_code: 0,
        error: None,
        problems: Vec::new(),
        refusals: &[],
        violations: &[],
        plan: Some(&plan),
        cost: None,
        report: None,
        metadata: None,
    });
    assert!(serde_json::from_str::<serde_json::Value>(&document).is_ok());
}

/// The program's own colours are taken out where nobody wants them; what is left must be harmless.
fn without_colour(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    out + rest
}

/// The example fleet.
fn live() -> &'static Live {
    static LIVE: OnceLock<Live> = OnceLock::new();
    LIVE.get_or_init(|| {
        let inventory = Inventory::parse(include_str!("../../examples/fleet.json"))
            .expect("the example is an inventory");
        let mut instances: BTreeMap<InstanceId, Instance> = BTreeMap::new();
        let mut firewalls = BTreeMap::new();
        for (id, entry) in inventory.entries() {
            instances.insert(id.clone(), entry.instance(&id.site()));
            if let Some(rules) = &entry.port_states {
                firewalls.insert(id, Ok(LiveFirewall::read(rules)));
            }
        }
        Live {
            instances,
            firewalls,
            ..Live::default()
        }
    })
}
