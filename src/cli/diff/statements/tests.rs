//! What is said of unknown instances against every instance of a small world, each resolved by itself.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use time::OffsetDateTime;

use super::*;
use crate::config::{Config, Source, parse};
use crate::model::{AddressType, Instance, InstanceId, InstanceState};

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

fn tables(of: &'static [&'static str]) -> impl Strategy<Value = BTreeMap<&'static str, String>> {
    proptest::collection::btree_map(select(of), body(), 0..4)
}

type Tables = (
    BTreeMap<&'static str, String>,
    BTreeMap<&'static str, String>,
);

/// Two configurations that have many of their tables in common.
fn two() -> impl Strategy<Value = (String, String)> {
    let all = || (tables(&SELECTORS), tables(&TABLES));
    let changes = (any::<[bool; 12]>(), any::<[bool; 3]>());
    (all(), all(), changes).prop_map(|(old, other, (groups, instances))| {
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
        (text(&old), text(&new))
    })
}

fn text((groups, instances): &Tables) -> String {
    let mut text = "version = 1\n[defaults]\nregions = [\"eu-central-1\", \"us-east-1\"]\n\
         [rulesets]\nbase = [{ allow = \"tcp/23\", from = \"192.0.2.0/26\" }]\n\
         more = [{ allow = \"udp/53\", from = \"anywhere-v4\" }]\n"
        .to_owned();
    for (at, (selector, body)) in groups.iter().enumerate() {
        let table = format!("[groups.g{at:02}]\nmatch = {{ {selector} }}\n{body}");
        text.push_str(&table);
    }
    for (key, body) in instances {
        text.extend(["[instances.\"", key, "\"]\n", body]);
    }
    text
}

fn config(text: &str) -> Config {
    match parse(vec![Source::new("x.toml", text)]) {
        Ok(config) => config,
        Err(wrong) => panic!("{wrong}\n{text}"),
    }
}

fn connection() -> Vec<Instance> {
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
    Ok(wanted.map(|wanted| Side::of_rules(&wanted.rules, Family::V4).reach.certain))
}

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_000_000_000).expect("a time")
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
    fn add(&mut self, parts: &Parts, instance: &Instance, [before, after]: [&Stated; 2]) {
        let takes = |spelling: &String| {
            let scope = scope(spelling, before, after);
            scope.is_some_and(|scope| scope.takes(instance))
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
    fn what_is_said_of_unknown_instances_is_exact_for_each((old, new) in two()) {
        let configs = [config(&old), config(&new)];
        let both = [0, 1].map(|at| Statements::of(&configs[at], now()));
        let [before, after] = &both;
        let places: BTreeSet<_> = configs.iter().flat_map(Config::places).collect();
        let sites: BTreeSet<Site> = configs.iter().flat_map(Config::sites).collect();
        let selectors: BTreeMap<&str, &Scope> =
            before.selectors().into_iter().chain(after.selectors()).collect();
        let general: Vec<(&Scope, Parts, [Stated; 2])> = selectors
            .iter()
            .filter(|(spelling, _)| !before.says_the_same(after, spelling))
            .map(|(_, scope)| {
                let stated = [before.stated(scope), after.stated(scope)];
                let parts = Parts::of_selector(scope, [before, after], [&stated[0], &stated[1]], &sites);
                (*scope, parts, stated)
            })
            .collect();
        let own: Vec<(Scope, Parts, [Stated; 2])> = places
            .into_iter()
            .map(|place| {
                let scope = Scope::one(place);
                let stated = [before.stated(&scope), after.stated(&scope)];
                let parts = Parts::of_instance(&stated[0], &stated[1]);
                (scope, parts, stated)
            })
            .collect();
        for instance in connection() {
            let resolved = [0, 1].map(|at| resolved(&configs[at], &instance));
            let [Ok(was), Ok(is)] = resolved else { continue };
            let tables: Vec<_> = own.iter().filter(|(scope, ..)| scope.takes(&instance)).collect();
            for (_, parts, [before, after]) in &tables {
                let mut told = Told::default();
                told.add(parts, &instance, [before, after]);
                told.check(was.as_ref(), is.as_ref())?;
            }
            if tables.is_empty() {
                let mut told = Told::default();
                for (_, parts, [before, after]) in general.iter().filter(|(scope, ..)| scope.takes(&instance)) {
                    told.add(parts, &instance, [before, after]);
                }
                told.check(was.as_ref(), is.as_ref())?;
            }
        }
    }
}
