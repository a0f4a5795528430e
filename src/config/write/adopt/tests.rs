//! Tests of adopt: the configuration declares the live rules, or the rest is reported; all other text stays.

mod edits;

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use time::OffsetDateTime;

use super::super::super::tests::instance;
use super::super::super::{Config, Source, parse};
use super::{AdoptedConfig, InstanceDifference};
use crate::model::arbitrary::{Universe, firewall};
use crate::model::{
    AddressType, Desired, Firewall, InstanceId, Key, Live, LiveFirewall, Protocol, Sources,
};
use crate::plan::{Plan, PlanOptions, Verdict, plan};

const CONFIG: &str = r#"# The fleet of an example.
version = 1
defaults = { region = "eu-central-1" }

[addresses]
# two floors
office = ["10.0.0.0/24", "2001:db8::/32"]
admins = ["office", "10.0.0.7"]

[services]
app = ["tcp/8080-8089", "udp/7946"]

[rulesets]
base = [ { allow = "ssh", from = ["admins", "lightsail-connect"], why = "operators" } ]

[groups.web] # every one
match = { name = "web-*" }
rules = [ { allow = ["http", "https"], from = "anywhere" } ]

[instances.web-1]
use = ["base"] # and nothing else

[instances.db-1] # the good one
rules = [
    # who may ask
    { allow = ["postgres", "app"], from = ["office", "192.0.2.44"], why = "data, {and} # more" }, # all of them
    { allow = ["ping", "ssh"], from = ["admins", "anywhere"], owner = "ops" },

    # short-lived
    { allow = "mysql", from = "192.0.2.44", until = 2031-12-31, why = "migration" }
]

[instances.old-1]
rules = [{ allow = "ssh", from = "office" }, { allow = ["icmp", "telnet"], from = "10.0.0.0/8" }]

[instances]
app-1 = { rules = [] }

[instances.log-1]
mode = "additive"
rules = [{ allow = "syslog", from = "office" },]
absent = [{ allow = "telnet" }]
"#;

const NAMES: [&str; 6] = ["web-1", "web-2", "db-1", "old-1", "app-1", "log-1"];

fn id(name: &str) -> InstanceId {
    InstanceId {
        account: None,
        region: "eu-central-1".to_owned(),
        name: name.to_owned(),
    }
}

fn fleet(kind: &AddressType) -> Live {
    let instances = NAMES.iter().map(|name| {
        let instance = instance(&id(name).to_string(), kind.clone());
        (id(name), instance)
    });
    Live {
        instances: instances.collect(),
        ..Live::default()
    }
}

fn config(text: &str) -> Config {
    match parse(vec![Source::new("firewall.toml", text)]) {
        Ok(config) => config,
        Err(problems) => panic!("{}\n{text}", problems.render(false)),
    }
}

fn desired(config: &Config, live: &Live) -> Desired {
    match config.resolve(&live.instances, &config.sites(), OffsetDateTime::UNIX_EPOCH) {
        Ok(desired) => desired,
        Err(problems) => panic!("{}", problems.render(false)),
    }
}

fn planned(text: &str, live: &Live) -> Plan {
    plan(&desired(&config(text), live), live, PlanOptions::default())
}

fn adopted(text: &str, live: &Live) -> (String, AdoptedConfig) {
    let config = config(text);
    let desired = desired(&config, live);
    let plan = plan(&desired, live, PlanOptions::default());
    let keys: Vec<BTreeSet<_>> = plan
        .instances
        .iter()
        .map(|one| one.changes.iter().map(|change| change.key).collect())
        .collect();
    let mut differences = Vec::new();
    for (one, keys) in plan.instances.iter().zip(&keys) {
        let Ok(live) = &live.firewalls[&one.instance.id] else {
            continue;
        };
        if one.verdict != Verdict::InSync {
            differences.push(InstanceDifference {
                instance: &one.instance,
                live,
                desired: &desired.instances[&one.instance.id],
                keys,
            });
        }
    }
    let adopted = config.adopt(&differences, OffsetDateTime::UNIX_EPOCH);
    (adopted.sources[0].text().to_owned(), adopted)
}

/// A live firewall: a part of the declared rules, and other rules.
fn near(declared: Firewall) -> impl Strategy<Value = Firewall> {
    let fate = 0_u8..6;
    (
        vec(fate, declared.len()),
        firewall(Universe::Small),
        any::<bool>(),
    )
        .prop_map(move |(fates, other, more)| {
            let mut live = Firewall::new();
            for ((key, sources), fate) in declared.iter().zip(fates) {
                let mut sources = sources.clone();
                match fate {
                    0 => sources = Sources::new(),
                    1 => sources.clear_ipv4(),
                    2 => sources.clear_ipv6(),
                    3 => sources.insert("10.0.0.7/32".parse().expect("a network")),
                    _ => {}
                }
                live.set(*key, sources);
            }
            if more {
                other
                    .iter()
                    .for_each(|(key, sources)| live.add(*key, sources));
            }
            live
        })
}

fn live() -> impl Strategy<Value = Live> {
    let kind = prop_oneof![Just("dualstack"), Just("ipv4")];
    kind.prop_flat_map(|kind| {
        let kind = AddressType::from(kind);
        let live = fleet(&kind);
        let wanted = desired(&config(CONFIG), &live);
        let firewalls: Vec<_> = NAMES
            .iter()
            .map(|name| {
                let rules = &wanted.instances[&id(name)].rules;
                let rules = rules.iter().map(|rule| (rule.key, rule.sources.clone()));
                near(rules.collect()).boxed()
            })
            .collect();
        firewalls.prop_map(move |firewalls| {
            let mut live = live.clone();
            for (name, firewall) in NAMES.iter().zip(&firewalls) {
                live.firewalls
                    .insert(id(name), Ok(LiveFirewall::from(firewall)));
            }
            live
        })
    })
}

proptest! {
    #[test]
    fn adopted_instances_are_in_sync_or_refused(live in live()) {
        let (text, adopted) = adopted(CONFIG, &live);
        let plan = planned(&text, &live);
        for one in &plan.instances {
            let is_refused = adopted.refused.iter().any(|(id, _)| *id == one.instance.id);
            // Access that `absent` names and another rule gives is not declared.
            let is_done = matches!(one.verdict, Verdict::InSync | Verdict::StillOpen);
            prop_assert!(is_refused || is_done, "{}\n{:?}\n{}", one.instance.id, &one.changes, &text);
        }
        // In their own tables, everything can be declared that the language can express.
        for (id, why) in &adopted.refused {
            let is_own = ["db-1", "old-1", "app-1"].contains(&id.name.as_str());
            prop_assert!(!is_own || why.contains("cannot be declared"), "{}: {}", id, why);
        }
        for comment in ["# The fleet", "# two floors", "# and nothing else", "# who may ask", "# short-lived", "# the good one"] {
            prop_assert!(text.contains(comment), "{} is gone:\n{}", comment, &text);
        }
        if adopted.changed.is_empty() {
            prop_assert_eq!(text, CONFIG);
        }
    }
}

/// The layout of one rule, and its fate on the instance.
#[derive(Clone, Debug)]
struct Written {
    before: usize,
    behind: usize,
    after: usize,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Kept,
    Closed,
    WithoutIpv6,
}

#[test]
fn adopt_does_not_make_expired_rules_permanent() {
    let text = CONFIG.replace("2031-12-31", "1969-12-31");
    let mut live = fleet(&AddressType::Dualstack);
    let wanted = desired(&config(&text), &live);
    for name in NAMES {
        let wanted = &wanted.instances[&id(name)];
        let rules = wanted.rules.iter().chain(&wanted.expired);
        let firewall: Firewall = rules.map(|rule| (rule.key, rule.sources.clone())).collect();
        live.firewalls
            .insert(id(name), Ok(LiveFirewall::from(&firewall)));
    }
    let (edited, adopted) = adopted(&text, &live);
    assert_eq!(edited, text);
    let refused: Vec<&str> = adopted
        .refused
        .iter()
        .map(|(_, why)| why.as_str())
        .collect();
    assert_eq!(
        refused,
        ["tcp/3306 from 192.0.2.44/32 is over, says firewall.toml:30: renew it there"]
    );
}

#[test]
fn adopt_uses_names_of_the_configuration() {
    let mut live = fleet(&AddressType::Dualstack);
    live.instances.retain(|id, _| id.name == "app-1");
    let key = |text: &str| match super::super::super::port_expr::parse(text) {
        Some(Ok(key)) => key,
        _ => unreachable!("a key"),
    };
    let sources = |texts: &[&str]| -> Sources {
        texts
            .iter()
            .filter_map(|text| Sources::parse_live(text))
            .collect()
    };
    let office = sources(&["10.0.0.0/24", "2001:db8::/32"]);
    let mut connected = sources(&["10.0.0.0/24", "10.0.0.7/32", "2001:db8::/32"]);
    connected.insert_alias("lightsail-connect");
    let other = sources(&["10.0.0.0/24", "192.0.2.1"]);
    let firewall = Firewall::from_iter([
        (key("tcp/8080-8089"), office.clone()),
        (key("udp/7946"), office),
        (key("tcp/22"), connected),
        (key("tcp/9999"), other),
    ]);
    live.firewalls
        .insert(id("app-1"), Ok(LiveFirewall::from(&firewall)));
    let text = CONFIG.replace("app-1 = { rules = [] }", "");
    let text = text.replace("[instances]\n", "[instances.app-1]\nrules = []\n");
    let (edited, adopted) = adopted(&text, &live);
    assert_eq!(adopted.refused, []);
    let own = edited
        .split("[instances.app-1]\n")
        .nth(1)
        .unwrap_or_default();
    let own = own.split("\n[").next().unwrap_or_default();
    insta::assert_snapshot!(own, @r#"
    rules = [
      { allow = "ssh", from = ["admins", "lightsail-connect"] },
      { allow = "app", from = "office" },
      { allow = "tcp/9999", from = ["10.0.0.0/24", "192.0.2.1"] },
    ]
    "#);
    assert!(
        planned(&edited, &live)
            .instances
            .iter()
            .all(|one| one.verdict == Verdict::InSync)
    );
}
