//! Tests of `[grants]` and of the leases in the tags of instances.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::super::{Config, describe_grant_changes};
use super::{instance, problems, read};
use crate::lease::LeaseState;
use crate::model::{AddressType, DesiredInstance, Instance, Key, Protocol, Site};

const GRANTS: &str = "[defaults]\nregion = \"eu-central-1\"\n\
    [grants]\nservices = [\"ssh\", \"tcp/8000-8100\"]\nmax = \"8h\"\nmatch = { name = \"web-*\" }\n";

fn config(text: &str) -> Config {
    read(text).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Noon of 2 January 2031.
fn noon() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_925_121_600).expect("in range")
}

fn tagged(name: &str, address_type: AddressType, tags: &[(&str, &str)]) -> Instance {
    let tags = tags
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Instance {
        tags: tags.collect(),
        ..instance(&format!("eu-central-1/{name}"), address_type)
    }
}

fn desired(config: &Config, instance: &Instance) -> DesiredInstance {
    let all = BTreeMap::from([(instance.id.clone(), instance.clone())]);
    let listed = BTreeSet::from([Site::of_region("eu-central-1")]);
    let desired = config.resolve(&all, &listed, noon());
    let mut desired = desired.unwrap_or_else(|errors| panic!("{errors}"));
    let wanted = desired.instances.remove(&instance.id).expect("declared");
    (*wanted).clone()
}

fn texts(wanted: &DesiredInstance) -> (Vec<String>, Vec<String>, Vec<String>) {
    let rules = |rules: &[crate::model::Rule]| {
        let rules = rules.iter();
        rules
            .map(|rule| format!("{} {} {}", rule.key, rule.sources, rule.declared.origin))
            .collect()
    };
    let notes = wanted.notes.iter();
    let notes = notes.map(|note| {
        let origin = note.origin.as_ref().map(ToString::to_string);
        format!("{}: {}", origin.unwrap_or_default(), note.text)
    });
    (
        rules(&wanted.rules),
        rules(&wanted.expired),
        notes.collect(),
    )
}

const TAGS: &[(&str, &str)] = &[
    (
        "portward:grant:aaaa",
        "1 20310102T130000Z tcp/22 203.0.113.7/32 by=1:user/a why=deploy",
    ),
    (
        "portward:grant:bbbb",
        "1 20310102T120000Z tcp/22 203.0.113.8/32 by=b",
    ),
    (
        "portward:grant:cccc",
        "1 20310102T130000Z tcp/443 203.0.113.9/32 by=c",
    ),
    (
        "portward:grant:dddd",
        "1 20310103T130000Z tcp/22 203.0.113.9/32 by=d",
    ),
    ("portward:grant:eeee", "2 what"),
    ("portward:grants", "of somebody else"),
];

#[test]
fn lease_in_force_is_declared_and_others_are_noted() {
    let text = format!(
        "{GRANTS}[instances.web-1]\nrules = [{{ allow = \"ssh\", from = \"192.0.2.0/24\" }}]"
    );
    let config = config(&text);
    let web = tagged("web-1", AddressType::Dualstack, TAGS);
    let (rules, expired, notes) = texts(&desired(&config, &web));
    assert_eq!(
        rules,
        [
            "tcp/22 192.0.2.0/24 f.toml:9",
            "tcp/22 203.0.113.7/32 portward:grant:aaaa"
        ]
    );
    assert_eq!(expired, ["tcp/22 203.0.113.8/32 portward:grant:bbbb"]);
    assert_eq!(
        notes,
        [
            "portward:grant:bbbb: tcp/22 from 203.0.113.8/32 was granted to b until 2031-01-02 12:00:00 UTC, which is over",
            "portward:grant:eeee: this tag is not a valid grant and opens nothing: it is of version `2`, which this program does not know",
            "portward:grant:cccc: tcp/443 from 203.0.113.9/32, for c until 2031-01-02 13:00:00 UTC, is not granted: `[grants]` permits ssh, tcp/8000-8100, and not tcp/443",
            "portward:grant:dddd: tcp/22 from 203.0.113.9/32, for d until 2031-01-03 13:00:00 UTC, is not granted: `[grants]` permits 8h at most",
            "portward:grant:aaaa: tcp/22 from 203.0.113.7/32 is granted to 1:user/a until 2031-01-02 13:00:00 UTC: deploy",
        ]
    );
    let ends = desired(&config, &web).next_expiry().expect("an end");
    assert_eq!(ends.at, noon() + time::Duration::HOUR);
    let states: Vec<LeaseState> = config
        .leases(&web, noon())
        .iter()
        .map(|one| one.state)
        .collect();
    assert_eq!(
        states,
        [
            LeaseState::Expired,
            LeaseState::Unreadable,
            LeaseState::NotHonoured,
            LeaseState::NotHonoured,
            LeaseState::Live
        ]
    );
}

#[test]
fn unpermitted_tag_has_no_effect() {
    let rules = "rules = [{ allow = \"https\", from = \"anywhere\" }]";
    let additive = format!("mode = \"additive\"\n{rules}");
    for (text, name, kept) in [
        // There is no table, or `match` does not match the instance.
        (
            format!("[defaults]\nregion = \"eu-central-1\"\n[instances.web-1]\n{rules}"),
            "web-1",
            0,
        ),
        (format!("{GRANTS}[instances.db-1]\n{rules}"), "db-1", 0),
        (format!("{GRANTS}[instances.db-1]\n{additive}"), "db-1", 0),
        (format!("{GRANTS}[instances.web-1]\n{additive}"), "web-1", 1),
    ] {
        let config = config(&text);
        let wanted = desired(&config, &tagged(name, AddressType::Dualstack, &TAGS[1..5]));
        let (rules, expired, notes) = texts(&wanted);
        assert_eq!(rules.len(), 1, "{rules:?}");
        assert_eq!(expired.len(), kept, "{text}: {expired:?}");
        assert_eq!(notes.len(), 4, "{notes:?}");
    }
}

#[test]
fn lease_opens_only_families_of_the_instance() {
    let config = config(&format!("{GRANTS}[instances.web-1]"));
    let tags = [(
        "portward:grant:aaaa",
        "1 20310102T130000Z tcp/22 203.0.113.7/32 2001:db8::/64 by=a",
    )];
    for (kind, sources) in [
        (AddressType::Dualstack, "203.0.113.7/32, 2001:db8::/64"),
        (AddressType::Ipv4, "203.0.113.7/32"),
        (AddressType::Ipv6, "2001:db8::/64"),
    ] {
        let wanted = desired(&config, &tagged("web-1", kind, &tags));
        assert_eq!(wanted.rules[0].sources.to_string(), sources);
        assert_eq!(
            wanted.rules[0].key,
            Key::new(Protocol::Tcp, 22, 22).expect("a key")
        );
    }
}

#[test]
fn lease_on_an_undeclared_instance_is_noted() {
    let config = config(&format!("{GRANTS}[instances.db-1]"));
    let web = tagged("web-1", AddressType::Dualstack, &TAGS[..1]);
    let db = tagged("db-1", AddressType::Dualstack, &[]);
    let all = [web, db].map(|one| (one.id.clone(), one)).into();
    let listed = BTreeSet::from([Site::of_region("eu-central-1")]);
    let desired = config.resolve(&all, &listed, noon()).expect("it resolves");
    let notes: Vec<&str> = desired
        .notes
        .iter()
        .map(|note| note.text.as_str())
        .collect();
    assert_eq!(
        notes,
        ["a grant on `eu-central-1/web-1` opens nothing: nothing declares the instance"]
    );
}

#[test]
fn errors_are_reported() {
    for (text, expected) in [
        (
            "[grants]\nservices = \"ssh\"",
            "2:2: error[PW-104]: `[grants]` has no `max` (say for how long at most, as in `max = \"8h\"`)",
        ),
        (
            "[grants]\nmax = \"8h\"",
            "2:2: error[PW-104]: `[grants]` has no `services` (name what may be granted, as in `services = [\"ssh\"]`)",
        ),
        (
            "[grants]\nservices = \"ssh\"\nmax = \"soon\"",
            "4:7: error[PW-105]: `max` cannot be `soon` (write a length of time, as in \"30m\", \"8h\" or \"2d\")",
        ),
        (
            "[grants]\nservices = \"shs\"\nmax = \"8h\"",
            "3:12: error[PW-109]: there is no service `shs` (did you mean `ssh`?)",
        ),
        (
            "[grants]\nservices = \"ssh\"\nmax = \"8h\"\nmax-sources = { ipv4 = \"/33\" }",
            "5:24: error[PW-105]: `ipv4` cannot be `/33` (write a prefix length from \"/0\" to \"/32\": as many addresses as such a network holds)",
        ),
        (
            "[grants]\nservices = \"ssh\"\nmax = \"8h\"\nreason = true",
            "5:10: error[PW-104]: `reason` must be a string, found a boolean",
        ),
        (
            "[grants]\nservices = \"ssh\"\nmax = \"8h\"\nwhoami = \"http://127.0.0.1.example.com/\"",
            "5:10: error[PW-105]: `whoami` cannot be `http://127.0.0.1.example.com/` (write an `https://` address; `http://` is taken on loopback only)",
        ),
    ] {
        assert_eq!(problems(text), [expected], "{text}");
    }
    for url in [
        "https://a.example/ip",
        "http://127.0.0.1:80/",
        "http://[::1]:8080",
    ] {
        let text = format!("[grants]\nservices = \"ssh\"\nmax = \"8h\"\nwhoami = \"{url}\"");
        assert_eq!(problems(&text), Vec::<String>::new(), "{url}");
    }
}

#[test]
fn changed_limits_of_grants_are_described() {
    let of = |text: &str| config(text);
    let (none, some) = (of(""), of("[grants]\nservices = \"ssh\"\nmax = \"8h\""));
    let more =
        of("[grants]\nservices = [\"ssh\", \"https\"]\nmax = \"8h\"\nmatch = { name = \"web-*\" }");
    let all = |one: &Config, other: &Config| describe_grant_changes(one, other);
    assert_eq!(all(&some, &some), Vec::<String>::new());
    assert_eq!(all(&none, &none), Vec::<String>::new());
    assert_eq!(
        all(&none, &some),
        [
            "`[grants]` permitted nothing, and now permits match every instance; max 8h; max-sources /32 and /64; reason optional; services tcp/22; whoami the built-in addresses"
        ]
    );
    assert_eq!(
        all(&some, &more),
        [
            "`match` of `[grants]` was every instance, and now is name web-*",
            "`services` of `[grants]` was tcp/22, and now is tcp/22, tcp/443",
        ]
    );
}

/// A user who may only grant may write such tags, and must not decide the rules of an instance with them.
#[test]
fn groups_cannot_match_lease_tags() {
    let region = "[defaults]\nregion = \"eu-central-1\"\n";
    for (table, line) in [
        (
            "[groups.web]\nmatch = { tags = { \"portward:team\" = \"web\" } }\nrules = []",
            5,
        ),
        (
            "[grants]\nservices = [\"ssh\"]\nmax = \"8h\"\nmatch = { tags = { \"portward:grant:abcd\" = \"*\" } }",
            7,
        ),
        (
            "[[policy]]\nid = \"a\"\nservices = \"ssh\"\nonly-from = \"203.0.113.7\"\nmatch = { tags = { role = \"x\", \"portward:\" = \"*\" } }",
            8,
        ),
    ] {
        let mut found = problems(&format!("{region}{table}\n"));
        found.retain(|problem| problem.contains("error"));
        let [problem] = &found[..] else {
            panic!("{found:#?}")
        };
        for text in [
            "cannot be matched: whoever may grant access for a time may write tags whose keys begin with `portward:`",
            "match a tag that nobody writes who may only grant, such as `role`",
        ] {
            assert!(problem.contains(text), "{text}: {problem}");
        }
        assert!(problem.starts_with(&format!("{line}:")), "{problem}");
    }
    let mut other = problems(&format!(
        "{region}[groups.web]\nmatch = {{ tags = {{ \"portwards:team\" = \"web\" }} }}\nrules = []\n"
    ));
    other.retain(|problem| problem.contains("error"));
    assert_eq!(other, Vec::<String>::new());
}
