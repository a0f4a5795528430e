//! Random faults, and the counting of requests.

use crate::model::InstanceId;

use super::super::faults::Trigger;
use super::*;

#[test]
fn seeded_faults_vary_by_seed() {
    let mut seeds_with = BTreeMap::<&str, usize>::new();
    for seed in 0..400 {
        let Faults {
            seed: _,
            throttle,
            server_errors,
            server_errors_after,
            refused,
            lost_requests,
            lost_responses,
            silent,
            slow,
            slow_by,
            expire_after,
            denied,
            foreign_write,
            deleted,
            replaced,
            script,
        } = Faults::seeded(seed);
        assert!(throttle && !slow_by.is_zero() && denied.is_empty() && script.is_empty());
        for (kind, occurs) in [
            ("server-errors", server_errors > 0),
            ("server-errors-after", server_errors_after > 0),
            ("refused", refused > 0),
            ("lost-requests", lost_requests > 0),
            ("lost-replies", lost_responses > 0),
            ("silent", silent > 0),
            ("slow", slow > 0),
            ("expires", expire_after.is_some()),
            ("second-writer", foreign_write > 0),
            ("deleted", deleted > 0),
            ("replaced", replaced > 0),
        ] {
            *seeds_with.entry(kind).or_default() += usize::from(occurs);
        }
    }
    for (kind, seeds) in seeds_with {
        assert!((20..300).contains(&seeds), "{kind}: {seeds} of 400");
    }
    assert_eq!(Faults::seeded(5), Faults::seeded(5));
}

#[test]
fn trigger_counts_requests_by_instance_and_action() {
    let trigger = |action, nth| Trigger {
        instance: InstanceId {
            account: None,
            region: "r".to_owned(),
            name: "a1".to_owned(),
        },
        action,
        nth,
        event: ScriptedEvent::Deletion,
    };
    let events = |script: Vec<Trigger>| {
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
                let request = injector.count(&Site::of_region(region), name, action);
                injector.events(&request).len()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(events(vec![trigger(None, 2)]), [0, 0, 0, 0, 1, 0]);
    assert_eq!(
        events(vec![trigger(Some("GetInstance"), 2)]),
        [0, 0, 0, 0, 0, 1]
    );
    assert_eq!(
        events(vec![trigger(None, 1), trigger(None, 1)]),
        [2, 0, 0, 0, 0, 0]
    );
}
