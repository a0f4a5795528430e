//! Scene: random instances, rules, desired rules, quirks and faults.
//!
//! Owns all random choices, which depend only on the seed. The universe is small, so that rules often overlap and nest. Does not know
//! how a run is carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use portward::emulator::{Faults, Quirks, RequestFault, ScriptedEvent, Trigger};
use portward::exposure::means_same;
use portward::inventory::{Entry, Inventory};
use portward::model::{
    Absent, AddressType, Declaration, DesiredInstance, Firewall, InstanceId, Key,
    LIGHTSAIL_CONNECT, LiveFirewall, Mode, Origin, PortState, Protocol, Rule, Site, Sources,
    Strategy,
};

use super::cover;

const REGIONS: [&str; 2] = ["eu-central-1", "us-east-1"];

const KEYS: [(Protocol, i32, i32); 9] = [
    (Protocol::Tcp, 22, 22),
    (Protocol::Tcp, 80, 80),
    (Protocol::Tcp, 22, 80),
    (Protocol::Tcp, 443, 443),
    (Protocol::Udp, 53, 53),
    (Protocol::Icmp, 8, -1),
    (Protocol::Icmp, -1, -1),
    (Protocol::Icmpv6, 128, 0),
    (Protocol::All, 0, 65535),
];

const NETWORKS: [&str; 12] = [
    "10.0.0.0/24",
    "10.0.0.0/25",
    "10.0.0.128/25",
    "10.0.0.7/32",
    "203.0.113.9/32",
    "0.0.0.0/0",
    "0.0.0.0/1",
    "128.0.0.0/1",
    "::/0",
    "2001:db8::/32",
    "2001:db8:8000::/33",
    "2001:db8::1/128",
];

const WRITES: [&str; 3] = [
    "OpenInstancePublicPorts",
    "CloseInstancePublicPorts",
    "PutInstancePublicPorts",
];

/// The scene of a seed.
#[expect(clippy::struct_excessive_bools, reason = "switches, each by itself")]
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) regions: Vec<String>,
    pub(crate) inventory: Inventory,
    /// The desired state of the declared instances.
    pub(crate) wanted: BTreeMap<InstanceId, DesiredInstance>,
    /// The index of the value of each quirk.
    pub(crate) row: cover::Row,
    pub(crate) quirks: Quirks,
    pub(crate) faults: Faults,
    pub(crate) max_failures: Option<usize>,
    /// The time from the start of the run to the end of the desired state of an instance.
    pub(crate) ends: BTreeMap<InstanceId, Duration>,
    /// Whether the plan is carried out again.
    pub(crate) again: bool,
    /// Whether the writes are reverted, because nobody confirms them.
    pub(crate) denied: bool,
    /// Whether the receipt is a real file.
    pub(crate) on_disk: bool,
    /// The run in which things go wrong is to mend spellings too.
    pub(crate) strict_spelling: bool,
}

impl Scene {
    /// The world of a seed.
    pub(crate) fn new(seed: u64, rows: &[cover::Row]) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut inventory: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        let mut wanted = BTreeMap::new();
        for place in 0..rng.usize(1..=4) {
            let region = REGIONS[usize::from(rng.u8(..4) == 0)];
            let entry = entry(&mut rng, region, place);
            let id = InstanceId {
                account: None,
                region: region.to_owned(),
                name: entry.name.clone(),
            };
            if rng.u8(..10) > 0 {
                wanted.insert(id, wish(&mut rng, &entry));
            }
            inventory.entry(region.to_owned()).or_default().push(entry);
        }
        if rng.u8(..12) == 0 {
            // One that was never there.
            let id = InstanceId {
                account: None,
                region: REGIONS[0].to_owned(),
                name: "gone-1".to_owned(),
            };
            let entry = entry(&mut rng, REGIONS[0], 9);
            wanted.insert(id, wish(&mut rng, &entry));
        }
        let regions: BTreeSet<String> = inventory
            .keys()
            .chain(wanted.keys().map(|id| &id.region))
            .cloned()
            .collect();
        let mut row = row(&mut rng, seed, rows);
        if seed % 16 == 3 {
            let live = inventory.iter().flat_map(|(region, entries)| {
                let site = Site::of_region(region);
                let entries = entries.iter();
                entries.map(move |entry| (site.instance_id(&entry.name), entry))
            });
            refuse_growth(&mut row, &mut wanted, live);
        }
        let ids: Vec<InstanceId> = wanted.keys().cloned().collect();
        Self {
            regions: regions.into_iter().collect(),
            inventory: Inventory::new(inventory),
            quirks: cover::quirks(&row),
            row,
            faults: faults(&mut rng, seed, &ids),
            wanted,
            max_failures: (rng.u8(..6) == 0).then_some(1),
            ends: ends(&mut rng, &ids),
            again: rng.u8(..6) == 0,
            denied: rng.u8(..6) == 0,
            on_disk: seed.is_multiple_of(16),
            strict_spelling: seed % 4 == 1,
        }
    }
}

/// What ends while the rules are read, while they are written, or while something is waited for.
fn ends(rng: &mut Rng, ids: &[InstanceId]) -> BTreeMap<InstanceId, Duration> {
    if ids.is_empty() || rng.u8(..6) > 0 {
        return BTreeMap::new();
    }
    let id = ids[rng.usize(..ids.len())].clone();
    let span = match rng.u8(..3) {
        0 => Duration::from_millis(rng.u64(..30)),
        1 => Duration::from_millis(rng.u64(..3_000)),
        _ => Duration::from_secs(rng.u64(..60)),
    };
    [(id, span)].into()
}

/// Every fourth seed is a whole row of the cover. In the others the values that hide everything else are rare: where
/// nothing can be read there is nothing to go wrong.
fn row(rng: &mut Rng, seed: u64, rows: &[cover::Row]) -> cover::Row {
    let whole = seed.is_multiple_of(4);
    let place = if whole { seed / 4 } else { rng.u64(..) };
    let count = u64::try_from(rows.len()).unwrap_or(1);
    let mut row = rows[usize::try_from(place % count).unwrap_or(0)].clone();
    if whole {
        return row;
    }
    for (quirk, value) in Quirks::catalogue().iter().zip(&mut row) {
        let keep = match quirk.name {
            "port-states" | "lists" | "pages" => 1,
            "keys" | "operations" | "source-limit" | "write-reply" | "other-family" | "all"
            | "ipv6" | "address" => 6,
            _ => 16,
        };
        if rng.u8(..16) >= keep {
            *value = 0;
        }
    }
    row
}

/// Makes a fallback likely, which little else does: a service that opens nothing twice, and keys that are to grow.
fn refuse_growth<'a>(
    row: &mut cover::Row,
    wanted: &mut BTreeMap<InstanceId, DesiredInstance>,
    live: impl Iterator<Item = (InstanceId, &'a Entry)>,
) {
    for (quirk, value) in Quirks::catalogue().iter().zip(row) {
        if quirk.name == "open" {
            let refuse = quirk.values.iter().position(|value| *value == "refuse");
            *value = refuse.expect("a value of the quirk");
        }
    }
    for (id, entry) in live {
        let (Some(wish), Some(ports)) = (wanted.get_mut(&id), &entry.port_states) else {
            continue;
        };
        let family = AddressType::from(entry.ip_address_type.as_str());
        let net = if family.has_ipv4() {
            "203.0.113.9/32"
        } else {
            "2001:db8::1/128"
        };
        let mut rules = Firewall::new();
        for (key, now) in LiveFirewall::read(ports).firewall() {
            let mut now = now.clone();
            restrict(&mut now, &family);
            rules.set(*key, now);
        }
        let grown = rules.iter().find_map(|(key, now)| {
            let mut more = now.clone();
            more.insert(net.parse().expect("a network"));
            let ours = !key.protocol().is_icmp();
            (ours && !means_same(now, &more, family.client_family())).then_some((*key, more))
        });
        if wish.mode == Mode::Authoritative
            && let Some((key, more)) = grown
        {
            rules.set(key, more);
            wish.strategy = Strategy::Auto;
            wish.rules = rules.iter().map(|(key, now)| rule(*key, now)).collect();
        }
    }
}

fn faults(rng: &mut Rng, seed: u64, ids: &[InstanceId]) -> Faults {
    if rng.u8(..6) == 0 {
        return Faults {
            seed,
            ..Faults::default()
        };
    }
    let mut faults = Faults::seeded(seed);
    if rng.u8(..10) == 0 {
        let actions = [
            "GetInstances",
            "GetInstance",
            "GetInstancePortStates",
            "GetOperation",
            "GetOperationsForResource",
        ];
        let all = [&actions[..], &WRITES[..]].concat();
        faults.denied = [all[rng.usize(..all.len())].to_owned()].into();
    }
    if ids.is_empty() {
        return faults;
    }
    for _ in 0..rng.usize(..3) {
        let request_faults = [
            RequestFault::LostRequest,
            RequestFault::LostResponse,
            RequestFault::ServerError,
            RequestFault::ServerErrorAfter,
            RequestFault::SilentBefore,
            RequestFault::SilentAfter,
            RequestFault::Refused,
            RequestFault::Slow(Duration::from_secs(2)),
        ];
        let (action, event) = match rng.u8(..8) {
            0 => (None, ScriptedEvent::RandomForeignWrite),
            1 => (
                Some(WRITES[rng.usize(..3)]),
                ScriptedEvent::RandomForeignWrite,
            ),
            2 => (None, ScriptedEvent::Replacement),
            3 => (Some(WRITES[rng.usize(..3)]), ScriptedEvent::Deletion),
            _ => (
                Some(WRITES[rng.usize(..3)]),
                ScriptedEvent::RequestFault(request_faults[rng.usize(..request_faults.len())]),
            ),
        };
        faults.script.push(Trigger {
            instance: ids[rng.usize(..ids.len())].clone(),
            action,
            nth: rng.u64(1..=3),
            event,
        });
    }
    faults
}

fn entry(rng: &mut Rng, region: &str, place: usize) -> Entry {
    let state = match rng.u8(..40) {
        0..5 => "pending",
        5..8 => "stopped",
        8 => "rebooting",
        _ => "running",
    };
    let family = ["dualstack", "dualstack", "ipv4", "ipv6"][rng.usize(..4)];
    let mut rules: Vec<PortState> = firewall(rng, None)
        .iter()
        .map(|(key, sources)| PortState::canonical(*key, sources))
        .collect();
    match rng.u8(..48) {
        0 => rules.push(odd("sctp", 7, 7, &["10.0.0.0/24"])),
        1 => rules.push(odd("all", 0, 0, &["10.0.0.0/24"])),
        2 => rules.push(odd("tcp", 8080, 8080, &[])),
        3 => rules.push(odd("TCP", 8080, 8080, &["10.0.0.7"])),
        4 => rules.extend([
            odd("udp", 9, 9, &["10.0.0.0/25"]),
            odd("udp", 9, 9, &["0.0.0.0/1"]),
        ]),
        5 => rules.push(PortState {
            state: Some("closed".to_owned()),
            ..odd("tcp", 8443, 8443, &["0.0.0.0/0"])
        }),
        _ => {}
    }
    Entry {
        name: format!("web-{place}"),
        arn: format!("arn:aws:lightsail:{region}:123456789012:Instance/{place}"),
        tags: BTreeMap::new(),
        state: state.to_owned(),
        ip_address_type: family.to_owned(),
        port_states: (rng.u8(..30) > 0).then(|| rules.into()),
    }
}

fn odd(protocol: &str, from_port: i32, to_port: i32, cidrs: &[&str]) -> PortState {
    PortState {
        from_port,
        to_port,
        protocol: protocol.to_owned(),
        state: Some("open".to_owned()),
        cidrs: cidrs.iter().map(ToString::to_string).collect(),
        ..PortState::default()
    }
}

fn key(rng: &mut Rng) -> Key {
    let (protocol, from, to) = KEYS[rng.usize(..KEYS.len())];
    Key::new(protocol, from, to).expect("a key of the list")
}

/// Up to four sources, of these families where they are given.
fn sources(rng: &mut Rng, family: Option<&AddressType>) -> Sources {
    let mut sources = Sources::new();
    for _ in 0..rng.usize(1..=4) {
        if rng.u8(..8) == 0 {
            sources.insert_alias(LIGHTSAIL_CONNECT);
        } else {
            let text = NETWORKS[rng.usize(..NETWORKS.len())];
            sources.insert(text.parse().expect("a network of the list"));
        }
    }
    if let Some(family) = family {
        restrict(&mut sources, family);
    }
    sources
}

fn firewall(rng: &mut Rng, family: Option<&AddressType>) -> Firewall {
    (0..rng.usize(..5))
        .map(|_| (key(rng), sources(rng, family)))
        .collect()
}

/// Forgets the sources of families that are not there.
pub(crate) fn restrict(sources: &mut Sources, family: &AddressType) {
    if !family.has_ipv4() {
        sources.clear_ipv4();
    }
    if !family.has_ipv6() {
        sources.clear_ipv6();
    }
}

/// What is wanted of an instance: often a little more or less than it has.
fn wish(rng: &mut Rng, entry: &Entry) -> DesiredInstance {
    let family = AddressType::from(entry.ip_address_type.as_str());
    let mode = match rng.u8(..20) {
        0..11 => Mode::Authoritative,
        11..18 => Mode::Additive,
        _ => Mode::Observe,
    };
    let strategy = match rng.u8(..10) {
        0 => Strategy::Put,
        1 => Strategy::Incremental,
        _ => Strategy::Auto,
    };
    let live = LiveFirewall::read(entry.port_states.as_deref().unwrap_or_default());
    let mut rules = Firewall::new();
    for (key, sources) in live.firewall() {
        // In additive mode not everything is ours.
        if mode != Mode::Additive || rng.bool() {
            let mut sources = sources.clone();
            restrict(&mut sources, &family);
            rules.add(*key, &sources);
        }
    }
    for _ in 0..rng.usize(..3) {
        mutate(rng, &mut rules, &family);
    }
    if rng.u8(..60) == 0 {
        for n in 0..61 {
            let net = format!("192.0.2.{n}/32").parse().expect("a network");
            let sources: Sources = [net].into_iter().collect();
            rules.add(Key::new(Protocol::Tcp, 9, 9).expect("a port"), &sources);
        }
    }
    let (mut absent, mut expired) = (Vec::new(), Vec::new());
    if mode == Mode::Additive {
        for _ in 0..rng.usize(..3) {
            let key = match live.firewall().keys().nth(rng.usize(..4)) {
                Some(key) if rng.bool() => key,
                _ => key(rng),
            };
            let named = rng.bool().then(|| sources(rng, Some(&family)));
            // What is also declared is an error in the configuration.
            if rules.get(key).is_none() && named.as_ref().is_none_or(|named| !named.is_empty()) {
                absent.push(Absent {
                    key,
                    sources: named,
                    origin: origin(7),
                    why: None,
                    owner: None,
                });
            }
        }
        if rng.u8(..4) == 0 {
            let gone = firewall(rng, Some(&family));
            expired.extend(gone.iter().map(|(key, sources)| rule(*key, sources)));
        }
    }
    DesiredInstance {
        mode,
        strategy,
        rules: rules
            .iter()
            .map(|(key, sources)| rule(*key, sources))
            .collect(),
        absent,
        expired,
        notes: Vec::new(),
    }
}

fn mutate(rng: &mut Rng, rules: &mut Firewall, family: &AddressType) {
    let there = rules.keys().nth(rng.usize(..4));
    match (rng.u8(..6), there) {
        (0, Some(key)) => drop(rules.remove(key)),
        (1, Some(key)) => rules.set(key, sources(rng, Some(family))),
        (2 | 3, Some(key)) => rules.add(key, &sources(rng, Some(family))),
        (4, _) if rng.u8(..4) == 0 => *rules = firewall(rng, Some(family)),
        _ => rules.add(key(rng), &sources(rng, Some(family))),
    }
}

fn origin(line: usize) -> Origin {
    Origin {
        file: "firewall.toml".into(),
        line,
        column: 1,
    }
}

fn rule(key: Key, sources: &Sources) -> Rule {
    Rule {
        key,
        sources: sources.clone(),
        declared: Arc::new(Declaration {
            allow: key.to_string().into(),
            from: sources.cidrs().chain(sources.ipv6_cidrs()).collect(),
            origin: origin(3),
            why: None,
            owner: None,
            until: None,
        }),
    }
}
