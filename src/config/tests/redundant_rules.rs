//! Tests of redundant rules: the warning, and that the access is the same without them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use proptest::prelude::*;
use time::OffsetDateTime;

use super::{instance, problems, read};
use crate::exposure::Effective;
use crate::model::AddressType;

#[test]
fn redundant_rule_is_reported_once() {
    let web = "[groups.web]\nmatch = { name = \"web-*\" }\n";
    for (text, warned) in [
        // The second of two equal rules, and the narrower one in either order.
        (
            "rules = [\n{ allow = \"ssh\", from = \"192.0.2.1\" },\n{ allow = \"tcp/22\", from = \"192.0.2.1\" },\n]",
            Some((6, "line 5")),
        ),
        (
            "rules = [\n{ allow = \"tcp/1-9\", from = \"anywhere\" },\n{ allow = \"tcp/5\", from = \"192.0.2.1\" },\n]",
            Some((6, "line 5")),
        ),
        (
            "rules = [\n{ allow = \"tcp/5\", from = \"192.0.2.1\" },\n{ allow = \"all\", from = \"anywhere-v4\" },\n]",
            Some((5, "line 6")),
        ),
        (
            "rules = [{ allow = \"tcp/5\", from = \"192.0.2.1\" }, { allow = \"tcp/5\", from = \"192.0.2.1\" }]",
            Some((4, "another rule of this line")),
        ),
        // Two halves of a network equal the network, and `anywhere` contains the browser client.
        (
            "rules = [\n{ allow = \"ssh\", from = [\"192.0.2.0/25\", \"192.0.2.128/25\"] },\n{ allow = \"ssh\", from = \"192.0.2.0/24\" },\n]",
            Some((6, "line 5")),
        ),
        (
            "rules = [\n{ allow = \"ssh\", from = \"anywhere\" },\n{ allow = \"ssh\", from = \"lightsail-connect\" },\n]",
            Some((6, "line 5")),
        ),
        (
            "rules = [\n{ allow = \"ssh\", from = \"anywhere-v4\" },\n{ allow = \"ssh\", from = \"lightsail-connect\" },\n]",
            None,
        ),
        // Not covered: in part, only by several rules, or for another time.
        (
            "rules = [\n{ allow = [\"ssh\", \"http\"], from = \"192.0.2.1\" },\n{ allow = \"ssh\", from = \"anywhere\" },\n]",
            None,
        ),
        (
            "rules = [\n{ allow = \"tcp/1-9\", from = \"anywhere\" },\n{ allow = \"tcp/5-20\", from = \"anywhere\" },\n{ allow = \"tcp/2-19\", from = \"anywhere\" },\n]",
            None,
        ),
        (
            "rules = [\n{ allow = \"ssh\", from = \"anywhere\", until = 2099-01-01 },\n{ allow = \"ssh\", from = \"192.0.2.1\" },\n]",
            None,
        ),
        (
            "rules = [\n{ allow = \"ssh\", from = \"anywhere\" },\n{ allow = \"ssh\", from = \"192.0.2.1\", until = 2099-01-01 },\n]",
            None,
        ),
        (
            "rules = [\n{ allow = \"ssh\", from = \"anywhere\", until = 2099-01-01 },\n{ allow = \"ssh\", from = \"192.0.2.1\", until = 2099-01-01 },\n]",
            Some((6, "line 5")),
        ),
        // A ruleset: covered in itself, or in every table that uses it.
        (
            "use = [\"a\"]\n[rulesets]\na = [\n{ allow = \"ssh\", from = \"anywhere\" },\n{ allow = \"ssh\", from = \"192.0.2.1\" },\n]",
            Some((8, "line 7")),
        ),
        (
            "use = [\"a\"]\nrules = [{ allow = \"ssh\", from = \"192.0.2.1\" }]\n[rulesets]\na = [\n{ allow = \"ssh\", from = \"anywhere\" },\n]",
            Some((5, "line 8")),
        ),
        (
            "use = [\"a\"]\nrules = [{ allow = \"ssh\", from = \"anywhere\" }]\n[rulesets]\na = [\n{ allow = \"ssh\", from = \"192.0.2.1\" },\n]",
            Some((8, "line 5")),
        ),
        (
            "use = [\"a\"]\nrules = [{ allow = \"ssh\", from = \"anywhere\" }]\n[instances.db-1]\nuse = [\"a\"]\n[rulesets]\na = [\n{ allow = \"ssh\", from = \"192.0.2.1\" },\n]",
            None,
        ),
        // Groups that always match the instance.
        (
            "rules = [{ allow = \"ssh\", from = \"anywhere\" }]\n[instances.web-1]\nrules = [\n{ allow = \"ssh\", from = \"192.0.2.1\" },\n]",
            Some((7, "line 4")),
        ),
        (
            "rules = [{ allow = \"ssh\", from = \"anywhere\" }]\n[instances.db-1]\nrules = [\n{ allow = \"ssh\", from = \"192.0.2.1\" },\n]",
            None,
        ),
        (
            "rules = [{ allow = \"ssh\", from = \"anywhere\" }]\n[groups.old]\nmatch = { name = \"web-old-*\" }\nrules = [\n{ allow = \"ssh\", from = \"192.0.2.1\" },\n]",
            Some((8, "line 4")),
        ),
        (
            "rules = [{ allow = \"ssh\", from = \"192.0.2.1\" }]\n[groups.old]\nmatch = { name = \"web-old-*\" }\nrules = [\n{ allow = \"ssh\", from = \"anywhere\" },\n]",
            None,
        ),
    ] {
        let found: Vec<String> = problems(&format!("{web}{text}"));
        let expected = warned.map(|(line, by)| {
            (
                format!("{line}:"),
                format!("already allowed by {by} (leave it out)"),
            )
        });
        match (&found[..], expected) {
            ([], None) => {}
            ([one], Some((line, by))) if one.starts_with(&line) && one.ends_with(&by) => {}
            (_, expected) => panic!("{found:?}, expected {expected:?} in\n{web}{text}"),
        }
    }
}

/// A configuration with one rule on each line.
#[derive(Clone, Debug)]
struct TestConfig {
    rulesets: Vec<Vec<String>>,
    /// The condition of `match`, the rulesets, and the rules.
    groups: Vec<(&'static str, Vec<usize>, Vec<String>)>,
    instances: Vec<(&'static str, Vec<usize>, Vec<String>)>,
}

impl TestConfig {
    /// The text without the rules of these lines, which become comments.
    fn without(&self, lines: &BTreeSet<usize>) -> String {
        let mut text = String::from("version = 1\n");
        let rules = |text: &mut String, rules: &[String]| {
            text.push_str("[\n");
            for rule in rules {
                let line = text.matches('\n').count() + 1;
                let _ = if lines.contains(&line) {
                    writeln!(text, "#")
                } else {
                    writeln!(text, "{rule},")
                };
            }
            text.push_str("]\n");
        };
        let _ = writeln!(text, "[rulesets]");
        for (at, list) in self.rulesets.iter().enumerate() {
            let _ = write!(text, "r{at} = ");
            rules(&mut text, list);
        }
        let used = |used: &[usize]| -> String {
            let used = used
                .iter()
                .map(|at| format!("\"r{}\"", at % self.rulesets.len()));
            used.collect::<BTreeSet<_>>()
                .into_iter()
                .collect::<Vec<_>>()
                .join(", ")
        };
        for (at, (names, uses, list)) in self.groups.iter().enumerate() {
            let _ = writeln!(
                text,
                "[groups.g{at}]\nmatch = {{ {names} }}\nuse = [{}]",
                used(uses)
            );
            let _ = write!(text, "rules = ");
            rules(&mut text, list);
        }
        for (name, uses, list) in &self.instances {
            let _ = writeln!(text, "[instances.{name}]\nuse = [{}]", used(uses));
            let _ = write!(text, "rules = ");
            rules(&mut text, list);
        }
        text
    }
}

const NAMES: [&str; 3] = ["a1", "a2", "b1"];

fn text() -> impl Strategy<Value = TestConfig> {
    let allow = prop::sample::select(vec![
        "tcp/1-9",
        "tcp/5",
        "udp/5",
        "all",
        "ping",
        "icmp",
        "tcp/1-4\", \"tcp/5-9",
    ]);
    let from = prop::sample::select(vec![
        "anywhere",
        "anywhere-v4",
        "anywhere-v6",
        "lightsail-connect",
        "s",
        "anywhere-v4\", \"anywhere-v6",
        "s\", \"anywhere-v6",
    ]);
    let until = prop::sample::select(vec![
        "",
        "",
        "",
        ", until = 2099-01-01",
        ", until = 2001-01-01",
    ]);
    let rule = (allow, from, until).prop_map(|(allow, from, until)| {
        format!("{{ allow = [\"{allow}\"], from = [\"{from}\"]{until} }}")
    });
    let rules = || prop::collection::vec(rule.clone(), 0..4);
    let uses = || prop::collection::vec(0..3_usize, 0..3);
    let matches = vec![
        "name = \"a*\"",
        "name = \"*\"",
        "name = [\"a1\", \"b*\"]",
        "tags = { x = \"y\" }",
    ];
    (
        prop::collection::vec(rules(), 1..3),
        prop::collection::vec((prop::sample::select(matches), uses(), rules()), 0..3),
        (prop::collection::vec((uses(), rules()), 0..3)),
    )
        .prop_map(|(rulesets, groups, instances)| TestConfig {
            rulesets,
            groups,
            instances: NAMES
                .into_iter()
                .zip(instances)
                .map(|(name, (uses, rules))| (name, uses, rules))
                .collect(),
        })
}

/// The access of every instance, now and after the ends of all rules.
fn access(text: &str) -> Vec<Effective> {
    let text = text.strip_prefix("version = 1\n").expect("the first line");
    let config = read(&format!(
        "addresses = {{ s = [\"192.0.2.0/24\", \"2001:db8::/32\"] }}\n{text}"
    ))
    .unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    let mut instances = BTreeMap::new();
    for address_type in [AddressType::Ipv4, AddressType::Ipv6, AddressType::Dualstack] {
        for name in NAMES {
            let mut instance = instance(&format!("{address_type}/{name}"), address_type.clone());
            if name == "a2" {
                instance.tags.insert("x".to_owned(), "y".to_owned());
            }
            instances.insert(instance.id.clone(), instance);
        }
    }
    let mut all = Vec::new();
    for as_of in [1_767_225_600, 4_102_444_800] {
        for (id, instance) in &instances {
            let one = BTreeMap::from([(id.clone(), instance.clone())]);
            let as_of = OffsetDateTime::from_unix_timestamp(as_of).expect("a time");
            let desired = config
                .resolve(&one, &BTreeSet::new(), as_of)
                .expect("sound");
            let rules = desired
                .instances
                .get(id)
                .map(|wanted| wanted.rules.clone())
                .unwrap_or_default();
            let rules = rules.iter().map(|rule| (&rule.key, &rule.sources));
            all.push(Effective::of_rules(
                rules,
                instance.address_type.client_family(),
            ));
        }
    }
    all
}

proptest! {
    #[test]
    fn removing_all_redundant_rules_keeps_access(text in text()) {
        let whole = text.without(&BTreeSet::new());
        let sets = "addresses = { s = [\"192.0.2.0/24\", \"2001:db8::/32\"] }\n";
        let rest = whole.strip_prefix("version = 1\n").expect("the first line");
        let config = read(&format!("{sets}{rest}")).unwrap_or_else(|errors| panic!("{errors}\n{whole}"));
        let warned = config.warnings().iter().filter(|warning| warning.message.contains("already allowed"));
        // The sets add a line before the rest.
        let lines: BTreeSet<usize> = warned.map(|warning| warning.origin.line - 1).collect();
        prop_assert_eq!(access(&whole), access(&text.without(&lines)), "{} without {:?}", whole, lines);
    }
}
