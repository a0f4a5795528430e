//! Leases in tags and limits. Knows nothing of configurations.

use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::tag::decode;
use super::*;
use crate::model::{Protocol, is_unsafe};

fn tags_of(lease: &Lease) -> BTreeMap<String, String> {
    let value = lease.value().expect("it fits");
    [(lease.id.tag_key(), value)].into()
}

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).expect("in range")
}

fn any_key() -> impl Strategy<Value = Key> {
    let ports = |protocol| {
        (0..=65535, 0..=65535).prop_map(move |(one, other): (i32, i32)| {
            Key::new(protocol, one.min(other), one.max(other)).expect("a key")
        })
    };
    let icmp = |protocol| {
        (-1..=255, -1..=255)
            .prop_map(move |(kind, code)| Key::new(protocol, kind, code).expect("a key"))
    };
    prop_oneof![
        ports(Protocol::Tcp),
        ports(Protocol::Udp),
        icmp(Protocol::Icmp),
        icmp(Protocol::Icmpv6),
        Just(Key::ALL),
    ]
}

fn any_net() -> impl Strategy<Value = IpNet> {
    prop_oneof![
        (any::<[u8; 4]>(), 0..=32_u8).prop_map(|(address, prefix)| IpNet::V4(
            Ipv4Net::new(address.into(), prefix).expect("a network")
        )),
        (any::<[u8; 16]>(), 0..=128_u8).prop_map(|(address, prefix)| IpNet::V6(
            Ipv6Net::new(address.into(), prefix).expect("a network")
        )),
    ]
}

prop_compose! {
    fn any_lease()(
        bits: u64,
        until in 0..253_402_300_799_i64,
        nanos in 0..1_000_000_000_u32,
        keys in btree_set(any_key(), 1..4),
        nets in vec(any_net(), 1..5),
        by in any::<String>(),
        why in prop_oneof![any::<String>(), "[a-z =,;%\\u{e4}]{0,300}"],
    ) -> Lease {
        Lease {
            id: LeaseId::from_bits(bits),
            until: at(until).replace_nanosecond(nanos).expect("in range"),
            keys,
            sources: nets.into_iter().collect(),
            by,
            why,
        }
    }
}

proptest! {
    /// What is read of a tag is what was written, and nothing that matters is ever cut.
    #[test]
    fn a_lease_comes_back_as_it_was_written(lease in any_lease()) {
        match lease.clone().fitted() {
            Err(LeaseSizeError::Access(length)) => prop_assert!(length > MAX_VALUE_CHARS),
            Err(error) => prop_assert!(false, "{error}"),
            Ok(fitted) => {
                let tags = tags_of(&fitted);
                let (key, value) = tags.iter().next().expect("one");
                prop_assert!(key.len() <= 128 && value.len() <= MAX_VALUE_CHARS);
                let taken = |c: char| c.is_ascii_alphanumeric() || " _.:/=+-@".contains(c);
                prop_assert!(value.chars().all(taken), "{value}");
                prop_assert!(!value.starts_with(' ') && !value.ends_with(' ') && !value.contains("  "));
                prop_assert_eq!(decode(key, value), Ok(fitted.clone()));
                prop_assert_eq!(Leases::of(&tags).leases, vec![fitted.clone()]);
                prop_assert_eq!((&fitted.keys, &fitted.sources), (&lease.keys, &lease.sources));
                prop_assert_eq!(fitted.until.unix_timestamp(), lease.until.unix_timestamp());
                prop_assert!(!fitted.why.contains(is_unsafe) && !fitted.by.contains(is_unsafe));
                let apart = |c: char| c.is_whitespace() || is_unsafe(c);
                let words = lease.why.split(apart).filter(|word| !word.is_empty());
                let words = words.collect::<Vec<_>>().join(" ");
                prop_assert!(words.starts_with(&fitted.why));
                // A lease that was fitted once is not cut again.
                prop_assert_eq!(fitted.clone().fitted(), Ok(fitted));
            }
        }
    }

    /// Every tag is a lease or is named, and none makes this program panic.
    #[test]
    fn any_tag_is_answered(
        key in any::<String>(),
        value in prop_oneof![
            any::<String>(),
            "1 [0-9TZ]{0,17} [a-z0-9/:. -]{0,40}( by=[a-zA-Z0-9=]{0,9})?( why=.{0,9})?",
            "1 20310102T031500Z tcp/22 203.0.113.7/[0-9]{1,3} by=[a=%0-9]{0,6}",
        ],
    ) {
        let key = format!("{PREFIX}{key}");
        let tags = [(key.clone(), value.clone())].into();
        let found = Leases::of(&tags);
        prop_assert_eq!(found.leases.len() + found.unreadable.len(), 1);
        for lease in found.leases {
            prop_assert!(!lease.keys.is_empty() && !lease.sources.is_empty());
            // What was read can be written, and means the same.
            let again = lease.clone().fitted().expect("it came from a tag");
            prop_assert_eq!((again.keys, again.sources, again.until), (lease.keys, lease.sources, lease.until));
        }
    }
}

#[test]
fn a_tag_is_read_by_people_too() {
    let net = Sources::parse_live("203.0.113.7").expect("a network");
    let lease = Lease {
        id: LeaseId::parse("k3f9mnpq").expect("an id"),
        until: at(1_925_090_100),
        keys: [Key::new(Protocol::Tcp, 22, 22).expect("a key")].into(),
        sources: [net].into_iter().collect(),
        by: caller_name("arn:aws:sts::123456789012:assumed-role/deploy/run-7"),
        why: "deploy 4711, again".into(),
    };
    let lease = lease.fitted().expect("it fits");
    assert_eq!(
        tags_of(&lease).into_iter().next(),
        Some((
            "portward:grant:k3f9mnpq".to_owned(),
            "1 20310102T031500Z tcp/22 203.0.113.7/32 by=123456789012:assumed-role/deploy/run-7 why=deploy 4711=2C again"
                .to_owned()
        ))
    );
    assert_eq!(lease.to_string(), "tcp/22 from 203.0.113.7/32");
}

#[test]
fn what_is_no_lease_says_why() {
    let good = "1 20310102T031500Z tcp/22 203.0.113.7/32 by=a why=b";
    for (id, value, why) in [
        (
            "abcd",
            "",
            "it is of version ``, which this program does not know",
        ),
        (
            "abcd",
            "2 x",
            "it is of version `2`, which this program does not know",
        ),
        (
            "abcd",
            "1 20310102T031500Z tcp/22 1.2.3.4/32",
            "its caller or its reason is missing or invalid",
        ),
        (
            "abcd",
            "1 2031-01-02 tcp/22 1.2.3.4/32 by=a",
            "it has no valid end",
        ),
        (
            "abcd",
            "1 20310102T031500Z tcp/22 by=a",
            "it names no source",
        ),
        (
            "abcd",
            "1 20310102T031500Z 1.2.3.4/32 by=a",
            "it names no port",
        ),
        (
            "abcd",
            "1 20310102T031500Z tcp/22 office by=a",
            "`office` is neither a port nor a network",
        ),
        (
            "abcd",
            "1 20310102T031500Z tcp/022 1.2.3.4 by=a",
            "`tcp/022` is neither a port nor a network",
        ),
        (
            "abcd",
            "1 20310102T031500Z tcp/22 1.2.3.4 by=",
            "its caller or its reason is missing or invalid",
        ),
        (
            "abcd",
            "1 20310102T031500Z tcp/22 1.2.3.4 by==GG",
            "its caller or its reason is missing or invalid",
        ),
        ("", good, "`` is not a valid id"),
        ("ABCD", good, "`ABCD` is not a valid id"),
    ] {
        let found = decode(&format!("{PREFIX}{id}"), value);
        assert_eq!(
            found.map_err(|why| why.to_string()),
            Err(why.to_owned()),
            "{value}"
        );
    }
    assert!(decode(&format!("{PREFIX}abcd"), good).is_ok());
}

fn limits() -> GrantLimits {
    let tcp = |from, to| Key::new(Protocol::Tcp, from, to).expect("a key");
    GrantLimits {
        keys: [tcp(22, 22), tcp(8000, 8100)].into(),
        services: vec!["ssh".into(), "tcp/8000-8100".into()],
        max: Duration::from_hours(8),
        ipv4: 32,
        ipv6: 64,
        reason_required: true,
        whoami: Vec::new(),
        origin: Origin::of_tag("x".into()),
    }
}

#[test]
fn what_is_beyond_the_limits_is_not_permitted() {
    let lease = |key: &str, net: &str, seconds: i64, why: &str| {
        let value = format!("1 20310102T031500Z {key} {net} by=a why={why}");
        let value = value.trim_end_matches(" why=").to_owned();
        let mut lease = decode("portward:grant:abcd", &value).expect("a lease");
        lease.until = at(seconds);
        lease
    };
    let now = at(1_000_000);
    let hours = |n: i64| 1_000_000 + n * 3_600;
    for (lease, matches, why) in [
        (lease("tcp/22", "203.0.113.7/32", hours(8), "x"), true, None),
        (
            lease("tcp/8001-8002", "2001:db8::/64", hours(8) + 599, "x"),
            true,
            None,
        ),
        (
            lease("tcp/22", "203.0.113.7/32", hours(9), "x"),
            true,
            Some("`[grants]` permits 8h at most"),
        ),
        (
            lease("tcp/443", "203.0.113.7/32", hours(1), "x"),
            true,
            Some("`[grants]` permits ssh, tcp/8000-8100, and not tcp/443"),
        ),
        (
            lease("tcp/8000-8101", "203.0.113.7/32", hours(1), "x"),
            true,
            Some("`[grants]` permits ssh, tcp/8000-8100, and not tcp/8000-8101"),
        ),
        (
            lease("udp/22", "203.0.113.7/32", hours(1), "x"),
            true,
            Some("`[grants]` permits ssh, tcp/8000-8100, and not udp/22"),
        ),
        (
            lease("tcp/22", "203.0.113.0/24", hours(1), "x"),
            true,
            Some("`[grants]` permits sources of at most /32, and 203.0.113.0/24 is wider"),
        ),
        (
            lease("tcp/22", "2001:db8::/63", hours(1), "x"),
            true,
            Some("`[grants]` permits sources of at most /64, and 2001:db8::/63 is wider"),
        ),
        (
            lease("tcp/22", "203.0.113.7/32", hours(1), "x"),
            false,
            Some("`match` of `[grants]` does not select the instance"),
        ),
        (
            lease("tcp/22", "203.0.113.7/32", hours(1), ""),
            true,
            Some("`[grants]` requires a reason"),
        ),
    ] {
        let judged = limits()
            .permits(&lease, matches, now)
            .map_err(|why| why.to_string());
        assert_eq!(judged.err().as_deref(), why, "{lease}");
    }
}

/// Spaces take one character in a tag, and are counted so.
#[test]
fn a_long_reason_fills_the_tag() {
    let lease = Lease {
        id: LeaseId::from_bits(7),
        until: at(1_925_090_100),
        keys: [Key::new(Protocol::Tcp, 22, 22).expect("a key")].into(),
        sources: ["203.0.113.7/32".parse::<IpNet>().expect("a network")]
            .into_iter()
            .collect(),
        by: "123456789012:user/alice".to_owned(),
        why: "a b ".repeat(90),
    };
    let value = lease.fitted().and_then(|lease| lease.value());
    let length = value.expect("it fits").len();
    assert!(
        (MAX_VALUE_CHARS - 1..=MAX_VALUE_CHARS).contains(&length),
        "{length}"
    );
}
