//! Generators of random plans for property tests: plans for random fleets in every mode, with live entries that are oddly
//! spelled, uncertain or unknown. Also builds single instances and desired states.
//!
//! Is not part of the program.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::{Just, any, prop_oneof};
use proptest::sample::{Index, select};
use proptest::strategy::Strategy as _;
use time::OffsetDateTime;

use super::{Plan, PlanOptions, plan};
use crate::model::arbitrary::{Universe, change, key, sources};
use crate::model::{
    Absent, AddressType, Declaration, Desired, DesiredInstance, Firewall, Instance, InstanceId,
    InstanceState, Key, Live, LiveFirewall, Missing, Mode, Note, Origin, PortState, Rule, Site,
    Sources, Strategy, Undeclared, Unreadable,
};

/// The time at which plans of tests are made: 2026-01-01.
pub(crate) const NOW: i64 = 1_767_225_600;

/// Text with characters that JSON has to escape.
pub(crate) fn text() -> impl proptest::strategy::Strategy<Value = String> {
    prop_oneof!["[a-z ]{0,12}", "[\\PC\"\\\\\n\u{1b}\u{202e}é😀]{0,6}"]
}

fn origin(line: usize) -> Origin {
    Origin {
        file: "firewall.toml".into(),
        line,
        column: 3,
    }
}

/// One instance with its desired and its live state.
type Case = (Instance, DesiredInstance, Result<LiveFirewall, Unreadable>);

fn rule(
    line: usize,
    key: Key,
    sources: &Sources,
    why: Option<&String>,
    until: Option<i64>,
) -> Rule {
    Rule {
        key,
        sources: sources.clone(),
        declared: std::sync::Arc::new(Declaration {
            allow: key.to_string().into(),
            from: ["office".into()].into(),
            origin: origin(line),
            why: why.cloned(),
            owner: None,
            until: until
                .and_then(|days| OffsetDateTime::from_unix_timestamp(NOW + days * 86_400).ok()),
        }),
    }
}

fn rules(firewall: &Firewall, why: Option<&String>, until: Option<i64>) -> Vec<Rule> {
    firewall
        .iter()
        .enumerate()
        .map(|(line, (key, sources))| rule(line + 1, *key, sources, why, until))
        .collect()
}

/// The entries of a firewall, some oddly spelled or repeated, with some uncertain and unknown entries.
fn entries(firewall: &Firewall, odd: &[(Index, u8)]) -> Vec<PortState> {
    let mut entries: Vec<PortState> = firewall
        .iter()
        .map(|(key, sources)| PortState::canonical(*key, sources))
        .collect();
    for (at, kind) in odd {
        let entry = |protocol: &str, ports: (i32, i32), cidrs: &[&str]| PortState {
            from_port: ports.0,
            to_port: ports.1,
            protocol: protocol.into(),
            state: None,
            cidrs: cidrs.iter().map(ToString::to_string).collect(),
            ..PortState::default()
        };
        let there = at.index(entries.len().max(1));
        match kind {
            0 if !entries.is_empty() => entries.push(entries[there].clone()),
            1 if !entries.is_empty() => entries[there].protocol.make_ascii_uppercase(),
            2 => entries.push(entry("tcp", (22, 22), &[])),
            3 => entries.push(entry("all", (-1, -1), &["10.0.0.1"])),
            4 => entries.push(entry("sctp", (5, 5), &["10.0.0.1"])),
            _ => {}
        }
    }
    entries
}

/// An instance in `eu-central-1`.
pub(crate) fn instance(name: &str, address_type: &str) -> Instance {
    Instance {
        id: InstanceId {
            account: None,
            region: "eu-central-1".into(),
            name: name.into(),
        },
        arn: format!("arn:aws:lightsail:eu-central-1:123456789012:Instance/{name}"),
        tags: BTreeMap::from([("role".to_owned(), "\"web\"".to_owned())]),
        state: InstanceState::Running,
        address_type: AddressType::from(address_type),
    }
}

/// A desired state with these rules and nothing else.
pub(crate) fn desired_instance(mode: Mode, rules: Vec<Rule>) -> DesiredInstance {
    DesiredInstance {
        mode,
        strategy: Strategy::Auto,
        rules,
        absent: Vec::new(),
        expired: Vec::new(),
        notes: Vec::new(),
    }
}

fn case(universe: Universe) -> impl proptest::strategy::Strategy<Value = Case> {
    let modes = [Mode::Authoritative, Mode::Additive, Mode::Observe];
    let strategies = [Strategy::Auto, Strategy::Put, Strategy::Incremental];
    let odd = prop_oneof![
        3 => Just(Vec::new()),
        1 => vec((any::<Index>(), 0..5_u8), 1..3),
    ];
    let lines = (option::of(text()), option::of(-3..30_i64));
    let absent = vec((key(universe), option::of(sources(universe))), 0..2);
    (
        change(universe),
        odd,
        (select(modes.to_vec()), select(strategies.to_vec())),
        lines,
        absent,
        select(&["dualstack", "ipv4", "ipv6", "quantum"][..]),
        0..12_u8,
    )
        .prop_map(
            |((before, wanted), odd, (mode, strategy), (why, until), absent, kind, luck)| {
                let ended = until.is_some_and(|days| days <= 0);
                let lines = rules(&wanted, why.as_ref(), until);
                let absent = absent.into_iter().map(|(key, sources)| Absent {
                    key,
                    sources,
                    origin: origin(99),
                    why: why.clone(),
                    owner: None,
                });
                let wanted = DesiredInstance {
                    mode,
                    strategy,
                    rules: if ended { Vec::new() } else { lines.clone() },
                    absent: absent.filter(|_| mode == Mode::Additive).collect(),
                    expired: if ended { lines } else { Vec::new() },
                    notes: why.iter().map(|why| note(why)).collect(),
                };
                let unreadable = || Unreadable::new("no answer").with_hint(why.clone());
                let live = match luck {
                    0 => Err(unreadable()),
                    _ => Ok(LiveFirewall::read(&entries(&before, &odd))),
                };
                (instance("", kind), wanted, live)
            },
        )
}

fn note(text: &str) -> Note {
    Note {
        text: text.to_owned(),
        origin: Some(origin(7)),
    }
}

/// A fleet with its desired and its live state.
pub(crate) fn fleet(
    universe: Universe,
) -> impl proptest::strategy::Strategy<Value = (Desired, Live)> {
    let names = "[a-z][a-z0-9.-]{0,6}[a-z0-9]";
    let around = vec(text(), 0..2);
    (btree_map(names, case(universe), 0..5), around).prop_map(|(cases, around)| {
        let (mut desired, mut live) = (Desired::default(), Live::default());
        for (name, (case, wanted, firewall)) in cases {
            let instance = instance(&name, case.address_type.as_ref());
            desired.instances.insert(instance.id.clone(), wanted.into());
            live.firewalls.insert(instance.id.clone(), firewall);
            live.instances.insert(instance.id.clone(), instance);
        }
        for text in around {
            let unreadable = Unreadable::new(&text);
            let id = InstanceId {
                account: None,
                region: "us-west-2".into(),
                name: text.clone(),
            };
            desired.undecided.insert(id, Unreadable::undecided(&text));
            live.sites_unreadable
                .insert(Site::of_region("us-east-1"), unreadable);
            desired.missing.push(Missing {
                name: text.clone(),
                origin: origin(1),
                hint: None,
            });
            desired.undeclared.push(Undeclared {
                id: InstanceId {
                    account: None,
                    region: "eu-west-1".into(),
                    name: text.clone(),
                },
            });
            desired.notes.push(Note { text, origin: None });
        }
        (desired, live)
    })
}

/// The plan for a random fleet.
pub(crate) fn plans(universe: Universe) -> impl proptest::strategy::Strategy<Value = Plan> {
    (fleet(universe), any::<bool>()).prop_map(|((desired, live), strict_spelling)| {
        let options = PlanOptions {
            strict_spelling,
            ..PlanOptions::default()
        };
        plan(&desired, &live, options)
    })
}
