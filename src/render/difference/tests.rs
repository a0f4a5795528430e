//! The words of a comparison, on what the verb's own tests do not meet.

use super::*;
use crate::model::{Family, Firewall, Protocol};

fn firewall(rules: &[(Key, &[&str])]) -> Firewall {
    rules
        .iter()
        .map(|(key, texts)| {
            let sources = texts.iter().filter_map(|text| Sources::parse_live(text));
            (*key, sources.collect())
        })
        .collect()
}

fn tcp(from: i32, to: i32) -> Key {
    Key::new(Protocol::Tcp, from, to).expect("a key")
}

fn shown(before: &Firewall, after: &Firewall) -> String {
    let names = Names::default();
    let compared = Compared::new(
        None,
        DocumentFirewall::of(before, Family::V4),
        DocumentFirewall::of(after, Family::V4),
    );
    let of = Comparison {
        exit_code: 2,
        at: time::OffsetDateTime::UNIX_EPOCH,
        documents: ["old.toml", "new.toml"],
        all: &[compared],
        groups: 0,
        names: [&names, &names],
        problems: &[],
        notes: &BTreeSet::new(),
    };
    anstream::adapter::strip_str(&text(&of)).to_string()
}

#[test]
fn all_protocols_come_first_and_ports_once() {
    let after = firewall(&[(Key::ALL, &["192.0.2.1"]), (tcp(23, 23), &["192.0.2.2"])]);
    insta::assert_snapshot!(shown(&Firewall::new(), &after), @"the firewall is wider: all protocols open to 192.0.2.1/32; tcp/23 opens to 192.0.2.2/32.");
}

#[test]
fn cause_wider_than_the_line_is_named() {
    let before = firewall(&[
        (tcp(0, 21), &["192.0.2.1"]),
        (tcp(23, 65535), &["192.0.2.1"]),
    ]);
    let after = firewall(&[(tcp(0, 65535), &["192.0.2.1"])]);
    insta::assert_snapshot!(shown(&before, &after), @"the firewall is wider: tcp/22 opens to 192.0.2.1/32, by rule tcp/0-65535.");
}

#[test]
fn equal_firewalls_have_no_lines() {
    let same = firewall(&[(tcp(22, 22), &["192.0.2.0/25", "192.0.2.128/25"])]);
    let other = firewall(&[(tcp(22, 22), &["192.0.2.0/24"])]);
    insta::assert_snapshot!(shown(&same, &other), @"
    equal: the firewall
    Diff: no difference in meaning on 1 instance.
    ");
}

#[test]
fn everyone_except_few_is_described_by_the_exception() {
    let before = firewall(&[(tcp(22, 22), &["0.0.0.0/0", "::/0"])]);
    let after = firewall(&[(tcp(22, 22), &["203.0.113.0/24"])]);
    insta::assert_snapshot!(shown(&before, &after), @"the firewall is narrower: tcp/22 closes to everyone but 203.0.113.0/24.");
}
