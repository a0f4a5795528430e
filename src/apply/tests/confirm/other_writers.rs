//! A revert where somebody else writes too.
//!
//! **Owns** the tests of what is kept of theirs, and of what is said of it. **Does not** test a revert that is alone.

use super::*;

#[tokio::test(flavor = "current_thread")]
async fn revert_keeps_changes_of_others() {
    let with = |more: &[(i32, &[&str])]| {
        let mut firewall = after();
        for (key, sources) in &service::rules(more) {
            firewall.set(*key, sources.clone());
        }
        firewall
    };
    let theirs: (i32, &[&str]) = (8080, &["198.51.100.0/24"]);
    // What somebody else made of it meanwhile, what is left of that, and how many writes it took to undo ours.
    for (live, left, writes, said) in [
        (with(&[theirs]), elsewhere(), 1, "tcp/8080 is open to"),
        (
            elsewhere(),
            elsewhere(),
            0,
            "nothing of it was left; changed",
        ),
        (
            with(&[(443, &["0.0.0.0/0", "::/0"])]),
            service::rules(&[(22, &["192.0.2.1/32"]), (443, &["::/0"])]),
            1,
            "tcp/443 is open to ::/0",
        ),
        (
            with(&[(22, &["192.0.2.2/32"])]),
            service::rules(&[(22, &["192.0.2.2/32"])]),
            1,
            "tcp/22 is open to 192.0.2.2/32, not to 192.0.2.1/32",
        ),
    ] {
        let change = |service: &Service| service.host("web", |host| host.rules = live.clone());
        let (report, service) = confirmed(Behaviour::default(), change, LONG, denied()).await;
        let result = &report.results[0];
        let text = message(&result.outcome);
        assert!(matches!(result.outcome, Outcome::Reverted(_)), "{report:?}");
        assert!(
            text.starts_with("the probe failed") && text.contains(said),
            "{text}"
        );
        assert_eq!((rules(&service), result.writes), (left, 1 + writes));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn access_kept_open_by_others_is_not_reported_as_reverted() {
    let wide = service::from(&["0.0.0.0/0"]);
    let range = Key::new(Protocol::Tcp, 400, 500).expect("a range");
    let join = |service: &Service| {
        service.host("web", |host| {
            host.rules = before();
            host.rules.set(range, wide.clone());
        });
    };
    let (report, service) = confirmed(Behaviour::default(), join, LONG, denied()).await;
    let said = message(&report.results[0].outcome);
    assert!(
        matches!(report.results[0].outcome, Outcome::ForeignWriter(_)),
        "{report:?}"
    );
    assert!(
        said.contains("stays open") && said.contains("tcp/443"),
        "{said}"
    );
    assert_eq!(rules(&service).get(range), Some(&wide));
}

#[tokio::test(flavor = "current_thread")]
async fn revert_succeeds_beside_other_writers() {
    // The run takes three requests; the way back begins with the instance and its rules.
    for (request, shown) in [(4, true), (5, true), (6, false), (7, true), (8, true)] {
        let mut rules = after();
        rules.set(tcp(8080), service::from(&["198.51.100.0/24"]));
        let behaviour = Behaviour {
            foreign: Some((request, rules.clone(), shown)),
            ..Behaviour::default()
        };
        let service = Service::default();
        let plan = plan(vec![opening(&service, behaviour)]);
        let (settings, stop) = (hasty(), Stop::new());
        let tools = tools(&service, &settings, &stop);
        let report = run(&plan, &tools).await;
        let report = confirm(&plan, report, &tools, LONG, denied()).await;
        let result = &report.results[0];
        assert!(
            matches!(result.outcome, Outcome::Reverted(_)),
            "{request}: {report:?}"
        );
        let rules = self::rules(&service);
        assert_eq!(rules.get(tcp(443)), None, "{request}");
        // A Close leaves the other rules as they are, whoever wrote them and when.
        assert_eq!(rules, elsewhere(), "{request}");
    }
}

/// Somebody else puts it back right after it was read.
#[tokio::test(flavor = "current_thread")]
async fn change_undone_by_others_is_reverted_without_a_write() {
    let behaviour = Behaviour {
        // The run takes five requests, and the way back looks twice before its own first read.
        foreign: Some((7, before(), false)),
        ..Behaviour::default()
    };
    let (report, service) = confirmed(behaviour, |_| {}, LONG, denied()).await;
    let said = "the probe failed; nothing of it was left".to_owned();
    assert_eq!(report.results[0].outcome, Outcome::Reverted(said));
    assert_eq!((rules(&service), report.results[0].writes), (before(), 1));
}

/// Whenever something is to be sent, somebody else writes first, ten times at most.
struct Rival<'a> {
    service: &'a Service,
    turns: Cell<u16>,
}

impl Journal for Rival<'_> {
    fn intent(&self, _: &Intent<'_>) -> io::Result<usize> {
        self.turns.set(self.turns.get() + 1);
        let turn = self.turns.get();
        if (2..12).contains(&turn) {
            self.service.host("web", |host| {
                host.rules.set(
                    tcp(8000 + i32::from(turn)),
                    service::from(&["198.51.100.0/24"]),
                );
            });
        }
        Ok(0)
    }
}

#[tokio::test(flavor = "current_thread")]
async fn revert_gives_up_after_three_attempts_beside_a_fast_writer() {
    let service = Service::default();
    let plan = plan(vec![opening(&service, Behaviour::default())]);
    let (settings, stop) = (hasty(), Stop::new());
    let rival = Rival {
        service: &service,
        turns: Cell::default(),
    };
    let tools = Tools {
        reader: &service,
        writer: &service,
        journal: &rival,
        progress: &(),
        settings: &settings,
        stop: &stop,
        validity: Validity::UNLIMITED,
        clock: &service,
    };
    let report = run(&plan, &tools).await;
    assert_eq!(report.results[0].outcome, APPLIED);
    // Our Close is lost each time, and what is live is neither.
    let behaviour = Behaviour {
        faults: vec![LOST_BEFORE],
        ..Behaviour::default()
    };
    service.behave("web", behaviour);
    let report = confirm(&plan, report, &tools, LONG, denied()).await;
    let said = message(&report.results[0].outcome);
    assert_eq!(
        report.results[0].outcome.status().as_str(),
        "foreign-writer",
        "{report:?}"
    );
    assert!(said.contains("it was not put back"), "{said}");
    assert_eq!(service.host("web", |host| host.writes.len()), 1 + 3);
}
