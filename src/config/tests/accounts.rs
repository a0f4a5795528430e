//! Tests of accounts: errors, the sites to read, and the rules of instances.

use std::collections::BTreeSet;

use proptest::prelude::*;
use time::OffsetDateTime;

use super::{instance, problems, read};
use crate::model::{AddressType, Desired, Site};

const TWO: &str = r#"[defaults]
regions = ["eu-central-1", "us-east-1"]
[accounts.prod]
id = "111111111111"
role = "arn:aws:iam::111111111111:role/ops/portward"
[accounts.test]
id = "222222222222"
regions = ["eu-west-1"]
profile = "test"
"#;

fn site(account: &str, region: &str) -> Site {
    Site {
        account: Some(account.to_owned()),
        region: region.to_owned(),
    }
}

/// Resolves with all sites listed except `unlisted`.
fn resolve(text: &str, names: &[&str], unlisted: Option<&Site>) -> Result<Desired, String> {
    let config = read(&format!("{TWO}{text}")).unwrap_or_else(|errors| panic!("{errors}"));
    let instances = names.iter();
    let instances = instances.map(|name| instance(name, AddressType::Dualstack));
    let instances = instances.map(|instance| (instance.id.clone(), instance));
    let mut listed: BTreeSet<Site> = config.sites();
    listed.retain(|site| Some(site) != unlisted);
    let resolved = config.resolve(&instances.collect(), &listed, OffsetDateTime::UNIX_EPOCH);
    resolved.map_err(|errors| errors.to_string())
}

#[test]
fn errors_have_place_and_hint() {
    let role = |arn: &str| format!("[accounts.prod]\nid = \"111111111111\"\nrole = \"{arn}\"");
    for (text, expected) in [
        (
            "[accounts.prod]".to_owned(),
            "2:11: error[PW-104]: account `prod` has no `id`",
        ),
        (
            "[accounts.prod]\nid = 1".to_owned(),
            "3:6: error[PW-104]: `id` must be a string, found an integer",
        ),
        (
            "[accounts.prod]\nid = \"1234\"".to_owned(),
            "3:6: error[PW-105]: `1234` is not a valid account ID (it has twelve",
        ),
        (
            "[accounts.prod]\nid = \"111111111111\"\nsecret = \"x\"".to_owned(),
            "4:1: error[PW-103]: unknown key `secret` in account `prod` (the keys here are `id`, `role`, `regions`, `profile`)",
        ),
        (
            role("arn:aws:iam::222222222222:role/x"),
            "4:8: error[PW-111]: this role is in account `222222222222`, not in `111111111111` (a role works",
        ),
        (
            role("arn:aws:iam::111111111111:user/x"),
            "4:8: error[PW-105]: `arn:aws:iam::111111111111:user/x` is no ARN of a role",
        ),
        (
            role("arn:aws:iam::111111111111:role/"),
            "4:8: error[PW-105]: `arn:aws:iam::111111111111:role/` is no ARN",
        ),
        (
            "[accounts.prod]\nid = \"111111111111\"\nregions = []".to_owned(),
            "4:11: error[PW-104]: `regions` is empty",
        ),
        (
            "[accounts.prod]\nid = \"111111111111\"\nprofile = \"\"".to_owned(),
            "4:11: error[PW-105]: `profile` names no profile",
        ),
        (
            "[accounts.a-1]\nid = \"111111111111\"\n[accounts.b-1]\nid = \"111111111111\""
                .to_owned(),
            "4:11: error[PW-111]: accounts `a-1` and `b-1` have the same `id`",
        ),
        (
            "[accounts.\"a/b\"]\nid = \"111111111111\"".to_owned(),
            "2:11: error[PW-108]: `a/b` cannot be the name of an account",
        ),
        (
            format!("{TWO}[instances.\"prd/eu-central-1/web-1\"]"),
            "11:12: error[PW-109]: account `prd` is not defined (did you mean `prod`?)",
        ),
        (
            format!("{TWO}[groups.gg]\nmode = \"observe\"\nmatch = {{ account = \"x*\" }}"),
            "13:21: error[PW-109]: no account matches this pattern (the accounts are `prod`, `test`)",
        ),
        (
            format!("{TWO}[instances.\"a/b/c/d\"]"),
            "11:12: error[PW-108]: `a/b/c/d` has more parts than account, region and name",
        ),
    ] {
        let found = problems(&text);
        assert!(
            found
                .first()
                .is_some_and(|first| first.starts_with(expected)),
            "{text}\n{found:?}"
        );
    }
}

#[test]
fn each_account_is_read_in_its_regions() {
    let named = "[instances.\"test/us-west-2/web-1\"]\nmode = \"observe\"\n";
    let config = read(&format!("{TWO}{named}")).expect("valid");
    let sites: Vec<Site> = config.sites().into_iter().collect();
    let expected = [
        site("prod", "eu-central-1"),
        site("prod", "us-east-1"),
        site("test", "eu-west-1"),
        site("test", "us-west-2"),
    ];
    assert_eq!(sites, expected);
}

#[test]
fn tables_and_groups_distinguish_accounts() {
    let text = r#"[groups.prod]
match = { account = "p*" }
rules = [{ allow = "https", from = "anywhere" }]
[instances."test/eu-west-1/web-1"]
rules = [{ allow = "ssh", from = "10.0.0.0/8" }]
"#;
    let names = [
        "prod/eu-central-1/web-1",
        "test/eu-west-1/web-1",
        "test/eu-west-1/old-1",
    ];
    let desired = resolve(text, &names, None).expect("resolved");
    let rules: Vec<String> = desired
        .instances
        .iter()
        .map(|(id, wanted)| format!("{id}: {}", wanted.rules[0].key))
        .collect();
    assert_eq!(
        rules,
        [
            "prod/eu-central-1/web-1: tcp/443",
            "test/eu-west-1/web-1: tcp/22"
        ]
    );
    let undeclared = &desired.undeclared[0].id;
    assert_eq!(undeclared.to_string(), "test/eu-west-1/old-1");
}

#[test]
fn ambiguous_name_needs_its_account() {
    let text = "[instances.web-1]\nmode = \"observe\"\n";
    let both = ["prod/us-east-1/web-1", "test/eu-west-1/web-1"];
    let error = resolve(text, &both, None).expect_err("refused");
    assert!(
        error.contains("`web-1` exists in several accounts"),
        "{error}"
    );
    assert!(
        error.contains("`prod/us-east-1/web-1` or `test/eu-west-1/web-1`"),
        "{error}"
    );
    let one = resolve(text, &both[1..], None).expect("resolved");
    assert_eq!(one.instances.len(), 1);
}

#[test]
fn missing_instances_are_reported_only_for_listed_accounts() {
    let text = "[instances.\"prod/us-east-1/web-1\"]\nmode = \"observe\"\n[instances.db-1]\nmode = \"observe\"\n";
    let moved = ["test/eu-west-1/web-1", "test/eu-west-1/db-2"];
    let desired = resolve(text, &moved, None).expect("resolved");
    let missing: Vec<(&str, Option<&str>)> = desired
        .missing
        .iter()
        .map(|missing| (missing.name.as_str(), missing.hint.as_deref()))
        .collect();
    // An instance that was renamed or moved has a suggestion.
    assert_eq!(
        missing,
        [
            ("db-1", Some("db-2")),
            ("prod/us-east-1/web-1", Some("test/eu-west-1/web-1"))
        ]
    );
    let desired = resolve(text, &moved, Some(&site("test", "eu-west-1"))).expect("resolved");
    let missing: Vec<&str> = desired
        .missing
        .iter()
        .map(|missing| missing.name.as_str())
        .collect();
    assert_eq!(missing, ["prod/us-east-1/web-1"]);
}

proptest! {
    #[test]
    fn role_must_be_of_its_account(
        id in "[0-9]{11,13}|[0-9a-f]{12}",
        arn in "arn:aws(-cn)?:iam::[0-9]{12}:role/[a-z/]{0,6}|arn:aws:iam::111111111111:role/[a-z]{1,6}|[ -~&&[^\"\\\\]]{0,20}",
    ) {
        let text = format!("[accounts.prod]\nid = \"{id}\"\nrole = \"{arn}\"\n[groups.gg]\nmatch = {{ name = \"*\" }}\nmode = \"observe\"");
        if let Ok(config) = read(&text) {
            let account = &config.accounts()["prod"];
            prop_assert!(account.id.len() == 12 && account.id.bytes().all(|b| b.is_ascii_digit()));
            let role = account.role.as_deref().unwrap_or_default();
            let prefix = format!("::{}:role/", account.id);
            prop_assert!(role.contains(&prefix), "{}", role);
        }
    }
}
