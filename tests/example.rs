//! The example configuration is the manual of the language, so it must use all of it, and it must fit the example fleet.
//!
//! Does not know the planner: what is asked here can be told from the declared rules and the live ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use portward::config::{self, Config};
use portward::inventory::Inventory;
use portward::model::{
    Desired, DesiredInstance, Firewall, Instance, InstanceId, InstanceState, Key, LiveFirewall,
    Mode, Protocol, Sources,
};
use time::OffsetDateTime;
use toml::de::{DeTable, DeValue};

fn example() -> Config {
    config::load(Path::new("firewall.example.toml"))
        .unwrap_or_else(|errors| panic!("{}", errors.render(false)))
}

/// What exists: each instance with its live rules.
fn fleet() -> BTreeMap<InstanceId, (Instance, LiveFirewall)> {
    let text = std::fs::read_to_string("examples/fleet.json").expect("the example fleet is there");
    let inventory = Inventory::parse(&text).expect("an inventory");
    let read = |(id, entry): (InstanceId, &portward::inventory::Entry)| {
        let live = LiveFirewall::read(
            entry
                .port_states
                .as_ref()
                .expect("every instance can be read"),
        );
        (id.clone(), (entry.instance(&id.site()), live))
    };
    inventory.entries().map(read).collect()
}

fn resolve(as_of: i64) -> Desired {
    let instances = fleet()
        .into_iter()
        .map(|(id, (instance, _))| (id, instance))
        .collect();
    let as_of = OffsetDateTime::from_unix_timestamp(as_of).expect("a time");
    let config = example();
    config
        .resolve(&instances, &config.sites(), as_of)
        .unwrap_or_else(|errors| panic!("{}", errors.render(false)))
}

/// 2026-01-01, and any other day of these decades.
const SOME_DAY: i64 = 1_767_225_600;

/// The firewall after a plan, as the modes define it.
fn after(wanted: &DesiredInstance, live: &Firewall) -> Firewall {
    let declared: Firewall = wanted
        .rules
        .iter()
        .map(|rule| (rule.key, rule.sources.clone()))
        .collect();
    if wanted.mode == Mode::Authoritative {
        return declared;
    }
    let mut after = live.clone();
    for absent in &wanted.absent {
        let Some(sources) = after.get(absent.key) else {
            continue;
        };
        // The example closes whole keys only, so that no call needs to take sources away.
        assert!(
            absent
                .sources
                .as_ref()
                .is_none_or(|gone| gone.names_all_of(sources)),
            "{}",
            absent.key
        );
        after.remove(absent.key);
    }
    declared
        .iter()
        .for_each(|(key, sources)| after.add(*key, sources));
    after
}

#[test]
fn example_has_no_problems() {
    let config = example();
    assert!(config.warnings().is_empty(), "{:?}", config.warnings());
    assert_eq!(
        config.regions().iter().collect::<Vec<_>>(),
        ["eu-central-1", "us-east-1"]
    );
    let desired = resolve(SOME_DAY);
    assert_eq!(desired.missing, []);
    assert_eq!(desired.notes, []);
    assert_eq!(
        desired
            .undeclared
            .iter()
            .map(|u| u.id.to_string())
            .collect::<Vec<_>>(),
        ["eu-central-1/old-1"]
    );
    assert!(
        desired
            .instances
            .values()
            .all(|wanted| wanted.expired.is_empty())
    );
}

#[test]
fn example_with_accounts_has_no_problems() {
    let config = config::load(std::path::Path::new("examples/accounts.toml"));
    let config = config.unwrap_or_else(|errors| panic!("{errors}"));
    assert!(config.warnings().is_empty(), "{:?}", config.warnings());
    let sites: Vec<String> = config.sites().iter().map(ToString::to_string).collect();
    let expected = [
        "prod/eu-central-1",
        "prod/us-east-1",
        "staging/eu-central-1",
    ];
    assert_eq!(sites, expected);
}

#[test]
fn example_does_not_expire() {
    assert_eq!(resolve(SOME_DAY), resolve(SOME_DAY + 10 * 366 * 86_400));
}

#[test]
fn example_uses_every_key() {
    let mut used: BTreeSet<(&str, String)> = BTreeSet::new();
    for file in [
        "firewall.example.toml",
        "examples/fleet/mail.toml",
        "examples/accounts.toml",
    ] {
        let text = std::fs::read_to_string(file).expect("the example is there");
        let root = DeTable::parse(&text).expect("TOML");
        top(root.get_ref(), &mut used);
    }
    let language: BTreeSet<(&str, String)> = config::KEYS
        .iter()
        .flat_map(|(table, keys)| keys.iter().map(|key| (*table, (*key).to_owned())))
        .collect();
    assert_eq!(used, language);
}

fn top(root: &DeTable<'_>, used: &mut BTreeSet<(&'static str, String)>) {
    note("top", root, used);
    for (name, value) in root {
        match (name.get_ref().as_ref(), value.get_ref()) {
            ("defaults", DeValue::Table(table)) => note("defaults", table, used),
            ("guard", DeValue::Table(table)) => {
                note("guard", table, used);
                table
                    .get("keep")
                    .into_iter()
                    .for_each(|rules| all("keep", rules.get_ref(), used));
            }
            ("grants", DeValue::Table(grants)) => {
                note("grants", grants, used);
                for kind in ["match", "max-sources"] {
                    let table = grants
                        .get(kind)
                        .and_then(|value| value.get_ref().as_table());
                    if let Some(table) = table {
                        note(kind, table, used);
                    }
                }
            }
            ("policy", DeValue::Array(policies)) => {
                for table in policies
                    .iter()
                    .filter_map(|value| value.get_ref().as_table())
                {
                    note("policy", table, used);
                    for kind in ["match", "at-most", "require"] {
                        table
                            .get(kind)
                            .and_then(|value| value.get_ref().as_table())
                            .into_iter()
                            .for_each(|table| note(kind, table, used));
                    }
                }
            }
            ("rulesets", DeValue::Table(sets)) => sets
                .values()
                .for_each(|rules| all("rule", rules.get_ref(), used)),
            ("accounts", DeValue::Table(accounts)) => accounts
                .values()
                .filter_map(|value| value.get_ref().as_table())
                .for_each(|account| note("account", account, used)),
            (kind @ ("groups" | "instances"), DeValue::Table(tables)) => {
                for table in tables
                    .values()
                    .filter_map(|value| value.get_ref().as_table())
                {
                    note(
                        if kind == "groups" {
                            "group"
                        } else {
                            "instance"
                        },
                        table,
                        used,
                    );
                    table
                        .get("match")
                        .and_then(|m| m.get_ref().as_table())
                        .into_iter()
                        .for_each(|m| note("match", m, used));
                    table
                        .get("rules")
                        .into_iter()
                        .for_each(|rules| all("rule", rules.get_ref(), used));
                    table
                        .get("absent")
                        .into_iter()
                        .for_each(|rules| all("absent", rules.get_ref(), used));
                }
            }
            _ => {}
        }
    }
}

fn all(kind: &'static str, rules: &DeValue<'_>, used: &mut BTreeSet<(&'static str, String)>) {
    let rules = rules.as_array().expect("a list of rules");
    rules
        .iter()
        .filter_map(|rule| rule.get_ref().as_table())
        .for_each(|rule| note(kind, rule, used));
}

fn note(kind: &'static str, table: &DeTable<'_>, used: &mut BTreeSet<(&'static str, String)>) {
    used.extend(
        table
            .keys()
            .map(|key| (kind, key.get_ref().clone().into_owned())),
    );
}

#[test]
fn example_fleet_has_one_of_each_kind() {
    let fleet = fleet();
    let kinds: BTreeSet<&str> = fleet
        .values()
        .map(|(instance, _)| instance.address_type.as_ref())
        .collect();
    assert_eq!(kinds, BTreeSet::from(["dualstack", "ipv4", "ipv6"]));
    assert!(
        fleet
            .values()
            .any(|(instance, _)| instance.state == InstanceState::Pending)
    );
    assert!(fleet.values().any(|(instance, _)| {
        instance.id.region == "eu-central-1"
            && instance.state == InstanceState::Running
            && instance.address_type.as_ref() == "dualstack"
    }));
    for (instance, live) in fleet.values() {
        assert_eq!(instance.account(), Some("123456789012"));
        assert!(
            live.uncertain().is_empty() && live.unknown().is_empty(),
            "{}",
            instance.id
        );
        assert!(
            live.firewall().keys().all(|key| !live.is_put_only(key)),
            "{}",
            instance.id
        );
    }
    let modes: BTreeSet<Mode> = resolve(SOME_DAY)
        .instances
        .values()
        .map(|wanted| wanted.mode)
        .collect();
    assert_eq!(
        modes,
        BTreeSet::from([Mode::Authoritative, Mode::Additive, Mode::Observe])
    );
}

#[test]
fn example_plan_changes_few_instances() {
    let ssh = Key::new(Protocol::Tcp, 22, 22).expect("a key");
    let (desired, fleet) = (resolve(SOME_DAY), fleet());
    let mut changes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (id, wanted) in &desired.instances {
        let live = fleet[id].1.firewall();
        let after = after(wanted, live);
        assert!(!after.is_empty(), "{id}");
        let kept = |sources: &Sources| after.get(ssh).is_some_and(|now| now.names_all_of(sources));
        assert!(live.get(ssh).is_none_or(kept), "{id} loses ssh");
        let keys: BTreeSet<Key> = live.keys().chain(after.keys()).collect();
        let differing: Vec<String> = keys
            .iter()
            .filter_map(|key| change(*key, live.get(*key), after.get(*key)))
            .collect();
        if !differing.is_empty() {
            assert_ne!(wanted.mode, Mode::Observe, "{id}");
            assert!(fleet[id].0.state.is_settled(), "{id}");
            changes.insert(id.to_string(), differing);
        }
    }
    let shown: Vec<String> = changes
        .iter()
        .map(|(id, changed)| format!("{id}: {}", changed.join(", ")))
        .collect();
    assert_eq!(
        shown,
        [
            "eu-central-1/db-1: narrow tcp/5432",
            "eu-central-1/edge-1: widen tcp/22",
            "eu-central-1/legacy-1: close tcp/23, open tcp/443, close tcp/8443",
            "eu-central-1/web-2: open tcp/443, close tcp/8080",
            "us-east-1/web-4: close tcp/3306",
        ]
    );
}

fn change(key: Key, before: Option<&Sources>, after: Option<&Sources>) -> Option<String> {
    let what = match (before, after) {
        (None, Some(_)) => "open",
        (Some(_), None) => "close",
        (Some(before), Some(after)) if before == after => return None,
        (Some(before), Some(after)) if after.names_all_of(before) => "widen",
        (Some(before), Some(after)) if before.names_all_of(after) => "narrow",
        (Some(_), Some(_)) => "replace",
        (None, None) => return None,
    };
    Some(format!("{what} {key}"))
}
