//! Tests that a parsed plan equals the written one, and that any changed byte is detected.

use super::*;

#[test]
fn every_verdict_survives_a_round_trip() {
    let port = |from, to| Key::new(Protocol::Tcp, from, to).expect("ports");
    let live = |key, texts: &[&str]| -> crate::model::LiveFirewall {
        let rules: crate::model::Firewall = [(key, named(texts))].into_iter().collect();
        (&rules).into()
    };
    let (wide, narrow) = (["10.0.0.0/8", "11.0.0.0/8"], ["10.0.0.0/8"]);
    let (https, range) = (port(443, 443), port(79, 81));
    let all = crate::model::LiveFirewall::default();
    for (mode, key, texts, live, word) in [
        (
            Mode::Authoritative,
            https,
            &narrow[..],
            live(https, &narrow),
            "in-sync",
        ),
        (Mode::Authoritative, https, &narrow, all.clone(), "change"),
        (Mode::Observe, https, &narrow, all, "observed"),
        (Mode::Additive, https, &narrow, live(range, &wide), "change"),
        (
            Mode::Additive,
            port(80, 80),
            &[],
            live(range, &wide),
            "still-open",
        ),
        (
            Mode::Authoritative,
            https,
            &narrow,
            live(https, &wide),
            "refused",
        ),
    ] {
        let mut file = some_file();
        let rules = file.plan.instances.remove(0);
        let declared = Arc::new(Declaration {
            allow: "a rule".into(),
            from: [].into(),
            origin: Origin {
                file: "firewall.toml".into(),
                line: 3,
                column: 1,
            },
            why: None,
            owner: None,
            until: None,
        });
        let absent = crate::model::Absent {
            key: port(80, 80),
            sources: None,
            origin: declared.origin.clone(),
            why: None,
            owner: None,
        };
        let rule = Rule {
            key,
            sources: named(texts),
            declared,
        };
        let desired = DesiredInstance {
            mode,
            strategy: crate::model::Strategy::Incremental,
            rules: if texts.is_empty() { vec![] } else { vec![rule] },
            absent: if texts.is_empty() {
                vec![absent]
            } else {
                vec![]
            },
            expired: Vec::new(),
            notes: Vec::new(),
        };
        let options = crate::plan::PlanOptions::default();
        let plan = crate::plan::plan_instance(&rules.instance, &desired, &live, options);
        file.plan.instances.push(plan);
        let text = write(&file);
        assert!(text.contains(&format!("\"verdict\": \"{word}\"")), "{text}");
        assert_eq!(parse(&text, now(), None), Ok(file));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn plan_file_survives_a_round_trip(small in files(Universe::Small), big in files(Universe::Big)) {
        for file in [small, big] {
            let text = write(&file);
            let again = parse(&text, now(), Some(&file.digest().to_string()));
            let again = match again { Ok(again) => again, Err(refusal) => panic!("{refusal:?}\n{text}") };
            prop_assert_eq!(&again, &file);
            prop_assert_eq!(again.plan, file.plan);
        }
    }

    #[test]
    fn any_changed_byte_is_detected(
        file in files(Universe::Small), at in any::<Index>(), byte in any::<u8>(), kind in 0..3_u8,
    ) {
        let text = write(&file);
        let mut bytes = text.clone().into_bytes();
        let at = at.index(bytes.len());
        match kind {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => drop(bytes.remove(at)),
        }
        if let Ok(changed) = String::from_utf8(bytes) {
            prop_assert!(changed == text || parse(&changed, now(), None).is_err());
        }
    }

    #[test]
    fn parser_does_not_panic(text in any::<String>()) {
        prop_assert!(parse(&text, now(), None).is_err());
    }

    #[test]
    fn plan_is_valid_until_a_declared_rule_ends(
        (desired, _) in fleet(Universe::Small), hours in 0..24_000_i64, far in Just(Duration::MAX),
    ) {
        let latest = now() + Duration::hours(hours);
        let until = valid_until(desired.next_expiry(), now(), Duration::hours(hours));
        prop_assert!(until <= latest);
        let ends: Vec<OffsetDateTime> = desired.instances.values()
            .flat_map(|instance| &instance.rules).filter_map(|rule| rule.declared.until).collect();
        prop_assert!(ends.iter().all(|end| *end <= now() || until <= *end));
        prop_assert!(until == latest || ends.contains(&until));
        prop_assert!(valid_until(desired.next_expiry(), now(), far) >= now());
    }

    #[test]
    fn parsed_plan_equals_the_written_one(file in files(Universe::Small)) {
        let plan = parse(&write(&file), now(), None).expect("a plan").plan;
        for instance in plan.instances {
            prop_assert_eq!(!instance.calls.is_empty(), instance.verdict == Verdict::Change);
        }
    }
}
