//! The JSON of a comparison against an oracle that asks for every cell and every address of a small universe.

use std::net::IpAddr;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::exposure::{Atom, DocumentFirewall};
use crate::model::arbitrary::{Universe, change, family};
use crate::model::{Family, Firewall, InstanceId, Key, Protocol, Sources};

/// Both sides of every end of the ports, types and codes that the small universe has.
const PORTS: [u16; 11] = [0, 1, 2, 21, 22, 23, 24, 25, 65533, 65534, 65535];
const NUMBERS: [u16; 8] = [0, 1, 7, 8, 9, 100, 254, 255];

/// Both sides of every end of its networks, and its aliases.
const POINTS: [&str; 40] = [
    "0.0.0.0",
    "0.0.0.1",
    "0.0.0.2",
    "9.255.255.255",
    "10.0.0.0",
    "10.0.0.6",
    "10.0.0.7",
    "10.0.0.8",
    "10.0.0.255",
    "10.0.1.0",
    "10.0.1.255",
    "10.0.2.0",
    "10.127.255.255",
    "10.128.0.0",
    "10.255.255.255",
    "11.0.0.0",
    "127.255.255.255",
    "128.0.0.0",
    "255.255.255.253",
    "255.255.255.254",
    "255.255.255.255",
    "::",
    "::1",
    "::2",
    "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db8::",
    "2001:db8:7fff::",
    "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff",
    "2001:db8:8000::",
    "2001:db8:8000::1",
    "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db9::",
    "7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "8000::",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffd",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "lightsail-connect",
    "partners",
    "strangers",
];

/// One bit for each of the points.
type Bits = u64;

/// The points as they were read once: asking anew for each network would take most of the time.
static READ: LazyLock<Vec<Option<IpAddr>>> =
    LazyLock::new(|| POINTS.iter().map(|point| point.parse().ok()).collect());

/// Which points these texts let in, as the reader of the document would find out.
fn bits<'a>(texts: impl Iterator<Item = &'a str>) -> Bits {
    let mut bits = 0;
    for text in texts {
        let network = text.parse::<ipnet::IpNet>().ok();
        for (at, point) in READ.iter().enumerate() {
            let inside = match (&network, point) {
                (Some(network), Some(address)) => network.contains(address),
                (None, None) => text == POINTS[at],
                _ => false,
            };
            bits |= Bits::from(inside) << at;
        }
    }
    bits
}

fn of_sources(sources: &Sources) -> Bits {
    let texts: Vec<String> = sources
        .cidrs()
        .chain(sources.ipv6_cidrs())
        .chain(sources.aliases().iter().cloned())
        .collect();
    bits(texts.iter().map(String::as_str))
}

fn opens(key: Key, atom: Atom, cell: u16) -> bool {
    let (from, to, cell) = (key.from(), key.to(), i32::from(cell));
    let of_icmp = (from == -1 || from == cell / 256) && (to == -1 || to == cell % 256);
    match (key.protocol(), atom) {
        (Protocol::All, _) => true,
        (Protocol::Tcp, Atom::Tcp) | (Protocol::Udp, Atom::Udp) => (from..=to).contains(&cell),
        (Protocol::Icmp, Atom::Icmp) | (Protocol::Icmpv6, Atom::Icmpv6) => of_icmp,
        _ => false,
    }
}

/// The points that are addresses of a family.
fn of_family(family: Family) -> Bits {
    let texts = match family {
        Family::V4 => ["0.0.0.0/0"],
        Family::V6 => ["::/0"],
    };
    bits(texts.into_iter())
}

/// The browser client.
fn client() -> Bits {
    bits(["lightsail-connect"].into_iter())
}

fn oracle(rules: &[(Key, Bits)], atom: Atom, cell: u16, family: Family) -> Bits {
    let open = rules.iter().filter(|(key, _)| opens(*key, atom, cell));
    let all = open.fold(0, |all, (_, bits)| all | bits);
    let whole = of_family(family);
    // Where the whole family gets in, so does the browser client.
    if all & whole == whole {
        all | client()
    } else {
        all
    }
}

/// A box of the document.
struct Read {
    protocol: String,
    from: u64,
    to: u64,
    bits: Bits,
}

fn boxes(value: &Value) -> Vec<Read> {
    let texts = |of: &Value| -> Vec<String> {
        let list = of.as_array().expect("a list");
        list.iter()
            .filter_map(|text| text.as_str().map(str::to_owned))
            .collect()
    };
    let read = |one: &Value| {
        assert_eq!(one.as_object().map(serde_json::Map::len), Some(6), "{one}");
        let lists = ["cidrs", "ipv6Cidrs", "cidrListAliases"].map(|member| texts(&one[member]));
        Read {
            protocol: one["protocol"].as_str().expect("a name").to_owned(),
            from: one["from"].as_u64().expect("a cell"),
            to: one["to"].as_u64().expect("a cell"),
            bits: bits(lists.iter().flatten().map(String::as_str)),
        }
    };
    value.as_array().expect("a list").iter().map(read).collect()
}

fn said(boxes: &[Read], atom: Atom, cell: u16) -> Bits {
    let cell = u64::from(cell);
    let here = |one: &&Read| one.protocol == atom.as_str() && (one.from..=one.to).contains(&cell);
    boxes.iter().find(here).map_or(0, |one| one.bits)
}

fn cells() -> Vec<(Atom, u16)> {
    let of_icmp = NUMBERS
        .iter()
        .flat_map(|kind| NUMBERS.map(|code| kind * 256 + code));
    let of_icmp: Vec<u16> = of_icmp.collect();
    let of = |atom: Atom, cells: &[u16]| cells.iter().map(|cell| (atom, *cell)).collect::<Vec<_>>();
    [
        of(Atom::Tcp, &PORTS),
        of(Atom::Udp, &PORTS),
        of(Atom::Icmp, &of_icmp),
        of(Atom::Icmpv6, &of_icmp),
        of(Atom::Other, &[0]),
    ]
    .concat()
}

fn document(before: &Firewall, after: &Firewall, family: Family) -> Value {
    let compared = Compared::new(
        None,
        DocumentFirewall::of(before, family),
        DocumentFirewall::of(after, family),
    );
    serde_json::from_str(&comparison(&[compared], &[])).expect("JSON")
}

/// The box says just this, but that one which names the whole family of the browser client cannot leave it out.
fn say(found: Bits, expected: Bits, family: Family) -> Result<(), TestCaseError> {
    let whole = of_family(family);
    if found & whole == whole {
        prop_assert_eq!(found & client(), 0, "it is named beside its whole family");
        prop_assert_eq!(found, expected & !client());
    } else {
        prop_assert_eq!(found, expected);
    }
    Ok(())
}

fn agrees(before: &Firewall, after: &Firewall, family: Family) -> Result<(), TestCaseError> {
    let document = document(before, after, family);
    let instance = &document["instances"][0];
    let (gained, lost) = (boxes(&instance["gained"]), boxes(&instance["lost"]));
    let rules = |firewall: &Firewall| -> Vec<(Key, Bits)> {
        let rule = |(key, sources): (&Key, &Sources)| (*key, of_sources(sources));
        firewall.iter().map(rule).collect()
    };
    let (was, is) = (rules(before), rules(after));
    let mut differs = false;
    for (atom, cell) in cells() {
        let (was, is) = (
            oracle(&was, atom, cell, family),
            oracle(&is, atom, cell, family),
        );
        differs |= was != is;
        say(said(&gained, atom, cell), is & !was, family)?;
        say(said(&lost, atom, cell), was & !is, family)?;
    }
    prop_assert_eq!(&instance["equal"], !differs);
    Ok(())
}

/// Without the keys that take 256 boxes each, so that many cases stay quick; the test beside has them.
fn plain(firewall: &Firewall) -> Firewall {
    let scattered = |key: Key| key.protocol().is_icmp() && key.from() == -1 && key.to() != -1;
    let rules = firewall.iter().filter(|(key, _)| !scattered(**key));
    rules
        .map(|(key, sources)| (*key, sources.clone()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]
    #[test]
    fn random_pairs_agree_with_the_oracle((before, after) in change(Universe::Small), family in family()) {
        agrees(&plain(&before), &plain(&after), family)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn icmp_codes_agree_with_the_oracle((before, after) in change(Universe::Small), family in family()) {
        agrees(&before, &after, family)?;
    }
}

#[test]
fn members_are_documented() {
    let key = Key::new(Protocol::Icmp, 8, -1).expect("a key");
    let after: Firewall = [(key, Sources::anywhere())].into_iter().collect();
    let id = |region: &str| InstanceId {
        account: None,
        region: region.to_owned(),
        name: "web-1".to_owned(),
    };
    let compared = |id| {
        Compared::new(
            id,
            DocumentFirewall::default(),
            DocumentFirewall::of(&after, Family::V4),
        )
    };
    let all = [
        compared(None),
        compared(Some(id(""))),
        compared(Some(id("eu-central-1"))),
    ];
    let document: Value = serde_json::from_str(&comparison(&all, &[])).expect("JSON");
    let instance = |name: Value, region: Value| {
        serde_json::json!({"name": name, "region": region, "equal": false, "gained": [
            {"protocol": "icmp", "from": 2048, "to": 2303, "cidrs": ["0.0.0.0/0"], "ipv6Cidrs": ["::/0"], "cidrListAliases": []}
        ], "lost": []})
    };
    assert_eq!(
        document,
        serde_json::json!({"instances": [
            instance(Value::Null, Value::Null),
            instance("web-1".into(), Value::Null),
            instance("web-1".into(), "eu-central-1".into()),
        ]})
    );
}
