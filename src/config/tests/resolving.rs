//! Tests of the desired state of instances.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::super::{Diagnostics, Source};
use super::{instance, parse, read};
use crate::model::{AddressType, Desired, Instance, Mode, Note, Site, Strategy};

const EU: &str = "eu-central-1";
const US: &str = "us-east-1";

/// An instance with the beginning of its name as a tag.
fn tagged(region: &str, name: &str, address_type: AddressType) -> Instance {
    let role = name.split('-').next().unwrap_or_default();
    Instance {
        tags: [("role".to_owned(), role.to_owned())].into(),
        ..instance(&format!("{region}/{name}"), address_type)
    }
}

/// Resolves with these instances on 2026-01-01, with both regions listed in full.
fn resolve(text: &str, instances: &[Instance]) -> Result<Desired, Diagnostics> {
    let config = read(text).unwrap_or_else(|errors| panic!("{errors}"));
    let instances = instances
        .iter()
        .map(|instance| (instance.id.clone(), instance.clone()))
        .collect();
    let listed = BTreeSet::from([EU, US].map(Site::of_region));
    config.resolve(
        &instances,
        &listed,
        OffsetDateTime::from_unix_timestamp(1_767_225_600).expect("a time"),
    )
}

fn dual(name: &str) -> Instance {
    tagged(EU, name, AddressType::Dualstack)
}

fn rules(desired: &Desired, id: &str) -> Vec<String> {
    let found = desired
        .instances
        .iter()
        .find(|(known, _)| known.to_string() == id)
        .expect("the instance");
    found
        .1
        .rules
        .iter()
        .map(|rule| {
            format!(
                "{} from {} at {}",
                rule.key, rule.sources, rule.declared.origin.line
            )
        })
        .collect()
}

fn notes(desired: &Desired) -> Vec<String> {
    let own = desired.instances.values().flat_map(|wanted| &wanted.notes);
    let show = |note: &Note| {
        format!(
            "{}: {}",
            note.origin.as_ref().map_or(0, |origin| origin.line),
            note.text
        )
    };
    own.chain(&desired.notes).map(show).collect()
}

fn errors(text: &str, instances: &[Instance]) -> Vec<String> {
    let errors = resolve(text, instances).expect_err("refused");
    errors
        .problems
        .iter()
        .map(|error| error.to_string().replacen("f.toml:", "", 1))
        .collect()
}

const GROUPS: &str = r#"[rulesets]
base = [{ allow = ["ssh", "http"], from = "10.0.0.0/8" }]
[groups.web]
match = { name = ["web-*", "www-?"], tags = { role = "w*" } }
use = "base"
[groups.all]
match = { name = "*" }
use = ["base"]
rules = [{ allow = "https", from = "2001:db8::/32" }]
[instances.web-1]
rules = [{ allow = "tcp/22", from = "192.0.2.1" }]
[instances."us-east-1/db-1"]
"#;

#[test]
fn rules_of_groups_and_tables_are_combined() {
    let us = tagged(US, "db-1", AddressType::Dualstack);
    let desired = resolve(GROUPS, &[dual("web-1"), us]).expect("resolved");
    assert_eq!(
        rules(&desired, "eu-central-1/web-1"),
        [
            "tcp/22 from 10.0.0.0/8 at 3",
            "tcp/22 from 192.0.2.1/32 at 12",
            "tcp/80 from 10.0.0.0/8 at 3",
            "tcp/443 from 2001:db8::/32 at 10"
        ]
    );
    assert_eq!(rules(&desired, "us-east-1/db-1").len(), 3);
    assert!(
        desired.missing.is_empty() && desired.undeclared.is_empty() && notes(&desired).is_empty()
    );
}

#[test]
fn conditions_must_all_hold() {
    let text = r#"[defaults]
regions = ["eu-central-1"]
[groups.gg]
match = { name = "web-*", region = "eu-*", tags = { role = ["db", "web"] } }
rules = [{ allow = "ssh", from = "anywhere" }]"#;
    let untagged = Instance {
        tags: BTreeMap::new(),
        ..dual("web-9")
    };
    let all = [
        dual("web-1"),
        untagged,
        dual("db-1"),
        tagged(US, "web-2", AddressType::Dualstack),
    ];
    let desired = resolve(text, &all).expect("resolved");
    assert_eq!(
        desired
            .instances
            .keys()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["eu-central-1/web-1"]
    );
    let undeclared: Vec<String> = desired
        .undeclared
        .iter()
        .map(|u| u.id.to_string())
        .collect();
    assert_eq!(
        undeclared,
        ["eu-central-1/db-1", "eu-central-1/web-9", "us-east-1/web-2"]
    );
}

#[test]
fn sources_of_missing_families_are_left_out_with_a_note() {
    let text = r#"[addresses]
both = ["10.0.0.0/8", "2001:db8::/32"]
[groups.gg]
match = { name = "*" }
rules = [
  { allow = "ping", from = "both" },
  { allow = "icmp", from = "both" },
  { allow = "ssh", from = ["anywhere-v6", "lightsail-connect"] },
]"#;
    let desired = resolve(text, &[dual("ab")]).expect("resolved");
    assert_eq!(
        rules(&desired, "eu-central-1/ab"),
        [
            "tcp/22 from ::/0, lightsail-connect at 9",
            "icmp/-1:-1 from 10.0.0.0/8 at 8",
            "icmp/8:-1 from 10.0.0.0/8 at 7",
            "icmpv6/128:0 from 2001:db8::/32 at 7",
        ]
    );
    assert_eq!(
        notes(&desired),
        ["8: IPv6 sources are left out: `icmp` takes none"]
    );
    let desired = resolve(text, &[tagged(EU, "ab", AddressType::Ipv4)]).expect("resolved");
    assert_eq!(
        rules(&desired, "eu-central-1/ab"),
        [
            "tcp/22 from lightsail-connect at 9",
            "icmp/-1:-1 from 10.0.0.0/8 at 8",
            "icmp/8:-1 from 10.0.0.0/8 at 7"
        ]
    );
    let desired = resolve(text, &[tagged(EU, "ab", AddressType::Ipv6)]).expect("resolved");
    assert_eq!(
        rules(&desired, "eu-central-1/ab"),
        [
            "tcp/22 from ::/0, lightsail-connect at 9",
            "icmpv6/128:0 from 2001:db8::/32 at 7"
        ]
    );
    assert_eq!(
        notes(&desired),
        [
            "7: IPv4 sources are left out: the instance has no IPv4",
            "8: IPv6 sources are left out: `icmp` takes none",
            "8: `icmp` has no source left here and is not sent",
            "8: IPv4 sources are left out: the instance has no IPv4",
        ]
    );
}

#[test]
fn address_of_the_wrong_family_is_an_error() {
    let text = "[groups.gg]\nmatch = { name = \"*\" }\nrules = [{ allow = \"ssh\", from = \"2001:db8::1\" }]";
    let four = |name| tagged(EU, name, AddressType::Ipv4);
    assert_eq!(
        errors(text, &[four("ab"), four("cd"), dual("ef")]),
        [
            "4:34: error[PW-107]: `eu-central-1/ab` has no IPv6, but this address is written out for it (put it into a set under `[addresses]`, from which it is left out where it does not fit)"
        ]
    );
}

#[test]
fn rule_expires() {
    let rule = |until: &str| {
        format!(
            "[instances.ab]\nrules = [{{ allow = \"ssh\", from = \"anywhere\", until = {until}, owner = \"me\", why = \"so\" }}]"
        )
    };
    for (until, in_force, note) in [
        ("2025-12-31", false, false),
        ("2026-01-01T00:00:00Z", false, false),
        ("2026-01-01T00:00:00.001Z", true, true),
        ("2026-01-01", true, true),
        ("2026-01-14", true, true),
        ("2026-01-15", true, false),
        ("9999-12-31", true, false),
    ] {
        let desired = resolve(&rule(until), &[dual("ab")]).expect("resolved");
        let wanted = desired.instances.values().next().expect("one");
        assert_eq!(
            (wanted.rules.len(), wanted.expired.len()),
            (usize::from(in_force), usize::from(!in_force)),
            "{until}"
        );
        assert_eq!(
            !wanted.notes.is_empty(),
            note,
            "{until}: {:?}",
            wanted.notes
        );
        let rule = wanted
            .rules
            .iter()
            .chain(&wanted.expired)
            .next()
            .expect("one");
        assert_eq!(
            (rule.declared.owner.as_deref(), rule.declared.why.as_deref()),
            (Some("me"), Some("so"))
        );
        assert_eq!(
            (&*rule.declared.allow, &*rule.declared.from),
            ("ssh", &["anywhere".to_owned()][..])
        );
    }
    let desired = resolve(&rule("2026-01-05"), &[dual("ab")]).expect("resolved");
    assert_eq!(
        notes(&desired),
        ["3: `ssh` expires: valid until 2026-01-05"]
    );
}

#[test]
fn most_specific_setting_wins() {
    let text = |own: &str| {
        format!(
            "[defaults]\nmode = \"observe\"\nstrategy = \"put\"\n[groups.aa]\nmatch = {{ name = \"web-*\" }}\nmode = \"additive\"\n\
             [groups.bb]\nmatch = {{ name = \"web-1\" }}\nmode = \"authoritative\"\nstrategy = \"incremental\"\n[instances.web-1]\n{own}\n[instances.db-1]"
        )
    };
    let all = [dual("web-1"), dual("web-2"), dual("db-1")];
    let desired = resolve(&text("mode = \"observe\""), &all).expect("resolved");
    let settings: Vec<(Mode, Strategy)> = desired
        .instances
        .values()
        .map(|w| (w.mode, w.strategy))
        .collect();
    assert_eq!(
        settings,
        [
            (Mode::Observe, Strategy::Put),
            (Mode::Observe, Strategy::Incremental),
            (Mode::Additive, Strategy::Put)
        ]
    );
    assert_eq!(
        errors(&text(""), &all),
        [
            "10:8: error[PW-111]: groups `aa` and `bb` give `eu-central-1/web-1` different values of `mode` (let them agree, or set `mode` in `[instances.web-1]`)"
        ]
    );
}

#[test]
fn hint_about_a_setting_names_the_table_in_toml() {
    let text = "[groups.aa]\nmatch = { name = \"*\" }\nmode = \"additive\"\n[groups.bb]\nmatch = { name = \"*\" }\nmode = \"observe\"";
    for (name, key) in [
        ("web_1", "web_1"),
        ("web.1", "\"web.1\""),
        ("say \"a\\b\"", r#""say \"a\\b\"""#),
        ("a\u{1b}b", r#""a\U0000001Bb""#),
    ] {
        let problems = errors(text, &[dual(name)]);
        let hint = format!("set `mode` in `[instances.{key}]`)");
        assert!(problems[0].ends_with(&hint), "{}", problems[0]);
        let text = format!("{key} = 1");
        let table = toml::de::DeTable::parse(&text).expect("a key").into_inner();
        assert!(table.contains_key(name), "{key}");
    }
}

#[test]
fn absent_access_must_not_be_declared() {
    let text = |rule: &str, absent: &str| {
        format!(
            "[instances.ab]\nmode = \"additive\"\nrules = [{{ {rule} }}]\nabsent = [{{ {absent} }}]"
        )
    };
    let ssh = "allow = \"ssh\", from = [\"10.1.0.0/16\", \"lightsail-connect\"]";
    for (absent, is_conflict) in [
        ("allow = \"ssh\"", true),
        ("allow = \"tcp/22\", from = \"10.0.0.0/8\"", true),
        ("allow = \"tcp/22\", from = \"10.1.2.3\"", true),
        ("allow = \"tcp/22\", from = \"lightsail-connect\"", true),
        ("allow = \"tcp/22\", from = \"10.2.0.0/16\"", false),
        ("allow = \"tcp/22\", from = \"anywhere-v6\"", false),
        ("allow = \"tcp/22-23\"", false),
        ("allow = \"telnet\"", false),
    ] {
        let found = resolve(&text(ssh, absent), &[dual("ab")]);
        assert_eq!(found.is_err(), is_conflict, "{absent}");
        if let Ok(desired) = found {
            assert_eq!(
                desired
                    .instances
                    .values()
                    .next()
                    .map(|wanted| wanted.absent.len()),
                Some(1),
                "{absent}"
            );
        }
    }
    let whole = errors(&text(ssh, "allow = \"ssh\""), &[dual("ab")]);
    assert_eq!(
        whole,
        [
            "5:11: error[PW-111]: `tcp/22` is both absent and declared for `eu-central-1/ab` (it is declared at f.toml:4)"
        ]
    );

    // If no source is left, nothing is absent, and not the whole key.
    let text = "[addresses]\nsix = \"2001:db8::/32\"\n[instances.ab]\nmode = \"additive\"\nabsent = [{ allow = \"icmp\", from = \"six\" }]";
    let desired = resolve(text, &[dual("ab")]).expect("resolved");
    assert_eq!(
        desired
            .instances
            .values()
            .next()
            .map(|wanted| wanted.absent.len()),
        Some(0)
    );

    let group = "[groups.gg]\nmatch = { name = \"*\" }\nmode = \"additive\"\nabsent = [{ allow = \"ssh\" }]\n[instances.ab]\nmode = \"observe\"";
    assert_eq!(
        errors(group, &[dual("ab"), dual("cd")]),
        [
            "5:11: error[PW-114]: `absent` has no meaning for `eu-central-1/ab`, which is in observe mode (it belongs to additive mode)"
        ]
    );
}

#[test]
fn missing_instances_are_reported() {
    let text = "[defaults]\nregion = \"eu-central-1\"\n[instances.web-1]\n[instances.\"us-east-1/db-1\"]\n[instances.\"eu-west-1/cd\"]";
    let desired = resolve(text, &[dual("wbe-1"), dual("db-1")]).expect("resolved");
    let missing: Vec<String> = desired
        .missing
        .iter()
        .map(|m| format!("{} {} {:?}", m.origin.line, m.name, m.hint.as_deref()))
        .collect();
    assert_eq!(missing, ["5 us-east-1/db-1 Some(\"eu-central-1/db-1\")"]);
    // `eu-west-1` was not listed, and `web-1` could be there.
    assert_eq!(
        notes(&desired),
        ["6: declared, but not in any region that was listed: `eu-west-1/cd`, `web-1`"]
    );
    let text = "[instances.web-1]";
    let desired = resolve(text, &[dual("wbe-1")]).expect("resolved");
    assert_eq!(
        desired
            .missing
            .first()
            .and_then(|missing| missing.hint.as_deref()),
        Some("wbe-1")
    );
}

#[test]
fn ambiguous_instance_name_is_an_error() {
    let all = [dual("ab"), tagged(US, "ab", AddressType::Dualstack)];
    assert_eq!(
        errors("[instances.ab]", &all),
        [
            "2:12: error[PW-111]: `ab` exists in several regions (say which one: `eu-central-1/ab` or `us-east-1/ab`)"
        ]
    );
    assert_eq!(
        errors("[instances.ab]\n[instances.\"eu-central-1/ab\"]", &all[..1]),
        ["3:12: error[PW-108]: `eu-central-1/ab` is the same instance as `ab`"]
    );
}

#[test]
fn group_may_expect_a_number_of_instances() {
    let text = |expect: &str| {
        format!(
            "[defaults]\nregion = \"eu-central-1\"\n[groups.gg]\nmatch = {{ name = \"a*\" }}\nmode = \"observe\"\n{expect}"
        )
    };
    let all = [dual("ab"), dual("ac"), dual("bd")];
    assert!(resolve(&text("expect = \"2\""), &all).is_ok());
    assert_eq!(
        errors(&text("expect = \"3..\""), &all),
        ["7:10: error[PW-115]: group `gg` matches 2 instances, but at least 3 are expected"]
    );
    assert_eq!(
        notes(&resolve(&text(""), &[]).expect("resolved")),
        ["4: group `gg` matches no instance"]
    );
    let config = parse(vec![Source::new(
        "f.toml",
        format!("version = 1\n{}", text("expect = \"3..\"")),
    )])
    .expect("valid");
    let desired = config
        .resolve(
            &BTreeMap::new(),
            &BTreeSet::new(),
            OffsetDateTime::UNIX_EPOCH,
        )
        .expect("not judged");
    assert_eq!(
        notes(&desired),
        ["4: `expect` of group `gg` is not judged: not every region was listed in full"]
    );
}

#[test]
fn any_family_keeps_every_source() {
    let text = "[instances.ab]\nrules = [\n\
        { allow = \"icmp\", from = [\"::/0\", \"10.0.0.1\"], any-family = true },\n\
        { allow = \"icmpv6\", from = \"lightsail-connect\", any-family = true },\n\
        { allow = \"ssh\", from = \"anywhere\", any-family = true },\n\
        { allow = \"http\", from = \"anywhere\", any-family = false },\n]\n";
    let desired = resolve(text, &[tagged(EU, "ab", AddressType::Ipv4)]).expect("no errors");
    let wanted = &desired.instances.values().next().expect("an instance");
    let rules: Vec<String> = wanted
        .rules
        .iter()
        .map(|rule| format!("{} from {}", rule.key, rule.sources))
        .collect();
    assert_eq!(
        rules,
        [
            "tcp/22 from 0.0.0.0/0, ::/0",
            "tcp/80 from 0.0.0.0/0",
            "icmp/-1:-1 from 10.0.0.1/32, ::/0",
            "icmpv6/-1:-1 from lightsail-connect",
        ]
    );
    let notes: Vec<&str> = wanted.notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(
        notes,
        ["IPv6 sources are left out: the instance has no IPv6"]
    );
}
