//! Tests of `[[policy]]` and `waive`, and of declared tables.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::{problems, read};
use crate::model::{Cells, DeclaredTable, Demand, Policies, PolicySeverity};

fn policies(text: &str) -> Policies {
    let config = read(text).unwrap_or_else(|errors| panic!("{errors}"));
    let desired = config.resolve(
        &BTreeMap::new(),
        &BTreeSet::new(),
        OffsetDateTime::UNIX_EPOCH,
    );
    desired.unwrap_or_else(|errors| panic!("{errors}")).policies
}

fn severities(text: &str) -> Vec<(String, PolicySeverity)> {
    let list = policies(text).list.into_iter();
    list.map(|policy| (policy.id, policy.severity)).collect()
}

const BUILT_IN: [&str; 3] = [
    "admin-open-to-world",
    "database-open-to-world",
    "all-open-to-world",
];

#[test]
fn built_in_policies_warn_by_default() {
    let all = BUILT_IN.map(|id| (id.to_owned(), PolicySeverity::Warn));
    assert_eq!(severities(""), all);
    let set = |severity: &str| {
        let ids = BUILT_IN.iter();
        let text = ids.map(|id| format!("[[policy]]\nid = \"{id}\"\nseverity = \"{severity}\"\n"));
        severities(&text.collect::<String>())
    };
    assert_eq!(
        set("deny"),
        BUILT_IN.map(|id| (id.to_owned(), PolicySeverity::Deny))
    );
    assert_eq!(set("warn"), all);
    assert_eq!(set("off"), []);
}

#[test]
fn names_in_policies_are_resolved() {
    let found = policies(
        "[addresses]\noffice = [\"192.0.2.0/24\"]\n[services]\ndb = [\"tcp/5432\", \"mysql\"]\n\
         [[policy]]\nid = \"p\"\nservices = [\"db\"]\nonly-from = \"office\"\nat-most = { ipv4 = \"/0\" }\nrequire = { allow = \"ping\", from = \"anywhere\" }\nwhy = \"w\"",
    );
    let policy = &found.list[0];
    assert_eq!(
        (policy.severity, policy.why.as_deref()),
        (PolicySeverity::Deny, Some("w"))
    );
    assert_eq!(policy.origin.as_ref().map(|origin| origin.line), Some(7));
    let [
        Demand::OnlyFrom {
            cells: Cells::Of(keys),
            sources,
            from,
        },
        Demand::AtMost {
            ipv4: Some(0),
            ipv6: None,
            ..
        },
        Demand::Require(rules),
    ] = &policy.demands[..]
    else {
        panic!("{policy:?}");
    };
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    assert_eq!(keys, ["tcp/5432", "tcp/3306"]);
    assert_eq!(
        (sources.to_string(), from.join(" ")),
        ("192.0.2.0/24".into(), "office".into())
    );
    let rules: Vec<String> = rules
        .iter()
        .map(|r| format!("{} {}", r.key, r.sources))
        .collect();
    assert_eq!(rules, ["icmp/8:-1 0.0.0.0/0", "icmpv6/128:0 ::/0"]);
}

#[test]
fn errors_are_reported() {
    for (text, expected) in [
        (
            "[policy]\nid = \"p\"",
            "2:1: error[PW-104]: `policy` must be a list of tables",
        ),
        (
            "[[policy]]\nseverity = \"deny\"",
            "2:1: error[PW-104]: the policy has no `id`",
        ),
        (
            "[[policy]]\nid = \"a b\"",
            "3:6: error[PW-108]: `a b` cannot be the name of a policy",
        ),
        (
            "[[policy]]\nid = \"p\"",
            "3:6: error[PW-104]: the policy asks for nothing",
        ),
        (
            "[[policy]]\nid = \"p\"\nonly-from = []",
            "3:6: error[PW-104]: the policy has no `services`",
        ),
        (
            "[[policy]]\nid = \"p\"\nservices = \"ssh\"\nrequire = { allow = \"ssh\", from = \"anywhere\" }",
            "3:6: error[PW-104]: `services` has no meaning here",
        ),
        (
            "[[policy]]\nid = \"p\"\nservices = \"shs\"\nonly-from = []",
            "4:12: error[PW-109]: there is no service `shs`",
        ),
        (
            "[[policy]]\nid = \"p\"\nservices = \"ssh\"\nonly-from = \"x\"",
            "5:13: error[PW-109]: there is no address set `x`",
        ),
        (
            "[[policy]]\nid = \"p\"\nservices = \"ssh\"\nonly-form = []",
            "5:1: error[PW-103]: unknown key `only-form` in a policy (did you mean `only-from`?)",
        ),
        (
            "[[policy]]\nid = \"p\"\nservices = \"ssh\"\nat-most = {}",
            "5:11: error[PW-104]: `at-most` has no limit",
        ),
        (
            "[[policy]]\nid = \"p\"\nservices = \"ssh\"\nat-most = { ipv4 = \"/33\" }",
            "5:20: error[PW-105]: `ipv4` cannot be `/33`",
        ),
        (
            "[[policy]]\nid = \"p\"\nservices = \"ssh\"\nat-most = { ipv6 = \"48\" }",
            "5:20: error[PW-105]: `ipv6` cannot be `48`",
        ),
        (
            "[[policy]]\nid = \"all-open-to-world\"\nseverity = \"off\"\nwhy = \"x\"",
            "5:1: error[PW-114]: `all-open-to-world` is built in: only its `severity` can be set",
        ),
        (
            "[[policy]]\nid = \"all-open-to-world\"",
            "3:6: error[PW-104]: the built-in policy `all-open-to-world` is named and not changed",
        ),
        (
            "[[policy]]\nid = \"all-open-to-world\"\nseverity = \"of\"",
            "4:12: error[PW-105]: `severity` cannot be `of`: it is one of `deny`, `warn`, `off`",
        ),
        (
            "[[policy]]\nid = \"all-open-to-world\"\nseverity = \"off\"\n[[policy]]\nid = \"all-open-to-world\"\nseverity = \"off\"",
            "6:6: error[PW-108]: policy `all-open-to-world` is defined twice",
        ),
    ] {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].starts_with(expected), "{text}: {found:?}");
    }
}

#[test]
fn waiver_must_name_a_policy_that_forbids_access() {
    let rule = |waive: &str| {
        format!(
            "[instances.web-1]\nrules = [{{ allow = \"ssh\", from = \"anywhere\", why = \"w\", owner = \"o\", until = 2031-01-01, waive = {waive} }}]\n\
             [[policy]]\nid = \"must\"\nrequire = {{ allow = \"ssh\", from = \"anywhere\" }}"
        )
    };
    assert_eq!(problems(&rule("\"admin-open-to-world\"")), [""; 0]);
    for (waive, expected) in [
        (
            "\"must\"",
            "error[PW-114]: policy `must` forbids nothing to waive",
        ),
        (
            "\"admin-open-to-word\"",
            "error[PW-109]: there is no policy `admin-open-to-word` (did you mean `admin-open-to-world`?)",
        ),
        ("[]", "error[PW-104]: `waive` is empty"),
    ] {
        let found = problems(&rule(waive));
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }
}

#[test]
fn tables_have_certain_and_possible_rules() {
    let config = read(
        "[defaults]\nregion = \"eu-central-1\"\n\
         [groups.web]\nmatch = { name = \"web-*\" }\nrules = [{ allow = \"http\", from = \"anywhere-v4\" }]\n\
         [groups.tagged]\nmatch = { tags = { role = \"web\" } }\nrules = [{ allow = \"ssh\", from = \"192.0.2.1\" }]\n\
         [instances.web-1]\nrules = [{ allow = \"https\", from = \"anywhere-v4\" }]\n\
         [[policy]]\nid = \"p\"\nmatch = { name = \"web-*\" }\nservices = \"all\"\nonly-from = []\n\
         [[policy]]\nid = \"q\"\nmatch = { tags = { role = [\"web\", \"db\"] } }\nservices = \"all\"\nonly-from = []",
    );
    let tables = config
        .unwrap_or_else(|errors| panic!("{errors}"))
        .declared(OffsetDateTime::UNIX_EPOCH);
    let shown = |table: &DeclaredTable| {
        let ports = |rules: &[crate::model::Rule]| {
            let keys = rules.iter().map(|rule| rule.key.to_string());
            keys.collect::<Vec<_>>().join(" ")
        };
        let possible = table.possible.as_deref().map_or("anything".into(), ports);
        // The three built-in policies come last.
        let policies: Vec<usize> = table
            .policies
            .iter()
            .copied()
            .filter(|at| *at < 2)
            .collect();
        format!(
            "{}: {}; {possible}; {policies:?} {:?}",
            table.name,
            ports(&table.rules),
            table.possible_policies
        )
    };
    assert_eq!(
        tables.iter().map(shown).collect::<Vec<_>>(),
        [
            "groups.tagged: tcp/22; tcp/22 tcp/80 tcp/443; [1] [0]",
            "groups.web: tcp/80; tcp/22 tcp/80 tcp/443; [0] [1]",
            "instances.web-1: tcp/443 tcp/80; tcp/443 tcp/22 tcp/80; [0] [1]",
        ]
    );
}
