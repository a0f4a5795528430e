//! After adopting, the configuration says what is live, or it was said why not; everything else stays.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use time::OffsetDateTime;

use super::super::super::{Config, Source, parse};
use super::{Adopted, Differing};
use crate::model::arbitrary::{Universe, firewall};
use crate::model::{
    AddressType, Desired, Firewall, Instance, InstanceId, InstanceState, Live, LiveFirewall,
    Sources,
};
use crate::plan::{Options, Plan, Verdict, plan};

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
    let instance = |name: &&str| Instance {
        id: id(name),
        arn: "arn:aws:lightsail:eu-central-1:123456789012:Instance/1".to_owned(),
        tags: [].into(),
        state: InstanceState::Running,
        address_type: kind.clone(),
    };
    Live {
        instances: NAMES
            .iter()
            .map(|name| (id(name), instance(name)))
            .collect(),
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
    plan(&desired(&config(text), live), live, Options::default())
}

fn adopted(text: &str, live: &Live) -> (String, Adopted) {
    let config = config(text);
    let desired = desired(&config, live);
    let plan = plan(&desired, live, Options::default());
    let keys: Vec<BTreeSet<_>> = plan
        .instances
        .iter()
        .map(|one| one.changes.iter().map(|change| change.key).collect())
        .collect();
    let mut differing = Vec::new();
    for (one, keys) in plan.instances.iter().zip(&keys) {
        let Ok(live) = &live.firewalls[&one.instance.id] else {
            continue;
        };
        if one.verdict != Verdict::InSync {
            differing.push(Differing {
                instance: &one.instance,
                live,
                desired: &desired.instances[&one.instance.id],
                keys,
            });
        }
    }
    let adopted = config.adopt(&differing, OffsetDateTime::UNIX_EPOCH);
    (adopted.sources[0].text().to_owned(), adopted)
}

/// What is declared, less some of it, and something else.
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
        let kind = AddressType::from_name(kind);
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
    fn what_was_adopted_is_in_sync_or_was_refused(live in live()) {
        let (text, adopted) = adopted(CONFIG, &live);
        let plan = planned(&text, &live);
        for one in &plan.instances {
            let told = adopted.refused.iter().any(|(id, _)| *id == one.instance.id);
            // What `absent` names and another rule gives is no matter of the file.
            let done = matches!(one.verdict, Verdict::InSync | Verdict::StillOpen);
            prop_assert!(told || done, "{}\n{:?}\n{}", one.instance.id, &one.changes, &text);
        }
        // Own tables can say all that the language can.
        for (id, why) in &adopted.refused {
            let own = ["db-1", "old-1", "app-1"].contains(&id.name.as_str());
            prop_assert!(!own || why.contains("cannot be declared"), "{}: {}", id, why);
        }
        for comment in ["# The fleet", "# two floors", "# and nothing else", "# who may ask", "# short-lived", "# the good one"] {
            prop_assert!(text.contains(comment), "{} is gone:\n{}", comment, &text);
        }
        if adopted.changed.is_empty() {
            prop_assert_eq!(text, CONFIG);
        }
    }
}

#[test]
fn lines_are_edited_where_they_stand() {
    let mut live = fleet(&AddressType::Dualstack);
    let wanted = desired(&config(CONFIG), &live);
    for name in NAMES {
        let rules = &wanted.instances[&id(name)].rules;
        let mut firewall: Firewall = rules
            .iter()
            .map(|rule| (rule.key, rule.sources.clone()))
            .collect();
        for (key, _) in &firewall.clone() {
            match (name, key.to_string().as_str()) {
                ("db-1", "tcp/3306" | "udp/7946") | ("old-1", "tcp/23") | ("web-2", "tcp/80") => {
                    firewall.remove(*key);
                }
                ("db-1", "tcp/5432") => {
                    let mut sources = firewall.get(*key).cloned().unwrap_or_default();
                    sources.clear_ipv6();
                    firewall.set(*key, sources);
                }
                ("web-1", "tcp/443") => {
                    let key = "tcp/8443";
                    let Some(Ok(key)) = super::super::super::port_expr::parse(key) else {
                        unreachable!("a key")
                    };
                    firewall.add(key, &Sources::anywhere());
                }
                _ => {}
            }
        }
        live.firewalls
            .insert(id(name), Ok(LiveFirewall::from(&firewall)));
    }
    let (text, adopted) = adopted(CONFIG, &live);
    let diff = similar::TextDiff::from_lines(CONFIG, &text);
    insta::assert_snapshot!(diff.unified_diff().context_radius(1).to_string(), @r#"
    @@ -20,2 +20,5 @@
     [instances.web-1]
    +rules = [
    +  { allow = "plesk", from = "anywhere" },
    +]
     use = ["base"] # and nothing else
    @@ -25,3 +28,4 @@
         # who may ask
    -    { allow = ["postgres", "app"], from = ["office", "192.0.2.44"], why = "data, {and} # more" }, # all of them
    +    { allow = "tcp/8080-8089", from = ["office", "192.0.2.44"], why = "data, {and} # more" },
    +    { allow = "postgres", from = ["10.0.0.0/24", "192.0.2.44"], why = "data, {and} # more" }, # all of them
         { allow = ["ping", "ssh"], from = ["admins", "anywhere"], owner = "ops" },
    @@ -29,3 +33,2 @@
         # short-lived
    -    { allow = "mysql", from = "192.0.2.44", until = 2031-12-31, why = "migration" }
     ]
    @@ -33,3 +36,3 @@
     [instances.old-1]
    -rules = [{ allow = "ssh", from = "office" }, { allow = ["icmp", "telnet"], from = "10.0.0.0/8" }]
    +rules = [{ allow = "ssh", from = "office" }, { allow = "icmp", from = "10.0.0.0/8" }]
     
    "#);
    let refused: Vec<String> = adopted
        .refused
        .iter()
        .map(|(id, why)| format!("{id}: {why}"))
        .collect();
    insta::assert_snapshot!(refused.join("\n"), @"eu-central-1/web-2: tcp/80 from 0.0.0.0/0, ::/0 is not live, but is declared at firewall.toml:18, which is not the instance's own line");
}

#[test]
fn what_is_over_is_not_made_permanent() {
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
fn quoted_tables_are_found() {
    let text = "version = 1\n[defaults]\nregion = \"eu-central-1\"\n[instances.'eu-central-1/web-1'] # mine\nmode = \"authoritative\"\n";
    let mut live = fleet(&AddressType::Dualstack);
    live.instances.retain(|id, _| id.name == "web-1");
    let Some(Ok(key)) = super::super::super::port_expr::parse("tcp/22") else {
        unreachable!("a key")
    };
    let firewall = Firewall::from_iter([(key, Sources::anywhere())]);
    live.firewalls
        .insert(id("web-1"), Ok(LiveFirewall::from(&firewall)));
    let (edited, adopted) = adopted(text, &live);
    assert_eq!(adopted.refused, []);
    let rules = "# mine\nrules = [\n  { allow = \"ssh\", from = \"anywhere\" },\n]\n";
    assert_eq!(edited, text.replace("# mine\n", rules));
}

#[test]
fn names_of_the_configuration_are_used() {
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
