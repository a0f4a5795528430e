//! Properties of all texts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use time::OffsetDateTime;

use super::super::{Config, Diagnostics, Source, parse};
use crate::model::{AddressType, Demand, Desired, Instance, InstanceId, InstanceState, Origin};

const EXAMPLE: &str = include_str!("../../../firewall.example.toml");
const INCLUDED: &str = include_str!("../../../examples/fleet/mail.toml");
const FLEET: &str = include_str!("../../../examples/fleet.json");

/// The instances of the example fleet. A layer above owns the format, so only what is needed here is read.
fn fleet() -> BTreeMap<InstanceId, Instance> {
    let fleet: serde_json::Value = serde_json::from_str(FLEET).expect("JSON");
    let regions = fleet["regions"].as_object().expect("regions").iter();
    let listed = regions.flat_map(|(region, list)| {
        let list = list.as_array().expect("a list of instances");
        list.iter().map(move |entry| (region, entry))
    });
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let instance = |(region, entry): (&String, &serde_json::Value)| {
        let tags = entry["tags"].as_object().into_iter().flatten();
        let id = InstanceId {
            account: None,
            region: region.clone(),
            name: text(&entry["name"]),
        };
        let instance = Instance {
            id: id.clone(),
            arn: text(&entry["arn"]),
            tags: tags
                .map(|(key, value)| (key.clone(), text(value)))
                .collect(),
            state: InstanceState::from(text(&entry["state"]).as_str()),
            address_type: AddressType::from(text(&entry["ipAddressType"]).as_str()),
        };
        (id, instance)
    };
    listed.map(instance).collect()
}

fn resolve(config: &Config) -> Result<Desired, Diagnostics> {
    config.resolve(&fleet(), &config.sites(), OffsetDateTime::UNIX_EPOCH)
}

/// Parses and resolves a text, and renders its problems. Nothing may panic.
fn exercise(sources: Vec<Source>) {
    let problems = match parse(sources) {
        Ok(config) => match resolve(&config) {
            Ok(_) => return,
            Err(problems) => problems,
        },
        Err(problems) => problems,
    };
    assert!(!problems.problems.is_empty());
    // Only the number of the problems that are not shown has no line.
    assert!(problems.problems.iter().all(|problem| {
        problem.origin.line > 0
            || problem
                .message
                .ends_with("more errors, which are not shown")
            || problem
                .message
                .ends_with("more warnings, which are not shown")
    }));
    assert!(problems.render(false).ends_with('\n'));
}

/// The desired state without origins, which depend on the text.
fn without_origins(mut desired: Desired) -> Desired {
    let nowhere = Origin {
        file: "".into(),
        line: 0,
        column: 0,
    };
    for wanted in desired.instances.values_mut() {
        let wanted = Arc::make_mut(wanted);
        wanted
            .rules
            .iter_mut()
            .chain(&mut wanted.expired)
            .for_each(|rule| Arc::make_mut(&mut rule.declared).origin = nowhere.clone());
        wanted.rules.sort_by_cached_key(|rule| format!("{rule:?}"));
        wanted
            .absent
            .iter_mut()
            .for_each(|absent| absent.origin = nowhere.clone());
        wanted.notes.iter_mut().for_each(|note| note.origin = None);
        wanted.notes.sort_by_cached_key(|note| note.text.clone());
    }
    desired
        .guard
        .keep
        .iter_mut()
        .for_each(|rule| Arc::make_mut(&mut rule.declared).origin = nowhere.clone());
    for policy in &mut desired.policies.list {
        policy.origin = None;
        for demand in &mut policy.demands {
            if let Demand::Require(rules) = demand {
                for rule in rules {
                    Arc::make_mut(&mut rule.declared).origin = nowhere.clone();
                }
            }
        }
    }
    for waiver in desired.policies.waivers.values_mut().flatten() {
        waiver.origin = nowhere.clone();
    }
    desired
}

fn example_desired() -> Desired {
    let config = parse(vec![Source::new("a", EXAMPLE), Source::new("b", INCLUDED)])
        .expect("the example is valid");
    resolve(&config).expect("and fits its fleet")
}

#[test]
fn line_endings_and_bom_are_ignored() {
    let windows = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let config = parse(vec![
        Source::new("a", windows(EXAMPLE)),
        Source::new("b", windows(INCLUDED)),
    ])
    .expect("valid");
    assert_eq!(resolve(&config).expect("resolved"), example_desired());
}

/// The texts of the tables of the example.
fn tables() -> Vec<String> {
    let mut tables: Vec<String> = Vec::new();
    for line in EXAMPLE
        .lines()
        .chain(INCLUDED.lines())
        .filter(|line| !line.starts_with('#'))
    {
        if tables.is_empty() || line.starts_with('[') {
            tables.push(String::new());
        }
        let table = tables.last_mut().expect("there is one now");
        table.push_str(line);
        table.push('\n');
    }
    tables
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        exercise(vec![Source::from_bytes("f", bytes)]);
    }

    #[test]
    fn any_words_of_the_language_do_not_panic(words in proptest::collection::vec(prop_oneof![
        Just("["), Just("]"), Just("[["), Just("{"), Just("}"), Just("="), Just("\n"), Just(","), Just("\""), Just("."),
        Just("version"), Just("addresses"), Just("groups.g"), Just("instances.ab"), Just("rules"), Just("absent"),
        Just("allow"), Just("from"), Just("\"ssh\""), Just("\"office\""), Just("match"), Just("1"), Just("2031-12-31"),
    ], 0..60)) {
        exercise(vec![Source::new("f", words.join(" "))]);
    }

    #[test]
    fn damaged_example_does_not_panic(
        at in any::<prop::sample::Index>(),
        length in 0..40_usize,
        insert in proptest::collection::vec(any::<u8>(), 0..6),
    ) {
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        let start = at.index(bytes.len());
        let end = (start + length).min(bytes.len());
        bytes.splice(start..end, insert);
        exercise(vec![Source::from_bytes("a", bytes), Source::new("b", INCLUDED)]);
    }

    #[test]
    fn order_of_tables_does_not_matter(order in Just(tables()[1..].to_vec()).prop_shuffle(), files in 1..4_usize) {
        // The tables may be in several files, but those for all files must be in the first.
        let mut texts = vec![String::new(); files];
        texts[0].push_str(&tables()[0]);
        for (at, table) in order.iter().enumerate() {
            let of_all_files = ["[defaults]", "[guard]", "[grants]"]
                .iter()
                .any(|name| table.starts_with(name));
            texts[if of_all_files { 0 } else { at % files }].push_str(table);
        }
        let sources = texts.into_iter().map(|text| Source::new("f", text)).collect();
        let config = parse(sources).map_err(|errors| TestCaseError::fail(errors.to_string()))?;
        let desired = resolve(&config).map_err(|errors| TestCaseError::fail(errors.to_string()))?;
        prop_assert_eq!(without_origins(desired), without_origins(example_desired()));
    }

    #[test]
    fn problems_are_sorted(order in Just(vec!["[addresses]\nx = 1\n", "[defaults]\nmode = \"x\"\n", "[nothing]\n", "[instances.a]\n"]).prop_shuffle()) {
        let problems = parse(vec![Source::new("f", order.concat())]).expect_err("refused");
        let places: Vec<(usize, usize)> = problems.problems.iter().map(|p| (p.origin.line, p.origin.column)).collect();
        prop_assert!(places.is_sorted());
        prop_assert_eq!(places.into_iter().collect::<BTreeSet<_>>().len(), 5);
    }
}
