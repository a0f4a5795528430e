//! Tests of `[guard]`, and of the fingerprint of a configuration.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::super::{Source, parse};
use super::{problems, read};
use crate::model::Guard;

fn guard(text: &str) -> Guard {
    let config = read(text).unwrap_or_else(|errors| panic!("{errors}"));
    let desired = config.resolve(
        &BTreeMap::new(),
        &BTreeSet::new(),
        OffsetDateTime::UNIX_EPOCH,
    );
    desired.unwrap_or_else(|errors| panic!("{errors}")).guard
}

#[test]
fn guard_has_defaults() {
    assert_eq!(guard(""), Guard::default());
    assert_eq!(guard("[guard]"), Guard::default());
}

#[test]
fn names_in_keep_are_resolved() {
    let guard = guard(
        "[addresses]\nadmins = [\"192.0.2.1\", \"2001:db8::/32\"]\n\
         [guard]\nkeep = [{ allow = [\"ssh\", \"ping\"], from = \"admins\", why = \"us\" }]\nmax-instances = 0\nmax-closed = 0x10",
    );
    let keep: Vec<String> = guard
        .keep
        .iter()
        .map(|rule| format!("{} {} {}", rule.key, rule.sources, rule.declared.origin))
        .collect();
    assert_eq!(
        keep,
        [
            "tcp/22 192.0.2.1/32, 2001:db8::/32 f.toml:5",
            "icmp/8:-1 192.0.2.1/32 f.toml:5",
            "icmpv6/128:0 2001:db8::/32 f.toml:5",
        ]
    );
    assert_eq!((guard.max_instances, guard.max_closed), (Some(0), 16));
}

#[test]
fn errors_are_reported() {
    for (text, expected) in [
        (
            "[guard]\nmax-instance = 1",
            "3:1: error[PW-103]: unknown key `max-instance` in `[guard]` (did you mean `max-instances`?)",
        ),
        (
            "[guard]\nmax-closed = -1",
            "3:14: error[PW-105]: `max-closed` must be 0 or more, found -1 (write how many one run may change; without the key the default holds)",
        ),
        (
            "[guard]\nmax-closed = \"2\"",
            "3:14: error[PW-104]: `max-closed` must be an integer, found a string",
        ),
        (
            "[guard]\nkeep = [{ allow = \"ssh\" }]",
            "3:9: error[PW-104]: the rule has no `from` (name who gets in, or write `from = \"anywhere\"` for everyone)",
        ),
        (
            "[guard]\nkeep = [{ allow = \"ssh\", from = \"anywhere\", until = 2031-01-01 }]",
            "3:45: error[PW-103]: unknown key `until` in a rule of `keep` (the keys here are `allow`, `from`, `owner`, `why`)",
        ),
        (
            "[guard]\nkeep = [{ allow = \"ssh\", from = \"admin\" }]",
            "3:33: error[PW-109]: there is no address set `admin`",
        ),
    ] {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{found:?}");
    }
}

#[test]
fn only_the_first_file_may_have_a_guard() {
    let first = Source::new("a.toml", "version = 1");
    let errors = parse(vec![first, Source::new("b.toml", "[guard]")]).expect_err("refused");
    assert_eq!(
        errors.to_string(),
        "b.toml:1:2: error[PW-114]: `[guard]` in an included file (it is for all files: write it into the first one)"
    );
}

#[test]
fn fingerprint_depends_on_texts_and_not_on_paths() {
    let fingerprint = |name: &str, texts: [&str; 2]| {
        let sources = texts.map(|text| Source::new(name, text)).to_vec();
        parse(sources).expect("a configuration").fingerprint()
    };
    let one = fingerprint("a", ["version = 1", ""]);
    assert_eq!(one, fingerprint("b", ["version = 1", ""]));
    assert_ne!(one, fingerprint("a", ["version = 1 ", ""]));
    assert_ne!(one, fingerprint("a", ["version = 1", " "]));
}
