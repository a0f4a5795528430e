//! What each guard refuses and lets pass, how consent is weighed, and what holds of every plan.

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use std::sync::Arc;

use super::*;
use crate::exposure::{Access, Effective};
use crate::model::arbitrary::{Universe, named};
use crate::model::{
    AddressType, Declaration, Desired, DesiredInstance, Firewall, Instance, InstanceState, Key,
    Live, LiveFirewall, Mode, Origin, PortState, Protocol, Rule, Sources, Strategy,
};
use crate::plan::Call;
use crate::plan::arbitrary::plans;
use crate::plan::{Options, plan};

fn tcp(port: i32) -> Key {
    Key::new(Protocol::Tcp, port, port).expect("a port")
}

type Rules<'a> = &'a [(i32, &'a [&'a str])];

fn firewall(rules: Rules<'_>) -> Firewall {
    rules
        .iter()
        .map(|(port, texts)| (tcp(*port), named(texts)))
        .collect()
}

fn rule(key: Key, sources: &Sources) -> Rule {
    Rule {
        key,
        sources: sources.clone(),
        declared: Arc::new(Declaration {
            allow: "".into(),
            from: [].into(),
            origin: Origin {
                file: "firewall.toml".into(),
                line: 5,
                column: 1,
            },
            why: None,
            owner: None,
            until: None,
        }),
    }
}

/// The plan for instances of a name, an address type, live entries and wanted rules.
fn planned(instances: &[(&str, &str, Vec<PortState>, Rules<'_>)]) -> Plan {
    let (mut desired, mut live) = (Desired::default(), Live::default());
    for (path, kind, entries, wanted) in instances {
        let (region, name) = path.split_once('/').unwrap_or(("eu-central-1", path));
        let id = InstanceId {
            account: None,
            region: region.into(),
            name: name.into(),
        };
        let wanted = DesiredInstance {
            mode: Mode::Authoritative,
            strategy: Strategy::Auto,
            rules: firewall(wanted).iter().map(|(k, s)| rule(*k, s)).collect(),
            absent: Vec::new(),
            expired: Vec::new(),
            notes: Vec::new(),
        };
        let instance = Instance {
            id: id.clone(),
            arn: format!("arn:aws:lightsail:{region}:123456789012:Instance/{name}"),
            tags: BTreeMap::new(),
            state: InstanceState::Running,
            address_type: AddressType::from_name(kind),
        };
        desired.instances.insert(id.clone(), wanted.into());
        live.instances.insert(id.clone(), instance);
        live.firewalls.insert(id, Ok(LiveFirewall::read(entries)));
    }
    plan(&desired, &live, Options::default())
}

fn entries(rules: Rules<'_>) -> Vec<PortState> {
    firewall(rules)
        .iter()
        .map(|(key, sources)| PortState::canonical(*key, sources))
        .collect()
}

fn one(kind: &str, before: Rules<'_>, after: Rules<'_>) -> Plan {
    planned(&[("web-1", kind, entries(before), after)])
}

fn allow(texts: &[&str]) -> Vec<Allow> {
    texts
        .iter()
        .map(|text| text.parse().expect("consent"))
        .collect()
}

fn shown(plan: &Plan, guard: &Guard, allowed: &[&str]) -> Vec<String> {
    let judgement = judge(plan, guard, plan.instances.len(), &allow(allowed), "meant");
    judgement
        .refusals
        .iter()
        .map(|refusal| {
            let place = refusal.instance.as_ref().map(ToString::to_string);
            format!(
                "{} {}: {}",
                refusal.guard,
                place.unwrap_or_default(),
                refusal.reason
            )
        })
        .collect()
}

fn guards(plan: &Plan) -> Vec<GuardName> {
    let judgement = judge(plan, &Guard::default(), plan.instances.len(), &[], "");
    judgement.refusals.iter().map(|r| r.guard).collect()
}

#[test]
fn a_way_in_stays_open_to_somebody_who_had_it() {
    let web: &[&str] = &["0.0.0.0/0"];
    let cases: [(&str, Rules<'_>, Rules<'_>, usize); 11] = [
        // Narrowed to some of those who had it.
        (
            "dualstack",
            &[(22, &["0.0.0.0/0"])],
            &[(22, &["20.0.0.1"])],
            0,
        ),
        // Handed to others.
        (
            "dualstack",
            &[(22, &["20.0.0.1"])],
            &[(22, &["20.0.0.2"])],
            1,
        ),
        ("dualstack", &[(22, &["20.0.0.1"])], &[(80, web)], 1),
        // Each way in by itself.
        (
            "dualstack",
            &[(22, &["20.0.0.1"]), (3389, &["20.0.0.1"])],
            &[(22, &["20.0.0.1"])],
            1,
        ),
        (
            "dualstack",
            &[(22, &["20.0.0.1"]), (3389, &["20.0.0.1"])],
            &[(80, web)],
            2,
        ),
        // Nobody had it.
        ("dualstack", &[(80, web)], &[(22, &["20.0.0.2"])], 0),
        // By an alias.
        (
            "dualstack",
            &[(22, &["20.0.0.1", "lightsail-connect"])],
            &[(22, &["lightsail-connect"])],
            0,
        ),
        (
            "dualstack",
            &[(22, &["lightsail-connect"])],
            &[(22, &["20.0.0.1"])],
            1,
        ),
        // What an instance cannot be reached by does not count.
        (
            "ipv4",
            &[(22, &["20.0.0.1", "::/0"])],
            &[(22, &["::/0"])],
            1,
        ),
        ("ipv4", &[(22, &["::/0"])], &[(80, web)], 0),
        (
            "ipv6",
            &[(22, &["20.0.0.1", "::/0"])],
            &[(22, &["::/0"])],
            0,
        ),
    ];
    for (at, (kind, before, after, refused)) in cases.into_iter().enumerate() {
        let found = guards(&one(kind, before, after));
        assert_eq!(found, vec![GuardName::Lockout; refused], "case {at}");
    }
}

#[test]
fn no_spelling_evades_it() {
    let all = PortState::canonical(Key::ALL, &named(&["20.0.0.0/8"]));
    let closes = planned(&[("web-1", "dualstack", vec![all.clone()], &[(80, &["::/0"])])]);
    assert_eq!(guards(&closes), [GuardName::Lockout; 2]);
    let splits = planned(&[(
        "web-1",
        "dualstack",
        vec![all],
        &[(22, &["20.9.0.0/16"]), (3389, &["20.1.1.1"])],
    )]);
    assert_eq!(guards(&splits), []);
}

#[test]
fn what_cannot_be_read_for_certain_was_no_way_in() {
    let doubtful = PortState::canonical(tcp(22), &Sources::new());
    let plan = planned(&[("web-1", "dualstack", vec![doubtful], &[(80, &["::/0"])])]);
    assert_eq!(plan.instances[0].verdict, Verdict::Change);
    assert_eq!(guards(&plan), []);
}

#[test]
fn the_words_say_who_and_how_to_allow_it() {
    let plan = one(
        "dualstack",
        &[(22, &["20.0.0.1"]), (80, &["::/0"])],
        &[(22, &["20.0.0.2"])],
    );
    let judgement = judge(&plan, &Guard::default(), 1, &[], "");
    let [refusal] = &judgement.refusals[..] else {
        panic!("{judgement:?}")
    };
    assert_eq!(
        refusal.reason,
        "nobody who could reach tcp/22 still could: 20.0.0.1/32 got in before, and only 20.0.0.2/32 would after"
    );
    assert_eq!(
        refusal.hint,
        "if that is meant: `--allow lockout=web-1 --reason \"…\"`"
    );
}

#[test]
fn what_was_changed_since_the_run_needs_consent_where_it_would_change_again() {
    let rules: Rules<'_> = &[(80, &["10.0.0.1"]), (81, &["10.0.0.1"])];
    let plan = planned(&[
        ("web-1", "dualstack", entries(rules), &rules[..1]),
        ("web-2", "dualstack", entries(rules), &rules[..1]),
        ("web-3", "dualstack", entries(rules), rules),
    ]);
    let ids = plan.instances.iter().map(|one| one.instance.id.clone());
    let changed: BTreeMap<_, _> = ids
        .filter(|id| id.name != "web-2")
        .map(|id| (id, "tcp/9 is open to 10.0.0.9/32".to_owned()))
        .collect();
    let judge = |texts: &[&str]| {
        let allowed = allow(texts);
        judge_undo(&plan, &Guard::default(), 3, &changed, &allowed, "meant")
    };
    let judgement = judge(&[]);
    let [refusal] = &judgement.refusals[..] else {
        panic!("{judgement:?}")
    };
    assert_eq!(
        (
            refusal.guard,
            refusal.reason.as_str(),
            refusal.hint.as_str()
        ),
        (
            GuardName::ChangedSince,
            "it has been changed since that run: tcp/9 is open to 10.0.0.9/32",
            "if that is meant: `--allow changed-since=web-1 --reason \"…\"`"
        )
    );
    assert_eq!(judge(&["changed-since=web-2"]).refusals.len(), 1);
    let judgement = judge(&["changed-since=web-1"]);
    assert_eq!((judgement.refusals.len(), judgement.used.len()), (0, 1));
}

#[test]
fn kept_rules_keep_those_who_had_them() {
    let admins = rule(tcp(22), &named(&["20.0.0.0/8", "2001:db8::/32"]));
    let guard = Guard {
        keep: vec![admins],
        ..Guard::default()
    };
    let wide: Rules<'_> = &[(22, &["20.0.0.0/8", "192.0.2.1", "2001:db8::/32"])];
    let cases: [(&str, Rules<'_>, Rules<'_>, &[&str]); 5] = [
        (
            "dualstack",
            wide,
            &[(22, &["20.0.0.0/8", "2001:db8::/32"])],
            &[],
        ),
        (
            "dualstack",
            wide,
            &[(22, &["20.0.0.0/9", "2001:db8::/32"])],
            &[
                "lockout eu-central-1/web-1: `keep` of firewall.toml:5 would no longer hold: it closes tcp/22 from 20.128.0.0/9 (8,388,608 addresses)",
            ],
        ),
        // The instance has no IPv6 to lose.
        ("ipv4", wide, &[(22, &["20.0.0.0/8"])], &[]),
        // They never had all of it: what they had is kept.
        (
            "dualstack",
            &[(22, &["20.0.0.0/24"])],
            &[(22, &["20.0.0.0/24", "::/0"])],
            &[],
        ),
        (
            "dualstack",
            &[(22, &["20.0.0.0/24", "192.0.2.1"])],
            &[(22, &["192.0.2.1"])],
            &[
                "lockout eu-central-1/web-1: `keep` of firewall.toml:5 would no longer hold: it closes tcp/22 from 20.0.0.0/24 (256 addresses)",
            ],
        ),
    ];
    for (at, (kind, before, after, expected)) in cases.into_iter().enumerate() {
        let found = shown(&one(kind, before, after), &guard, &[]);
        assert_eq!(found, expected, "case {at}");
    }
}

/// Every kind of source from which nobody arrives at a public address.
const NOBODY: [&str; 8] = [
    "172.31.0.0/16",
    "127.0.0.1",
    "169.254.0.0/16",
    "0.0.0.0/32",
    "::1",
    "::ffff:203.0.113.7",
    "fd00::/8",
    "ff02::1",
];

#[test]
fn who_never_arrives_is_nobody() {
    let world: Rules<'_> = &[(22, &["0.0.0.0/0", "::/0"])];
    for nobody in NOBODY {
        let after: Rules<'_> = &[(22, &[nobody])];
        let text = shown(&one("dualstack", world, after), &Guard::default(), &[]);
        let [refusal] = &text[..] else {
            panic!("{nobody}: {text:?}");
        };
        assert!(
            refusal.contains("from where nobody arrives, would after"),
            "{refusal}"
        );
        // Nor are they anybody who could lose.
        assert_eq!(guards(&one("dualstack", after, &[(80, &["::/0"])])), []);
    }
    assert_eq!(
        guards(&one("dualstack", world, &[(22, &["0.0.0.0/0"])])),
        []
    );
    let all: Rules<'_> = &[(22, &NOBODY)];
    assert_eq!(guards(&one("dualstack", world, all)), [GuardName::Lockout]);
    // Documentation networks are as good as any.
    assert_eq!(
        guards(&one("dualstack", world, &[(22, &["203.0.113.7"])])),
        []
    );
    // What is kept is kept for those who arrive.
    let kept = |texts: &[&str]| Guard {
        keep: vec![rule(tcp(22), &named(texts))],
        ..Guard::default()
    };
    let before: Rules<'_> = &[(22, &["10.0.0.0/8", "203.0.113.7"])];
    let after: Rules<'_> = &[(22, &["203.0.113.7"])];
    let plan = one("dualstack", before, after);
    assert_eq!(shown(&plan, &kept(&["10.0.0.0/8"]), &[]), [""; 0]);
    assert_eq!(shown(&plan, &kept(&["0.0.0.0/0"]), &[]), [""; 0]);
    let plan = one("dualstack", before, &[(22, &["10.0.0.0/8", "192.0.2.1"])]);
    assert_eq!(shown(&plan, &kept(&["203.0.113.0/24"]), &[]).len(), 2);
}

#[test]
fn the_browser_client_gets_in_with_the_world() {
    let alias: Rules<'_> = &[(22, &["lightsail-connect"])];
    let kept = Guard {
        keep: vec![rule(tcp(22), &named(&["lightsail-connect"]))],
        ..Guard::default()
    };
    for (kind, world, found) in [
        ("dualstack", &["0.0.0.0/0"][..], 0),
        ("dualstack", &["0.0.0.0/0", "::/0"], 0),
        ("dualstack", &["0.0.0.0/1", "128.0.0.0/1"], 0),
        ("dualstack", &["::/0"], 2),
        ("dualstack", &["0.0.0.0/1"], 2),
        ("ipv4", &["0.0.0.0/0"], 0),
        ("ipv6", &["::/0"], 0),
        ("ipv6", &["8000::/1"], 2),
    ] {
        let plan = one(kind, alias, &[(22, world)]);
        assert_eq!(shown(&plan, &kept, &[]).len(), found, "{kind} {world:?}");
        // And back: whoever was kept by the world is kept by name.
        let back = one(kind, &[(22, world)], alias);
        let lost = found > 0;
        assert_eq!(
            !shown(&back, &Guard::default(), &[]).is_empty(),
            lost,
            "{kind} {world:?}"
        );
    }
}

#[test]
fn an_instance_with_rules_keeps_one() {
    let empties = one("dualstack", &[(80, &["::/0"]), (81, &["::/0"])], &[]);
    assert_eq!(
        shown(&empties, &Guard::default(), &[]),
        ["empty eu-central-1/web-1: all of its 2 rules would be closed, and no rule would be left"]
    );
    assert_eq!(
        shown(&empties, &Guard::default(), &["empty=web-*"]),
        [""; 0]
    );
    assert_eq!(guards(&one("dualstack", &[], &[(80, &["::/0"])])), []);
    let doubtful = PortState::canonical(tcp(80), &Sources::new());
    let plan = planned(&[("web-1", "dualstack", vec![doubtful], &[])]);
    assert_eq!(guards(&plan), [GuardName::Empty]);
}

/// Instances that each lose one rule and keep another.
fn losing(count: usize) -> Plan {
    let names: Vec<String> = (0..count).map(|n| format!("web-{n:03}")).collect();
    let instances: Vec<_> = names
        .iter()
        .map(|name| {
            let before = entries(&[(80, &["::/0"]), (81, &["::/0"])]);
            let after: Rules<'_> = &[(80, &["::/0"])];
            (name.as_str(), "dualstack", before, after)
        })
        .collect();
    planned(&instances)
}

#[test]
fn a_run_changes_so_much_and_no_more() {
    let limits = |max_instances, max_closed| Guard {
        max_instances,
        max_closed,
        ..Guard::default()
    };
    let no_limit = usize::MAX;
    assert_eq!(shown(&losing(5), &limits(None, 5), &[]), [""; 0]);
    assert_eq!(
        shown(&losing(6), &limits(None, no_limit), &[]),
        ["blast-radius : 6 instances would change, and the limit of one run is 5"]
    );
    assert_eq!(
        shown(&losing(6), &limits(Some(6), 5), &[]),
        [
            "blast-radius : 6 rules would be closed to all or most of their sources, and the limit of one run is 5"
        ]
    );
    // The whole scope counts, not the part of it that this run looks at.
    let judgement = judge(&losing(6), &limits(None, no_limit), 30, &[], "");
    assert_eq!(judgement.refusals, []);
    // Consent to some takes them out of the count.
    let six = losing(6);
    let one_less = shown(&six, &limits(None, no_limit), &["blast-radius=web-000"]);
    assert_eq!(one_less, [""; 0]);
    assert_eq!(
        shown(
            &losing(8),
            &limits(None, no_limit),
            &["blast-radius=web-000"]
        ),
        [
            "blast-radius : 7 instances would change besides 1 that are allowed, and the limit of one run is 5"
        ]
    );
    assert_eq!(
        shown(&losing(8), &limits(Some(0), 0), &["blast-radius"]),
        [""; 0]
    );
}

/// Consent for an instance that closes nothing takes no closed rule out of the count.
#[test]
fn consent_is_needed_only_where_it_counts() {
    let mut plan = losing(3);
    let opening = one("dualstack", &[], &[(80, &["::/0"])]);
    plan.instances.extend(opening.instances);
    let allowed = allow(&["blast-radius=web-1", "blast-radius=web-000"]);
    let guard = Guard {
        max_instances: Some(4),
        max_closed: 2,
        ..Guard::default()
    };
    let judgement = judge(&plan, &guard, 4, &allowed, "meant");
    assert_eq!(judgement.refusals, []);
    assert_eq!(judgement.unneeded, allowed[..1]);
    let used = judgement.used.iter().map(|used| used.selector.as_deref());
    assert_eq!(used.collect::<Vec<_>>(), [Some("web-000")]);
}

/// A rule of a range of TCP ports.
type Range<'a> = (i32, i32, &'a [&'a str]);

/// The plan for one instance with these rules, which may be of ranges.
fn ranges(before: &[Range<'_>], after: &[Range<'_>]) -> Plan {
    let all = |rules: &[Range<'_>]| -> Firewall {
        let key = |from, to| Key::new(Protocol::Tcp, from, to).expect("ports");
        let rules = rules.iter();
        rules
            .map(|(from, to, texts)| (key(*from, *to), named(texts)))
            .collect()
    };
    let mut plan = one("dualstack", &[], &[(1, &["::/0"])]);
    let (before, after) = (LiveFirewall::from(&all(before)), all(after));
    let wanted = DesiredInstance {
        mode: Mode::Authoritative,
        strategy: Strategy::Auto,
        rules: after.iter().map(|(key, s)| rule(*key, s)).collect(),
        absent: Vec::new(),
        expired: Vec::new(),
        notes: Vec::new(),
    };
    let instance = plan.instances[0].instance.clone();
    plan.instances[0] = crate::plan::plan_instance(&instance, &wanted, &before, Options::default());
    plan
}

#[test]
fn a_rule_is_closed_when_most_of_its_sources_lose_most_of_its_ports() {
    let office: &[&str] = &["203.0.113.0/24"];
    let cases: [(&[Range<'_>], &[Range<'_>], usize); 20] = [
        (&[(80, 80, office)], &[(81, 81, office)], 1),
        (&[(80, 80, &["0.0.0.0/0"])], &[(80, 80, &["10.0.0.1"])], 1),
        // Half is not most.
        (&[(80, 80, office)], &[(80, 80, &["203.0.113.0/25"])], 0),
        (&[(80, 80, office)], &[(80, 80, &["203.0.113.0/26"])], 1),
        (&[(80, 80, office)], &[(80, 80, &["198.51.100.0/24"])], 1),
        (&[(80, 80, office)], &[(80, 80, &["0.0.0.0/0"])], 0),
        // No family outweighs the other, and no number of addresses an alias.
        (
            &[(80, 80, &["0.0.0.0/0", "::/0"])],
            &[(80, 80, &["10.0.0.1", "::/0"])],
            1,
        ),
        (
            &[(80, 80, &["0.0.0.0/0", "2001:db8::/32"])],
            &[(80, 80, &["0.0.0.0/0", "2001:db8::/48"])],
            1,
        ),
        (
            &[(80, 80, &["10.0.0.0/8", "lightsail-connect"])],
            &[(80, 80, &["10.0.0.0/8"])],
            1,
        ),
        // The browser client counts where it is named, and is inside the world.
        (
            &[(80, 80, &["0.0.0.0/0"])],
            &[(80, 80, &["0.0.0.0/1", "128.0.0.0/2"])],
            0,
        ),
        (
            &[(80, 80, &["10.0.0.0/8", "lightsail-connect"])],
            &[(80, 80, &["0.0.0.0/0"])],
            0,
        ),
        (
            &[(80, 80, &["0.0.0.0/0"]), (1, 99, &["lightsail-connect"])],
            &[(443, 443, office)],
            2,
        ),
        // Ports count as addresses do.
        (&[(1, 1000, office)], &[(1, 400, office)], 1),
        (&[(1, 1000, office)], &[(1, 500, office)], 0),
        (
            &[(1, 1000, office)],
            &[(1, 400, office), (401, 1000, &["203.0.113.7"])],
            1,
        ),
        // Another spelling closes nothing.
        (
            &[(1, 1000, office)],
            &[(1, 400, office), (401, 1000, office)],
            0,
        ),
        (&[(80, 80, office), (1, 99, office)], &[(1, 99, office)], 0),
        (
            &[(80, 80, office)],
            &[(80, 80, &["203.0.113.0/25", "203.0.113.128/25"])],
            0,
        ),
        // Each rule by itself.
        (
            &[(80, 80, office), (1, 99, office)],
            &[(443, 443, office)],
            2,
        ),
        (&[], &[(443, 443, office)], 0),
    ];
    for (at, (before, after, expected)) in cases.into_iter().enumerate() {
        let plan = ranges(before, after);
        let found = closing::closed(&plan.instances[0]);
        assert_eq!(found, expected, "case {at}");
    }
}

#[test]
fn a_live_entry_that_cannot_be_read_keeps_no_rule_open() {
    let office: Rules<'_> = &[(80, &["203.0.113.0/24"])];
    let mut plan = one("dualstack", office, &[(443, &["203.0.113.0/24"])]);
    let plan = &mut plan.instances[0];
    assert_eq!(closing::closed(plan), 1);
    // An entry that names no source may let in everyone, and no call replaces it.
    let mut doubtful = PortState::canonical(tcp(80), &Sources::new());
    doubtful.to_port = 90;
    plan.before = LiveFirewall::read(&[entries(office), vec![doubtful]].concat());
    plan.calls.clear();
    plan.incomplete = Some("an entry names no source".to_owned());
    assert_eq!(closing::closed(plan), 1);
}

/// A Put replaces an entry that cannot be read for certain: by a rule of its key, or by nothing. One that stands beside a rule
/// of its key is no second rule.
#[test]
fn an_entry_that_a_put_drops_counts_as_a_rule() {
    let doubtful = |port: i32, to: i32| PortState {
        from_port: port,
        to_port: to,
        protocol: "tcp".into(),
        ..PortState::default()
    };
    let (kept, other): (Rules<'_>, Rules<'_>) = (&[(443, &["::/0"])], &[(80, &["::/0"])]);
    for (at, (before, doubts, after, expected)) in [
        (kept, vec![doubtful(80, 80)], kept, 1),
        (kept, vec![doubtful(80, 80), doubtful(81, 81)], kept, 2),
        (kept, vec![doubtful(90, 80)], kept, 1),
        (kept, vec![doubtful(80, 80)], other, 1),
        (other, vec![doubtful(80, 80)], other, 0),
        (other, vec![doubtful(80, 80)], kept, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let live = [entries(before), doubts].concat();
        let mut plan = planned(&[("web-1", "dualstack", live, after)]);
        let plan = &mut plan.instances[0];
        assert!(
            matches!(plan.calls[..], [Call::Put { .. }]),
            "{at}: {plan:?}"
        );
        assert_eq!(closing::closed(plan), expected, "case {at}");
        // Where nothing is put, the entry stays.
        plan.calls.clear();
        let rules = usize::from(before != after);
        assert_eq!(closing::closed(plan), rules, "case {at}");
    }
}

#[test]
fn rules_that_are_shut_to_all_but_one_address_count() {
    let world: Vec<Range<'_>> = (0..50)
        .map(|n| (8000 + n, 8000 + n, &["0.0.0.0/0", "::/0"][..]))
        .collect();
    let home: Vec<Range<'_>> = (0..50)
        .map(|n| (8000 + n, 8000 + n, &["203.0.113.7"][..]))
        .collect();
    let plan = ranges(&world, &home);
    assert_eq!(
        shown(&plan, &Guard::default(), &[]),
        [
            "blast-radius : 50 rules would be closed to all or most of their sources, and the limit of one run is 25"
        ]
    );
}

#[test]
fn consent_is_recorded_where_it_was_needed() {
    let plan = planned(&[
        (
            "web-1",
            "dualstack",
            entries(&[(22, &["::/0"])]),
            &[(80, &["::/0"])],
        ),
        (
            "web-2",
            "dualstack",
            entries(&[(22, &["::/0"])]),
            &[(80, &["::/0"])],
        ),
    ]);
    let given = allow(&["lockout=web-1", "empty", "lockout=db-*", "lockout=web-1"]);
    let judgement = judge(&plan, &Guard::default(), 2, &given, "moved to a VPN");
    let who: Vec<String> = judgement
        .refusals
        .iter()
        .filter_map(|refusal| refusal.instance.as_ref().map(ToString::to_string))
        .collect();
    assert_eq!(who, ["eu-central-1/web-2"]);
    let used = Override {
        guard: GuardName::Lockout,
        selector: Some("web-1".into()),
        reason: "moved to a VPN".into(),
    };
    assert_eq!(judgement.used, [used]);
    assert_eq!(judgement.unneeded, allow(&["empty", "lockout=db-*"]));
}

#[test]
fn a_name_in_two_regions_is_allowed_with_its_region() {
    let before = || entries(&[(22, &["::/0"])]);
    let plan = planned(&[
        ("eu-west-1/web-1", "dualstack", before(), &[(80, &["::/0"])]),
        ("us-east-1/web-1", "dualstack", before(), &[(22, &["::/0"])]),
    ]);
    let judgement = judge(&plan, &Guard::default(), 2, &[], "");
    assert!(
        judgement.refusals[0]
            .hint
            .contains("--allow lockout=eu-west-1/web-1 "),
        "{judgement:?}"
    );
}

#[test]
fn a_finished_plan_is_judged_with_its_own_consent() {
    let mut plan = one("dualstack", &[(22, &["::/0"])], &[(80, &["::/0"])]);
    assert_eq!(lint(&plan, &Guard::default(), 1).len(), 1);
    plan.overrides = judge(&plan, &Guard::default(), 1, &allow(&["lockout"]), "meant").used;
    assert_eq!(lint(&plan, &Guard::default(), 1), []);
    plan.overrides[0].selector = Some("[".into());
    assert_eq!(lint(&plan, &Guard::default(), 1).len(), 1);
}

proptest! {
    #[test]
    fn consent_to_everything_is_enough_and_nothing_is_lost(plan in plans(Universe::Small)) {
        let strict = Guard { max_instances: Some(0), max_closed: 0, ..Guard::default() };
        let all = allow(&["lockout", "blast-radius", "empty"]);
        let judgement = judge(&plan, &strict, 0, &all, "meant");
        prop_assert_eq!(&judgement.refusals, &[]);
        prop_assert_eq!(judgement.used.len() + judgement.unneeded.len(), 3);
        let without = judge(&plan, &strict, 0, &[], "");
        for consent in judgement.used {
            prop_assert!(without.refusals.iter().any(|refusal| refusal.guard == consent.guard));
        }
        let changes = plan.instances.iter().any(|instance| instance.verdict == Verdict::Change);
        prop_assert_eq!(changes, !without.refusals.is_empty());
    }

    #[test]
    fn nothing_that_only_opens_locks_out(mut plan in plans(Universe::Small)) {
        // What only may have been open is not lost for certain.
        plan.instances.retain(|instance| instance.exposure.lost.is_empty() && instance.before.is_certain());
        prop_assert_eq!(guards(&plan), []);
    }

    /// Cell by cell, from the rules alone; of rules with few cells, since each is counted.
    #[test]
    fn closed_is_what_a_count_of_every_cell_finds(mut plan in plans(Universe::Small)) {
        plan.instances.retain(|instance| instance.verdict == Verdict::Change);
        for instance in plan.instances {
            let after = Effective::of(&instance.after, instance.family());
            for (key, sources) in instance.before.firewall() {
                let rule = Effective::of_rules([(key, sources)], instance.family());
                let had = Access::from(sources);
                let cells = || rule.iter().flat_map(|(atom, run)| (run.from..=run.to).map(move |cell| (atom, cell)));
                if cells().nth(1000).is_some() {
                    continue;
                }
                let shut = cells().filter(|(atom, cell)| {
                    let kept = had.intersection(after.access(*atom, *cell));
                    let gone = had.difference(&kept);
                    gone.v4.count() > kept.v4.count()
                        || gone.v6.count() > kept.v6.count()
                        || gone.aliases.len() > kept.aliases.len()
                });
                let expected = 2 * shut.count() > cells().count();
                prop_assert_eq!(closing::is_closed(*key, sources, &after), expected, "{} {}", key, sources);
            }
        }
    }
}
