//! Tests of resolution if not every site was listed in full.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use proptest::collection::{btree_map, btree_set};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use time::OffsetDateTime;

use super::super::Listing;
use super::{instance, read};
use crate::model::{AddressType, Desired, InstanceId, Site, Unreadable};

const REGIONS: [&str; 3] = ["ap-south-1", "eu-central-1", "us-east-1"];
const NAMES: [&str; 4] = ["db-1", "web-1", "web-2", "web-3"];

fn id(region: &str, name: &str) -> InstanceId {
    InstanceId {
        account: None,
        region: region.to_owned(),
        name: name.to_owned(),
    }
}

/// The tables of a configuration: the names of instances, and the patterns of groups with their `expect`.
type Tables = (
    BTreeSet<String>,
    BTreeMap<&'static str, Option<&'static str>>,
);

fn config(regions: &[&str], (tables, groups): &Tables) -> super::super::Config {
    let mut text = String::new();
    if !regions.is_empty() {
        let _ = write!(text, "[defaults]\nregions = {regions:?}\n");
    }
    for table in tables {
        let from = format!("10.0.0.{}", table.len());
        let _ = write!(
            text,
            "[instances.{table:?}]\nrules = [{{ allow = \"ssh\", from = \"{from}\" }}]\n"
        );
    }
    for (at, (pattern, expect)) in groups.iter().enumerate() {
        let _ = write!(text, "[groups.g{at}]\nmatch = {{ name = {pattern:?} }}\n");
        if let Some(expect) = expect {
            let _ = writeln!(text, "expect = {expect:?}");
        }
        text += "rules = [{ allow = \"https\", from = \"anywhere\" }]\n";
    }
    read(&text).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

fn listing(listed: &[&str]) -> Listing {
    let unreadable = Unreadable::new("denied");
    let (complete, incomplete): (Vec<&str>, Vec<&str>) =
        REGIONS.iter().partition(|region| listed.contains(region));
    Listing {
        complete: complete.into_iter().map(Site::of_region).collect(),
        incomplete: incomplete
            .into_iter()
            .map(|region| (Site::of_region(region), unreadable.clone()))
            .collect(),
        scope: None,
    }
}

fn resolve(
    config: &super::super::Config,
    all: &BTreeSet<InstanceId>,
    listed: &[&str],
) -> Result<Desired, String> {
    let ids = all.iter().filter(|id| listed.contains(&id.region.as_str()));
    let instances = ids.map(|id| {
        let instance = instance(&id.to_string(), AddressType::Dualstack);
        (id.clone(), instance)
    });
    let as_of = OffsetDateTime::UNIX_EPOCH;
    config
        .resolve_listed(&instances.collect(), &listing(listed), as_of)
        .map_err(|errors| errors.to_string())
}

#[test]
fn expect_is_decided_as_soon_as_possible() {
    let all: BTreeSet<InstanceId> = ["web-1", "web-2"]
        .map(|name| id("eu-central-1", name))
        .into();
    for (expect, decided) in [
        (None, Ok(true)),
        (Some("2"), Ok(false)),
        (Some("1..9"), Ok(false)),
        (Some("..2"), Ok(false)),
        (Some("3"), Ok(false)),
        // More instances would not change the result.
        (Some("2.."), Ok(true)),
        (Some("0.."), Ok(true)),
        (
            Some("..1"),
            Err("matches 2 instances, but 0 to 1 are expected"),
        ),
    ] {
        let config = config(&REGIONS, &(BTreeSet::new(), [("web-*", expect)].into()));
        match (resolve(&config, &all, &["eu-central-1"]), decided) {
            (Ok(desired), Ok(true)) => {
                assert_eq!(
                    (desired.instances.len(), desired.undecided.len()),
                    (2, 0),
                    "{expect:?}"
                );
            }
            (Ok(desired), Ok(false)) => {
                assert_eq!(
                    (desired.instances.len(), desired.undecided.len()),
                    (0, 2),
                    "{expect:?}"
                );
            }
            (Err(errors), Err(expected)) => assert!(errors.contains(expected), "{errors}"),
            (found, expected) => panic!("{expect:?}: {found:?}, {expected:?}"),
        }
    }
}

#[test]
fn command_line_regions_are_used_without_configured_ones() {
    let all: BTreeSet<InstanceId> = [id("eu-central-1", "web-1")].into();
    let config = config(&[], &(["web-1".to_owned()].into(), BTreeMap::new()));
    let desired = resolve(&config, &all, &["eu-central-1"]).expect("resolved");
    let why = &desired.undecided[&id("eu-central-1", "web-1")];
    assert_eq!(
        (why.reason.as_str(), why.hint.as_deref()),
        (
            "`web-1` could also mean an instance in `ap-south-1`, which could not be listed: denied",
            Some("name it in full: `[instances.\"eu-central-1/web-1\"]`")
        )
    );
    let desired = resolve(&config, &BTreeSet::new(), &["eu-central-1"]).expect("resolved");
    assert_eq!(desired.missing, [], "it may be elsewhere");
    let desired = resolve(&config, &BTreeSet::new(), &REGIONS).expect("resolved");
    assert_eq!(desired.missing.len(), 1);
}

#[test]
fn additional_sites_are_those_that_names_may_be_in() {
    let asked: BTreeSet<Site> = [Site::of_region("eu-central-1")].into();
    let all: BTreeSet<Site> = REGIONS.map(Site::of_region).into();
    let additional = |tables: &[&str], groups: &[(&'static str, Option<&'static str>)]| {
        let tables = tables.iter().map(ToString::to_string).collect();
        let config = config(&REGIONS, &(tables, groups.iter().copied().collect()));
        config.additional_sites(&asked, &all).len()
    };
    assert_eq!(additional(&[], &[("web-*", None)]), 0);
    assert_eq!(
        additional(&["us-east-1/web-1", "eu-central-1/web-1"], &[]),
        0
    );
    assert_eq!(additional(&["web-1"], &[]), 2);
    assert_eq!(additional(&[], &[("web-*", Some("2"))]), 2);
}

fn tables() -> impl Strategy<Value = Tables> {
    let name = prop_oneof![
        2 => select(&NAMES[..]).prop_map(str::to_owned),
        1 => (select(&REGIONS[..]), select(&NAMES[..])).prop_map(|(region, name)| format!("{region}/{name}")),
    ];
    let pattern = select(&["web-*", "*-1", "db-*"][..]);
    let expect = option::of(select(&["1..3", "2..", "..2", "1"][..]));
    (btree_set(name, 0..4), btree_map(pattern, expect, 0..3))
}

proptest! {
    /// A decision without some regions does not depend on the instances there.
    #[test]
    fn more_listed_sites_do_not_change_decisions(
        tables in tables(),
        all in btree_set((select(&REGIONS[..]), select(&NAMES[..])).prop_map(|(region, name)| id(region, name)), 0..8),
        listed in subsequence(&REGIONS[..], 1..=3),
    ) {
        let config = config(&REGIONS, &tables);
        let (partial, whole) = (resolve(&config, &all, &listed), resolve(&config, &all, &REGIONS));
        let Ok(partial) = partial else {
            prop_assert!(whole.is_err(), "an error of a part is one of the whole");
            return Ok(());
        };
        for id in partial.instances.keys() {
            prop_assert!(listed.len() == 3 || !tables.0.contains(&id.name), "{} is a bare name", id);
            prop_assert!(!partial.undecided.contains_key(id));
        }
        let Ok(whole) = whole else { return Ok(()) };
        for (id, wanted) in &partial.instances {
            prop_assert_eq!(whole.instances.get(id), Some(wanted), "{}", id);
        }
        let is_in = |id: &&InstanceId| listed.contains(&id.region.as_str());
        let seen = whole.undeclared.iter().map(|one| &one.id).filter(is_in);
        let undecided = |id: &&InstanceId| !partial.undecided.contains_key(*id);
        prop_assert_eq!(
            partial.undeclared.iter().map(|one| &one.id).collect::<Vec<_>>(),
            seen.filter(undecided).collect::<Vec<_>>()
        );
        for missing in &partial.missing {
            prop_assert!(whole.missing.iter().any(|one| one.name == missing.name), "{}", missing.name);
        }
        for id in partial.undecided.keys() {
            prop_assert!(listed.len() < 3, "{} with everything listed", id);
        }
    }
}

#[test]
fn instance_of_a_failed_region_has_no_note() {
    let table = ["us-east-1/web-1".to_owned(), "db-1".to_owned()];
    let config = config(&REGIONS, &(table.into(), BTreeMap::new()));
    let notes = |listed: &[&str]| {
        let desired = resolve(&config, &BTreeSet::new(), listed).expect("resolved");
        desired
            .notes
            .into_iter()
            .map(|note| note.text)
            .collect::<Vec<_>>()
    };
    assert_eq!(notes(&[]), Vec::<String>::new());
    assert_eq!(
        notes(&["eu-central-1"]),
        ["declared, but not in any region that was listed: `db-1`"]
    );
}
