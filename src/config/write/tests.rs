//! Tests of imported configurations: they declare the live rules of any fleet.

mod examples;

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use time::OffsetDateTime;

use super::super::tests::instance;
use super::super::{Config, Source, parse};
use super::import;
use crate::exposure;
use crate::model::arbitrary::{Universe, firewall, named};
use crate::model::{
    AddressType, Firewall, InstanceId, Key, Live, LiveFirewall, Mode, PortState, Protocol, Site,
    Sources, Unreadable,
};
use crate::plan::{Plan, PlanOptions, Verdict, plan};

const REGIONS: [&str; 2] = ["eu-central-1", "us-east-1"];

/// Names that differ in a number, that need quotes, and that are invalid.
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
    let instance = instance(&id.to_string(), AddressType::from(kind));
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
    // Live rules may have unreachable sources, and may be redundant.
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
        Ok(desired) => plan(&desired, live, PlanOptions::default()),
        Err(problems) => panic!("{}\n{text}", problems.render(false)),
    }
}

/// Lists of sources, two of which have the same networks.
const COMMON: [&[&str]; 3] = [
    &["10.9.0.0/24", "10.9.2.7/32"],
    &["10.9.0.0/24", "10.9.2.7/32", "lightsail-connect"],
    &["10.9.0.0/24", "2001:db8:9::/48"],
];

/// The lists of several networks that are written out, each with its table.
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

/// Entries in unusual forms: repeated, in capitals, without prefix lengths, closed, without sources, with unknown protocols.
fn entries() -> impl Strategy<Value = Vec<PortState>> {
    let odd = select(vec![0_u8, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6]);
    let firewall = prop_oneof![firewall(Universe::Small), firewall(Universe::Big)];
    // Some lists are in many rules.
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
    fn plan_with_an_imported_file_is_empty(live in fleet()) {
        let imported = import(&live, &regions());
        prop_assert_eq!(&imported, &import(&live, &regions()));
        let plan = planned(&imported.text, &live);
        let lists = written_out(&imported.text);
        for (at, (list, table)) in lists.iter().enumerate() {
            let again = lists[..at].iter().find(|(other, _)| other == list);
            // A list may be repeated only in the table of one instance.
            let own = table.starts_with("[instances.") && again.is_none_or(|(_, other)| other == table);
            prop_assert!(again.is_none() || own, "{:?} in {}\n{}", list, table, &imported.text);
        }
        let about = |id: &InstanceId| {
            let start = format!("{id}: ");
            imported.left_out.iter().filter(move |text| text.starts_with(&start)).cloned().collect::<Vec<_>>()
        };
        let mut differs = false;
        for (id, firewall) in &live.firewalls {
            let left_out = about(id);
            let found = plan.instances.iter().find(|planned| planned.instance.id == *id);
            let (Some(planned), Ok(firewall)) = (found, firewall) else {
                // An undeclared instance must be reported.
                prop_assert_eq!(left_out.len(), 1, "{}", id);
                continue;
            };
            differs |= !left_out.is_empty();
            let place = format!("{id}\n{}", &imported.text);
            prop_assert_eq!(planned.mode, Mode::Authoritative, "{}", place);
            let doubts = firewall.uncertain().len() + firewall.unknown().len();
            prop_assert_eq!(left_out.is_empty(), planned.verdict == Verdict::InSync && planned.incomplete.is_none(), "{}", place);
            // Only unknown aliases would be removed, and nothing would be added.
            let mut aliases = 0;
            for change in &planned.changes {
                let mut left = change.after.clone();
                let gone = change.before.aliases().difference(change.after.aliases());
                for alias in gone {
                    aliases += 1;
                    let start = format!("{id}: {} from `{alias}`", change.key);
                    prop_assert!(left_out.iter().any(|text| text.starts_with(&start)), "{}", place);
                    left.insert_alias(alias.as_str());
                }
                prop_assert_eq!(&left, &change.before, "{}", place);
            }
            prop_assert_eq!(left_out.len(), doubts + aliases, "{}", place);
        }
        prop_assert_eq!(imported.differs, differs);
    }

    #[test]
    fn additional_live_rule_is_drift(live in fleet(), port in 50_000..60_000, world in any::<bool>()) {
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
            // If everyone gets in already, the new rule gives no more access.
            let means = |firewall| exposure::Effective::of(firewall, one.family());
            let is_new = !means(before.firewall()).is_superset(&means(&news));
            prop_assert!(!is_new || one.verdict != Verdict::InSync, "{}\n{}", one.instance.id, &imported.text);
        }
    }

    #[test]
    fn inexpressible_rules_are_reported(entries in entries(), kind in select(vec!["dualstack", "ipv4", "ipv6"])) {
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
            let known_sources = declared.get(*key).cloned().unwrap_or_default();
            prop_assert!(sources.names_all_of(&known_sources));
            let names = sources.cidrs().chain(sources.ipv6_cidrs()).chain(sources.aliases().iter().cloned());
            let known: Vec<String> = known_sources.cidrs().chain(known_sources.ipv6_cidrs()).chain(known_sources.aliases().iter().cloned()).collect();
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
