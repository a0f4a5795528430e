//! The mixtures, and the counting.

use super::*;

#[test]
fn seeded_faults_vary_by_seed() {
    let mut with = BTreeMap::<&str, usize>::new();
    for seed in 0..400 {
        let Faults {
            seed: _,
            throttle,
            server_errors,
            server_errors_after,
            refused,
            lost_requests,
            lost_replies,
            silent,
            slow,
            slow_by,
            expire_after,
            denied,
            second_writer,
            deleted,
            replaced,
            script,
        } = Faults::seeded(seed);
        assert!(throttle && !slow_by.is_zero() && denied.is_empty() && script.is_empty());
        for (kind, there) in [
            ("server-errors", server_errors > 0),
            ("server-errors-after", server_errors_after > 0),
            ("refused", refused > 0),
            ("lost-requests", lost_requests > 0),
            ("lost-replies", lost_replies > 0),
            ("silent", silent > 0),
            ("slow", slow > 0),
            ("expires", expire_after.is_some()),
            ("second-writer", second_writer > 0),
            ("deleted", deleted > 0),
            ("replaced", replaced > 0),
        ] {
            *with.entry(kind).or_default() += usize::from(there);
        }
    }
    for (kind, seeds) in with {
        assert!((20..300).contains(&seeds), "{kind}: {seeds} of 400");
    }
    assert_eq!(Faults::seeded(5), Faults::seeded(5));
}

#[test]
fn triggers_count_the_requests_that_they_name() {
    let scripted = |action, nth| Trigger {
        instance: InstanceId {
            account: None,
            region: "r".to_owned(),
            name: "a1".to_owned(),
        },
        action,
        nth,
        what: ScriptedEvent::Deleted,
    };
    let due = |script: Vec<Trigger>| {
        let mut injector = FaultInjector::new(Faults {
            script,
            ..Faults::default()
        });
        let requests = [
            ("r", Some("a1"), Action::GetInstance),
            ("r", Some("b1"), Action::GetInstance),
            ("s", Some("a1"), Action::GetInstance),
            ("r", None, Action::GetInstances),
            ("r", Some("a1"), Action::PutInstancePublicPorts),
            ("r", Some("a1"), Action::GetInstance),
        ];
        requests
            .into_iter()
            .map(|(region, name, action)| {
                let turn = injector.turn(&Site::of_region(region), name, action);
                injector.events(&turn).len()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(due(vec![scripted(None, 2)]), [0, 0, 0, 0, 1, 0]);
    assert_eq!(
        due(vec![scripted(Some("GetInstance"), 2)]),
        [0, 0, 0, 0, 0, 1]
    );
    assert_eq!(
        due(vec![scripted(None, 1), scripted(None, 1)]),
        [2, 0, 0, 0, 0, 0]
    );
}
