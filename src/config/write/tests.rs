//! What is written says what is live, for every fleet.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use time::OffsetDateTime;

use super::super::{Config, Source, parse};
use super::import;
use crate::exposure;
use crate::model::arbitrary::{Universe, firewall, named};
use crate::model::{
    AddressType, Firewall, Instance, InstanceId, InstanceState, Key, Live, LiveFirewall, Mode,
    PortState, Protocol, Site, Sources, Unreadable,
};
use crate::plan::{Options, Plan, Verdict, plan};

const REGIONS: [&str; 2] = ["eu-central-1", "us-east-1"];

/// Names that part at a number, that need quotes, and that the language refuses.
const NAMES: [&str; 8] = [
    "web-1",
    "web-2",
    "web-03",
    "db.1",
    "db.2",
    "10",
    "-x",
    "a b\u{1b}",
];

fn regions() -> BTreeSet<String> {
    REGIONS.iter().map(ToString::to_string).collect()
}

fn id(region: &str, name: &str) -> InstanceId {
    InstanceId {
        account: None,
        region: region.to_owned(),
        name: name.to_owned(),
    }
}

fn add(live: &mut Live, id: InstanceId, kind: &str, rules: Option<&[PortState]>) {
    let instance = Instance {
        id: id.clone(),
        arn: format!("arn:aws:lightsail:{}:123456789012:Instance/1", id.region),
        tags: [].into(),
        state: InstanceState::Running,
        address_type: AddressType::from_name(kind),
    };
    let rules = rules
        .map(LiveFirewall::read)
        .ok_or_else(|| Unreadable::new("no\nrules = []"));
    live.instances.insert(id.clone(), instance);
    live.firewalls.insert(id, rules);
}

fn config(text: &str) -> Config {
    match parse(vec![Source::new("firewall.toml", text)]) {
        Ok(config) => config,
        Err(problems) => panic!("{}\n{text}", problems.render(false)),
    }
}

fn planned(text: &str, live: &Live) -> Plan {
    let config = config(text);
    // What is live may name sources from which nobody arrives, and rules that open nothing more than others.
    let is_of_live = |message: &str| {
        let mut known = ["nobody arrives", "already allowed by"].into_iter();
        known.any(|known| message.contains(known))
    };
    let mut warnings = config.warnings().iter();
    assert!(
        warnings.all(|warning| is_of_live(&warning.message)),
        "{text}"
    );
    let listed = config.sites();
    match config.resolve(&live.instances, &listed, OffsetDateTime::UNIX_EPOCH) {
        Ok(desired) => plan(&desired, live, Options::default()),
        Err(problems) => panic!("{}\n{text}", problems.render(false)),
    }
}

/// Lists of which two let in the same networks.
const COMMON: [&[&str]; 3] = [
    &["10.9.0.0/24", "10.9.2.7/32"],
    &["10.9.0.0/24", "10.9.2.7/32", "lightsail-connect"],
    &["10.9.0.0/24", "2001:db8:9::/48"],
];

/// The lists of several networks that are written out, each with the table that it stands in.
fn written_out(text: &str) -> Vec<(BTreeSet<String>, String)> {
    let mut table = String::new();
    let mut lists = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            line.clone_into(&mut table);
        }
        let Some((_, list)) = line.split_once("from = [") else {
            continue;
        };
        let words = list
            .split('"')
            .filter(|word| Sources::parse_live(word).is_some());
        let nets: BTreeSet<String> = words.map(str::to_owned).collect();
        if nets.len() > 1 && !list.contains("anywhere") {
            lists.push((nets, table.clone()));
        }
    }
    lists
}

/// Entries as the service may spell them: repeated, shouted, bare, closed, without sources, of unknown protocols.
fn entries() -> impl Strategy<Value = Vec<PortState>> {
    let odd = select(vec![0_u8, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6]);
    let firewall = prop_oneof![firewall(Universe::Small), firewall(Universe::Big)];
    // Some lists are the same in many rules.
    let common = select(vec![None, None, Some(0), Some(1), Some(2)]);
    (firewall, vec((odd, common), 8)).prop_map(|(firewall, odd)| {
        let mut entries = Vec::new();
        for ((key, sources), (odd, common)) in firewall.iter().zip(odd) {
            let common = common.map(|at: usize| named(COMMON[at]));
            let mut entry = PortState::canonical(*key, common.as_ref().unwrap_or(sources));
            match odd {
                1 => entry.protocol = entry.protocol.to_uppercase(),
                2 => entries.push(entry.clone()),
                3 => entry.state = Some("closed".to_owned()),
                4 => {
                    entry = PortState {
                        cidrs: vec![],
                        ipv6_cidrs: vec![],
                        cidr_list_aliases: vec![],
                        ..entry
                    }
                }
                5 => entry.protocol = "sctp\u{1b}".to_owned(),
                6 => entry
                    .cidrs
                    .iter_mut()
                    .for_each(|net| *net = net.replace("/32", "")),
                _ => {}
            }
            entries.push(entry);
        }
        entries
    })
}

type Seen = (usize, usize, &'static str, usize);

/// Fleets in which several instances often have the same rules.
fn fleet() -> impl Strategy<Value = Live> {
    let kind = select(vec!["dualstack", "dualstack", "ipv4", "ipv6", "another"]);
    let instance = (0..REGIONS.len(), 0..NAMES.len(), kind, 0..5_usize);
    let rules = vec(entries(), 4);
    (vec(instance, 0..8), rules).prop_map(|(instances, rules): (Vec<Seen>, Vec<_>)| {
        let mut live = Live::default();
        for (region, name, kind, which) in instances {
            let rules = rules.get(which).map(Vec::as_slice);
            add(&mut live, id(REGIONS[region], NAMES[name]), kind, rules);
        }
        live
    })
}

proptest! {
    #[test]
    fn planning_with_what_was_imported_changes_nothing(live in fleet()) {
        let imported = import(&live, &regions());
        prop_assert_eq!(&imported, &import(&live, &regions()));
        let plan = planned(&imported.text, &live);
        let lists = written_out(&imported.text);
        for (at, (list, table)) in lists.iter().enumerate() {
            let again = lists[..at].iter().find(|(other, _)| other == list);
            // Only one instance may repeat itself.
            let own = table.starts_with("[instances.") && again.is_none_or(|(_, other)| other == table);
            prop_assert!(again.is_none() || own, "{:?} in {}\n{}", list, table, &imported.text);
        }
        let about = |id: &InstanceId| {
            let start = format!("{id}: ");
            imported.left_out.iter().filter(move |text| text.starts_with(&start)).cloned().collect::<Vec<_>>()
        };
        let mut differs = false;
        for (id, firewall) in &live.firewalls {
            let told = about(id);
            let found = plan.instances.iter().find(|planned| planned.instance.id == *id);
            let (Some(planned), Ok(firewall)) = (found, firewall) else {
                // Undeclared: somebody must be told.
                prop_assert_eq!(told.len(), 1, "{}", id);
                continue;
            };
            differs |= !told.is_empty();
            let place = format!("{id}\n{}", &imported.text);
            prop_assert_eq!(planned.mode, Mode::Authoritative, "{}", place);
            let doubts = firewall.uncertain().len() + firewall.unknown().len();
            prop_assert_eq!(told.is_empty(), planned.verdict == Verdict::InSync && planned.incomplete.is_none(), "{}", place);
            // Nothing but aliases without a name would go, and nothing comes.
            let mut aliases = 0;
            for change in &planned.changes {
                let mut left = change.after.clone();
                let gone = change.before.aliases().difference(change.after.aliases());
                for alias in gone {
                    aliases += 1;
                    let start = format!("{id}: {} from `{alias}`", change.key);
                    prop_assert!(told.iter().any(|text| text.starts_with(&start)), "{}", place);
                    left.insert_alias(alias.as_str());
                }
                prop_assert_eq!(&left, &change.before, "{}", place);
            }
            prop_assert_eq!(told.len(), doubts + aliases, "{}", place);
        }
        prop_assert_eq!(imported.differs, differs);
    }

    /// From then on everything else is a difference.
    #[test]
    fn one_rule_more_is_drift(live in fleet(), port in 50_000..60_000, world in any::<bool>()) {
        let imported = import(&live, &regions());
        let new = Key::new(Protocol::Tcp, port, port).expect("a port");
        let sources = if world { Sources::anywhere() } else { named(&["198.18.7.7/32"]) };
        let mut later = live.clone();
        for firewall in later.firewalls.values_mut().flatten() {
            let mut entries: Vec<PortState> = firewall
                .firewall()
                .iter()
                .map(|(key, sources)| PortState::canonical(*key, sources))
                .chain(firewall.uncertain().iter().map(|uncertain| uncertain.entry.clone()))
                .chain(firewall.unknown().iter().cloned())
                .collect();
            entries.push(PortState::canonical(new, &sources));
            *firewall = LiveFirewall::read(&entries);
        }
        let news: Firewall = [(new, sources)].into_iter().collect();
        for one in planned(&imported.text, &later).instances {
            let Ok(before) = &live.firewalls[&one.instance.id] else {
                continue;
            };
            // Where everybody gets in already, one rule more is no more access.
            let means = |firewall| exposure::Effective::of(firewall, one.family());
            let is_new = !means(before.firewall()).is_superset(&means(&news));
            prop_assert!(!is_new || one.verdict != Verdict::InSync, "{}\n{}", one.instance.id, &imported.text);
        }
    }

    #[test]
    fn nothing_is_dropped_silently(entries in entries(), kind in select(vec!["dualstack", "ipv4", "ipv6"])) {
        let mut live = Live::default();
        let id = id(REGIONS[0], "web-1");
        add(&mut live, id.clone(), kind, Some(&entries));
        let imported = import(&live, &regions());
        let desired = config(&imported.text)
            .resolve(&live.instances, &regions().into_iter().map(Site::of_region).collect(), OffsetDateTime::UNIX_EPOCH)
            .expect("no errors");
        let declared: Firewall = desired.instances[&id].rules.iter().map(|rule| (rule.key, rule.sources.clone())).collect();
        let Ok(firewall) = &live.firewalls[&id] else { unreachable!("it was read") };
        for (key, sources) in firewall.firewall() {
            let said = declared.get(*key).cloned().unwrap_or_default();
            prop_assert!(sources.names_all_of(&said));
            let names = sources.cidrs().chain(sources.ipv6_cidrs()).chain(sources.aliases().iter().cloned());
            let known: Vec<String> = said.cidrs().chain(said.ipv6_cidrs()).chain(said.aliases().iter().cloned()).collect();
            for name in names.filter(|name| !known.contains(name)) {
                let start = format!("{id}: {key} from ");
                prop_assert!(
                    imported.left_out.iter().any(|text| text.starts_with(&start) && text.contains(&name)),
                    "{} {}: {:?}", key, name, &imported.left_out
                );
            }
        }
    }
}

#[test]
fn it_reads_as_if_written_by_hand() {
    let entry = |protocol: &str, from_port, to_port, cidrs: &[&str], ipv6: &[&str]| PortState {
        from_port,
        to_port,
        protocol: protocol.to_owned(),
        cidrs: cidrs.iter().map(ToString::to_string).collect(),
        ipv6_cidrs: ipv6.iter().map(ToString::to_string).collect(),
        ..PortState::default()
    };
    let web = [
        entry("tcp", 443, 443, &["0.0.0.0/0"], &["::/0"]),
        entry("tcp", 80, 80, &["0.0.0.0/0"], &["::/0"]),
        entry("icmp", 8, -1, &["0.0.0.0/0"], &[]),
        entry("icmpv6", 128, 0, &[], &["::/0"]),
        entry("tcp", 22, 22, &["203.0.113.0/24", "198.51.100.7"], &[]),
    ];
    let db = [
        entry("tcp", 5432, 5432, &["203.0.113.0/24"], &[]),
        entry("tcp", 53, 53, &["10.0.0.0/8"], &[]),
        entry("udp", 53, 53, &["10.0.0.0/8"], &[]),
        PortState {
            cidr_list_aliases: vec!["partners".to_owned()],
            ..entry("tcp", 8080, 8089, &["0.0.0.0/0"], &[])
        },
        entry("tcp", 21, 21, &[], &[]),
    ];
    let mut live = Live::default();
    add(
        &mut live,
        id("eu-central-1", "web-1"),
        "dualstack",
        Some(&web),
    );
    add(
        &mut live,
        id("eu-central-1", "web-2"),
        "dualstack",
        Some(&web),
    );
    add(&mut live, id("eu-central-1", "db-1"), "ipv4", Some(&db));
    add(&mut live, id("eu-central-1", "old-1"), "ipv4", Some(&[]));
    add(&mut live, id("eu-central-1", "blind-1"), "ipv4", None);
    let imported = import(&live, &["eu-central-1".to_owned()].into());
    insta::assert_snapshot!(imported.text, @r#"
    # Made by `portward import` from what was live.
    version = 1

    [defaults]
    region = "eu-central-1"
    mode = "authoritative" # what is not declared is closed

    # Not declared below, and so not touched:
    # eu-central-1/blind-1: its rules could not be read: no\u{a}rules = []

    [rulesets]
    web = [
      { allow = "ssh", from = ["198.51.100.7", "203.0.113.0/24"] },
      { allow = ["http", "https", "ping"], from = "anywhere" },
    ]

    [instances.db-1]
    # Live and not declared, since the language has no words for it. `plan` shows it as a difference:
    #   tcp/8080-8089 from `partners`: the language has no word for this alias
    #   tcp 21-21: it names no source
    rules = [
      { allow = "dns", from = "10.0.0.0/8" },
      { allow = "postgres", from = "203.0.113.0/24" },
      { allow = "tcp/8080-8089", from = "anywhere-v4" },
    ]

    [instances.old-1]
    rules = []

    [instances.web-1]
    use = ["web"]

    [instances.web-2]
    use = ["web"]
    "#);
    insta::assert_snapshot!(imported.left_out.join("\n"), @r"
    eu-central-1/blind-1: its rules could not be read: no
    rules = []
    eu-central-1/db-1: tcp/8080-8089 from `partners`: the language has no word for this alias
    eu-central-1/db-1: tcp 21-21: it names no source
    ");
}

#[test]
fn lists_that_repeat_get_a_name() {
    let rule = |port, sources: &[&str]| {
        let key = Key::new(Protocol::Tcp, port, port).expect("a port");
        PortState::canonical(key, &named(sources))
    };
    let (office, both) = (
        ["203.0.113.0/24", "198.51.100.7/32"],
        ["203.0.113.0/24", "198.51.100.7/32", "lightsail-connect"],
    );
    let vpn = ["192.0.2.0/25", "2001:db8::/48"];
    let mut live = Live::default();
    for (name, rules) in [
        ("app-1", vec![rule(22, &both), rule(443, &["0.0.0.0/0"])]),
        ("db-1", vec![rule(22, &office), rule(5432, &vpn)]),
        ("db-2", vec![rule(22, &office), rule(5432, &vpn)]),
        (
            "log-1",
            vec![rule(514, &vpn), rule(8080, &["10.0.0.0/8", "10.9.9.9/32"])],
        ),
    ] {
        add(
            &mut live,
            id("eu-central-1", name),
            "dualstack",
            Some(&rules),
        );
    }
    let imported = import(&live, &["eu-central-1".to_owned()].into());
    insta::assert_snapshot!(imported.text, @r#"
    # Made by `portward import` from what was live.
    version = 1

    [defaults]
    region = "eu-central-1"
    mode = "authoritative" # what is not declared is closed

    [addresses]
    clients = ["192.0.2.0/25", "2001:db8::/48"]
    ssh-clients = ["198.51.100.7", "203.0.113.0/24"]

    [rulesets]
    db = [
      { allow = "ssh", from = "ssh-clients" },
      { allow = "postgres", from = "clients" },
    ]

    [instances.app-1]
    rules = [
      { allow = "ssh", from = ["ssh-clients", "lightsail-connect"] },
      { allow = "https", from = "anywhere-v4" },
    ]

    [instances.db-1]
    use = ["db"]

    [instances.db-2]
    use = ["db"]

    [instances.log-1]
    rules = [
      { allow = "tcp/514", from = "clients" },
      { allow = "tcp/8080", from = ["10.0.0.0/8", "10.9.9.9"] },
    ]
    "#);
    assert!(
        planned(&imported.text, &live)
            .instances
            .iter()
            .all(|one| one.verdict == Verdict::InSync)
    );
}

/// What tools make that know nothing of families, and what is left of IPv6 where it was switched off.
#[test]
fn sources_of_the_wrong_family_are_declared() {
    let entry = |protocol: &str, from_port, to_port, sources: &[&str]| {
        let protocol = Protocol::from_live(protocol).expect("a protocol");
        let key = Key::new(protocol, from_port, to_port).expect("a key");
        PortState::canonical(key, &named(sources))
    };
    let both = ["0.0.0.0/0", "::/0"];
    let mut live = Live::default();
    for (name, kind, rules) in [
        (
            "ping-1",
            "dualstack",
            vec![
                entry("icmp", 8, -1, &both),
                entry("icmpv6", 128, 0, &["::/0"]),
                entry("tcp", 22, 22, &["203.0.113.0/24"]),
            ],
        ),
        (
            "ping-2",
            "dualstack",
            vec![entry("icmp", 8, -1, &both), entry("icmpv6", 128, 0, &both)],
        ),
        (
            "old-1",
            "ipv4",
            vec![
                entry("tcp", 443, 443, &both),
                entry("tcp", 80, 80, &["0.0.0.0/0"]),
                entry("icmpv6", 128, 0, &["lightsail-connect"]),
            ],
        ),
    ] {
        add(&mut live, id("eu-central-1", name), kind, Some(&rules));
    }
    let imported = import(&live, &["eu-central-1".to_owned()].into());
    assert_eq!((imported.left_out.len(), imported.differs), (0, false));
    insta::assert_snapshot!(imported.text, @r#"
    # Made by `portward import` from what was live.
    version = 1

    [defaults]
    region = "eu-central-1"
    mode = "authoritative" # what is not declared is closed

    [instances.old-1]
    rules = [
      { allow = "http", from = "anywhere-v4" },
      { allow = "https", from = "anywhere", any-family = true },
      { allow = "icmpv6/128:0", from = "lightsail-connect", any-family = true },
    ]

    [instances.ping-1]
    rules = [
      { allow = "ssh", from = "203.0.113.0/24" },
      { allow = "ping", from = "anywhere-v6" },
      { allow = "icmp/8", from = "anywhere", any-family = true },
    ]

    [instances.ping-2]
    rules = [
      { allow = ["icmp/8", "icmpv6/128:0"], from = "anywhere", any-family = true },
    ]
    "#);
    for one in planned(&imported.text, &live).instances {
        assert_eq!(one.verdict, Verdict::InSync, "{}", one.instance.id);
        assert_eq!((one.mode, one.notes), (Mode::Authoritative, Vec::new()));
    }
}
