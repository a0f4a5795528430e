//! What is said of unknown instances against every instance of a small world, each resolved by itself.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use time::OffsetDateTime;

use super::*;
use crate::config::{Config, Source, parse};
use crate::model::{
    AddressType, Firewall, Instance, InstanceId, InstanceState, Key, LiveFirewall, Protocol,
    Sources,
};
use crate::plan::{PlanOptions, plan_instance};

const SELECTORS: [&str; 12] = [
    r#"name = "web-*""#,
    r#"name = "web-1*""#,
    r#"name = "*""#,
    r#"name = ["web-*", "db-1"]"#,
    r#"name = "web-?""#,
    r#"name = "web-*", region = "eu-*""#,
    r#"region = "us-east-1""#,
    r#"name = "web-*", region = ["eu-*", "us-*"]"#,
    r#"tags = { env = "a" }"#,
    r#"tags = { env = "*" }"#,
    r#"name = "*-1", tags = { role = "x" }"#,
    r#"name = "web-*", tags = { env = ["a", "b"] }"#,
];

const TABLES: [&str; 3] = ["web-1", "us-east-1/web-1", "eu-central-1/db-1"];

const RULES: [&str; 6] = [
    r#"{ allow = "tcp/22", from = "192.0.2.0/24" }"#,
    r#"{ allow = "tcp/22", from = "192.0.2.0/25" }"#,
    r#"{ allow = "tcp/20-30", from = "192.0.2.128/25" }"#,
    r#"{ allow = "tcp/80", from = "anywhere-v4" }"#,
    r#"{ allow = "tcp/80", from = "192.0.2.0/24", until = 1970-01-01 }"#,
    r#"{ allow = "all", from = "192.0.2.1" }"#,
];

const ABSENT: [&str; 3] = [
    r#"{ allow = "tcp/22" }"#,
    r#"{ allow = "tcp/25-26", from = "192.0.2.0/24" }"#,
    r#"{ allow = "udp/53", from = "192.0.2.0/28" }"#,
];

/// What a table says besides its instances.
fn body() -> impl Strategy<Value = String> {
    let rules = subsequence(RULES.to_vec(), 0..3);
    (rules, any::<bool>(), any::<bool>()).prop_map(|(rules, uses, twice)| {
        let uses = match (uses, twice) {
            (false, _) => "",
            (true, false) => "use = [\"base\"]\n",
            (true, true) => "use = [\"base\", \"more\"]\n",
        };
        format!("{uses}rules = [{}]\n", rules.join(", "))
    })
}

fn tables(
    of: &'static [&'static str],
    keeps: bool,
) -> impl Strategy<Value = BTreeMap<&'static str, String>> {
    let body = if keeps {
        keeping().boxed()
    } else {
        body().boxed()
    };
    proptest::collection::btree_map(select(of), body, 0..4)
}

/// The same, with what counts where live rules stay.
fn keeping() -> impl Strategy<Value = String> {
    let modes = select(vec![
        "",
        "",
        "",
        "mode = \"additive\"\n",
        "mode = \"authoritative\"\n",
    ]);
    let absent = subsequence(ABSENT.to_vec(), 0..2);
    (body(), modes, absent)
        .prop_map(|(body, mode, absent)| format!("{body}{mode}absent = [{}]\n", absent.join(", ")))
}

type Tables = (
    BTreeMap<&'static str, String>,
    BTreeMap<&'static str, String>,
);

/// Two configurations that have many of their tables in common.
fn two(keeps: bool) -> impl Strategy<Value = (String, String)> {
    let all = move || (tables(&SELECTORS, keeps), tables(&TABLES, keeps));
    let default = select(if keeps {
        vec!["mode = \"additive\"\n", ""]
    } else {
        vec![""]
    });
    let changes = (any::<[bool; 12]>(), any::<[bool; 3]>());
    (all(), all(), changes, default).prop_map(|(old, other, (groups, instances), mode)| {
        let mixed = |of: fn(&Tables) -> &BTreeMap<&'static str, String>,
                     all: &[&'static str],
                     take: &[bool]| {
            let chosen = all.iter().zip(take).filter_map(|(key, other_one)| {
                let from = if *other_one { of(&other) } else { of(&old) };
                Some((*key, from.get(key)?.clone()))
            });
            chosen.collect::<BTreeMap<_, _>>()
        };
        let new = (
            mixed(|all| &all.0, &SELECTORS, &groups),
            mixed(|all| &all.1, &TABLES, &instances),
        );
        (text(&old, mode), text(&new, mode))
    })
}

fn text((groups, instances): &Tables, mode: &str) -> String {
    let mut text =
        "version = 1\n[defaults]\nregions = [\"eu-central-1\", \"us-east-1\"]\n".to_owned();
    text.push_str(mode);
    text.push_str(
        "[rulesets]\nbase = [{ allow = \"tcp/23\", from = \"192.0.2.0/26\" }]\n\
         more = [{ allow = \"udp/53\", from = \"anywhere-v4\" }]\n",
    );
    // Only in additive mode is anything absent.
    let allowed = |body: &str| {
        let own = body.contains("mode");
        let is_additive = if own { body } else { mode }.contains("additive");
        let lines = body.split_inclusive('\n');
        let lines = lines.filter(|line| is_additive || !line.starts_with("absent"));
        lines.collect::<String>()
    };
    for (at, (selector, body)) in groups.iter().enumerate() {
        let body = allowed(body);
        let table = format!("[groups.g{at:02}]\nmatch = {{ {selector} }}\n{body}");
        text.push_str(&table);
    }
    for (key, body) in instances {
        text.extend(["[instances.\"", key, "\"]\n", &allowed(body)]);
    }
    text
}

fn config(text: &str) -> Config {
    match parse(vec![Source::new("x.toml", text)]) {
        Ok(config) => config,
        Err(wrong) => panic!("{wrong}\n{text}"),
    }
}

/// What two configurations say of everything, each part with the scope that it is about: tables first, then selectors.
struct Said {
    own: Vec<(TableScope, Parts, [InstanceRules; 2])>,
    groups: Vec<(TableScope, Parts, [InstanceRules; 2])>,
}

impl Said {
    fn by(configs: &[Config; 2]) -> Self {
        let both = [0, 1].map(|at| Statements::new(&configs[at], now()));
        let [before, after] = &both;
        let places: BTreeSet<_> = configs.iter().flat_map(Config::partial_ids).collect();
        let sites: BTreeSet<Site> = configs.iter().flat_map(Config::sites).collect();
        let selectors: BTreeMap<&str, &TableScope> = before
            .selectors()
            .into_iter()
            .chain(after.selectors())
            .collect();
        let general = selectors
            .iter()
            .filter(|(spelling, _)| !before.has_equal_group(after, spelling))
            .map(|(_, scope)| {
                let rules = [before.rules_for(scope), after.rules_for(scope)];
                let two = [&rules[0], &rules[1]];
                let parts = Parts::of_selector(scope, [before, after], two, &sites);
                ((*scope).clone(), parts, rules)
            });
        let own = places.into_iter().map(|place| {
            let scope = TableScope::from(place);
            let rules = [before.rules_for(&scope), after.rules_for(&scope)];
            let parts = Parts::of_instance(&rules[0], &rules[1]);
            (scope, parts, rules)
        });
        Self {
            own: own.collect(),
            groups: general.collect(),
        }
    }

    /// What is told of an instance: by its own table, once for each that may be it, or by all the selectors that take it.
    fn of(&self, instance: &Instance) -> Vec<Told> {
        let message = |all: &mut dyn Iterator<Item = &(TableScope, Parts, [InstanceRules; 2])>| {
            let mut message = Told::default();
            for (_, parts, [before, after]) in all {
                message.add(parts, instance, [before, after]);
            }
            message
        };
        let tables = self
            .own
            .iter()
            .filter(|(scope, ..)| scope.matches(instance));
        let by_table: Vec<Told> = tables
            .map(|one| message(&mut std::iter::once(one)))
            .collect();
        if !by_table.is_empty() {
            return by_table;
        }
        let mut general = self
            .groups
            .iter()
            .filter(|(scope, ..)| scope.matches(instance));
        vec![message(&mut general)]
    }
}

fn instances() -> Vec<Instance> {
    let tags: [&[(&str, &str)]; 6] = [
        &[],
        &[("env", "a")],
        &[("env", "b")],
        &[("env", "c"), ("role", "x")],
        &[("role", "x")],
        &[("env", "a"), ("role", "x")],
    ];
    let mut all = Vec::new();
    for name in ["web-1", "web-2", "web-12", "db-1", "api"] {
        for region in ["eu-central-1", "us-east-1"] {
            for tags in tags {
                let tags = tags
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
                all.push(Instance {
                    id: InstanceId {
                        account: None,
                        region: region.to_owned(),
                        name: name.to_owned(),
                    },
                    arn: String::new(),
                    tags: tags.collect(),
                    state: InstanceState::Running,
                    address_type: AddressType::Dualstack,
                });
            }
        }
    }
    all
}

/// What an instance gets, as `plan` would resolve it, if it is declared at all; `Err` where two tables claim it.
fn resolved(config: &Config, instance: &Instance) -> Result<Option<Effective>, ()> {
    let one = BTreeMap::from([(instance.id.clone(), instance.clone())]);
    let desired = config.resolve(&one, &BTreeSet::new(), now());
    let desired = desired.map_err(|_| ())?;
    let wanted = desired.instances.get(&instance.id);
    Ok(wanted.map(|wanted| {
        DocumentFirewall::of_rules(&wanted.rules, Family::V4)
            .reach
            .certain
    }))
}

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_000_000_000).expect("a time")
}

/// Firewalls that may be live.
fn firewalls() -> Vec<LiveFirewall> {
    let rule = |from, to, network: &str| {
        let key = Key::new(Protocol::Tcp, from, to).expect("a key");
        let mut sources = Sources::new();
        sources.insert(network.parse().expect("a network"));
        (key, sources)
    };
    let all: [&[(i32, i32, &str)]; 5] = [
        &[],
        &[(22, 22, "192.0.2.0/25")],
        &[(0, 65535, "0.0.0.0/0")],
        &[
            (22, 22, "0.0.0.0/0"),
            (25, 26, "192.0.2.0/24"),
            (80, 80, "192.0.2.0/24"),
        ],
        &[
            (20, 23, "192.0.2.0/24"),
            (23, 23, "192.0.2.0/26"),
            (443, 443, "0.0.0.0/0"),
        ],
    ];
    let firewall = |rules: &&[(i32, i32, &str)]| -> Firewall {
        rules
            .iter()
            .map(|(from, to, network)| rule(*from, *to, network))
            .collect()
    };
    all.iter()
        .map(|rules| LiveFirewall::from(&firewall(rules)))
        .collect()
}

/// What results where these rules are live, as a plan would have it.
fn resulting(config: &Config, instance: &Instance, live: &LiveFirewall) -> Result<Effective, ()> {
    let one = BTreeMap::from([(instance.id.clone(), instance.clone())]);
    let desired = config.resolve(&one, &BTreeSet::new(), now());
    let desired = desired.map_err(|_| ())?;
    let rules = match desired.instances.get(&instance.id) {
        None => live.firewall().clone(),
        Some(wanted) => plan_instance(instance, wanted, live, PlanOptions::default()).after,
    };
    Ok(Effective::of(&rules, Family::default()))
}

/// What is said of an instance.
#[derive(Debug, Default)]
struct Told {
    gained: Effective,
    lost: Effective,
    /// Whether it is said that something is not known, or not declared.
    is_open: bool,
}

impl Told {
    /// Adds the parts whose condition is true of the instance.
    fn add(&mut self, parts: &Parts, instance: &Instance, [before, after]: [&InstanceRules; 2]) {
        let takes = |spelling: &String| {
            let scope = group_scope(spelling, before, after);
            scope.is_some_and(|scope| scope.matches(instance))
        };
        for (Condition { belongs, unless }, part) in &parts.0 {
            if belongs.as_ref().is_none_or(takes) && !unless.iter().any(takes) {
                self.gained = self.gained.union(&part.gained);
                self.lost = self.lost.union(&part.lost);
                self.is_open |= !part.undecided.is_empty() || part.undeclared.is_some();
            }
        }
    }

    /// Compares it with what both sides resolve to. Where the new side may declare nothing, nothing closes for certain.
    fn check(&self, was: Option<&Effective>, is: Option<&Effective>) -> Result<(), TestCaseError> {
        let nothing = Effective::default();
        let (before, after) = (was.unwrap_or(&nothing), is.unwrap_or(&nothing));
        prop_assert_eq!(&self.gained, &after.difference(before));
        let lost = before.difference(after);
        prop_assert!(lost.is_superset(&self.lost));
        prop_assert!(self.lost == lost || self.is_open);
        prop_assert!(was.is_some() == is.is_some() || self.is_open);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn statement_about_unknown_instances_holds_for_each((old, new) in two(false)) {
        let configs = [config(&old), config(&new)];
        let said = Said::by(&configs);
        for instance in instances() {
            let resolved = [0, 1].map(|at| resolved(&configs[at], &instance));
            let [Ok(was), Ok(is)] = resolved else { continue };
            for message in said.of(&instance) {
                message.check(was.as_ref(), is.as_ref())?;
            }
        }
    }

    #[test]
    fn certain_statement_holds_for_any_live_rules((old, new) in two(true), first in 0..5usize) {
        let parsed = [&old, &new].map(|text| parse(vec![Source::new("x.toml", text.as_str())]));
        let [Ok(old), Ok(new)] = parsed else { return Err(TestCaseError::reject("no configuration")) };
        let configs = [old, new];
        let said = Said::by(&configs);
        let firewalls = firewalls();
        for (at, instance) in instances().into_iter().enumerate() {
            let live = &firewalls[(first + at) % firewalls.len()];
            let resulting = [0, 1].map(|at| resulting(&configs[at], &instance, live));
            let [Ok(was), Ok(is)] = resulting else { continue };
            for message in said.of(&instance) {
                let (gained, lost) = (is.difference(&was), was.difference(&is));
                let shown = || format!("{instance:?}\n{live:?}\n{message:?}\n{gained:?}\n{lost:?}");
                prop_assert!(lost.is_superset(&message.lost), "it is said to close: {}", shown());
                if !message.is_open {
                    prop_assert_eq!(&message.gained, &gained, "{}", shown());
                    prop_assert_eq!(&message.lost, &lost, "{}", shown());
                }
            }
        }
    }
}
