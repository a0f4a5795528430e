//! Rollbacks from receipts.
//!
//! **Owns** the tests of plans that undo a run. **Does not** test the file.

use super::*;

/// What is live: `web` and `db`, as the service has them.
fn live(service: &Service) -> Live {
    let mut live = Live::default();
    for name in ["web", "db"] {
        let (instance, rules) = service.host(name, |h| (h.instance.clone(), h.rules.clone()));
        live.firewalls
            .insert(id(name), Ok(LiveFirewall::from(&rules)));
        live.instances.insert(id(name), instance);
    }
    live
}

fn way_back(back: &Rollback, live: &Live) -> Plan {
    back.plan(&mut back.desired(live), live, Strategy::Auto)
}

#[tokio::test(flavor = "current_thread")]
async fn rollback_is_an_ordinary_plan() {
    for confirmation in [None, Some(Confirmation::Denied("no".into()))] {
        let reverted = confirmation.is_some();
        let folder = tempfile::tempdir().expect("a folder");
        let (service, file) = receipt(folder.path(), confirmation).await;
        let back = Receipt::read(file.path().expect("a file"))
            .expect("a receipt")
            .rollback();
        assert_eq!(back.sites(), [Site::of_region("eu-central-1")].into());
        let mut live = live(&service);
        let plan = way_back(&back, &live);
        assert_eq!(lint::lint(&plan), []);
        for instance in plan.instances {
            if reverted {
                assert_eq!(instance.verdict, Verdict::InSync);
                continue;
            }
            assert_eq!(instance.after, before());
            assert!(matches!(instance.calls[..], [Call::Close { .. }]));
            assert_eq!(instance.verdict, Verdict::Change);
        }
        assert_eq!(back.changed_since(&live), [].into());
        // Another instance of the name is refused, one that is gone is missing, a region that is not known is neither.
        let other = Instance {
            arn: "arn:other".into(),
            ..live.instances[&id("web")].clone()
        };
        live.instances.insert(id("web"), other);
        live.instances.remove(&id("db"));
        let plan = way_back(&back, &live);
        assert!(
            matches!(&plan.instances[0].verdict, Verdict::Refused { reason, .. } if reason.contains("arn:other"))
        );
        assert!(plan.instances[0].calls.is_empty());
        assert_eq!(plan.missing[0].name, "eu-central-1/db");
        let unreadable = crate::model::Unreadable::new("no");
        live.firewalls.remove(&id("db"));
        live.sites_unreadable
            .insert(Site::of_region("eu-central-1"), unreadable);
        let plan = way_back(&back, &live);
        assert_eq!((plan.missing.len(), plan.unreadable.len()), (0, 1));
    }
}

/// Every ending that a write can have, and what was live before, after and since.
#[tokio::test(flavor = "current_thread")]
async fn rollback_undoes_possible_writes_and_reports_later_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let (service, file) = receipt(folder.path(), None).await;
    let text = fs::read_to_string(file.path().expect("a file")).expect("a receipt");
    let lines = |keep: &dyn Fn(&str) -> bool| -> String {
        let lines = text.lines().filter(|line| keep(line));
        lines.flat_map(|line| [line, "\n"]).collect()
    };
    // The only write to `db`, with the outcome that is wished for.
    let whole = lines(&|line| line.contains("header") || line.contains(r#""name":"db""#));
    let number = whole.split(r#""write":"#).nth(1).expect("a write");
    let number = number.split(',').next().expect("a number").to_owned();
    let receipt = |status: Option<&str>| {
        let outcome = status.map(|status| {
            format!(
                r#"{{"type":"outcome","at":"2026-01-01T00:00:00Z","write":1,"status":"{status}","operation":null,"code":null,"message":null,"requestId":null}}"#
            ) + "\n"
        });
        let text = whole.replace(&format!(r#""write":{number}"#), r#""write":1"#);
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        let outcome = outcome.unwrap_or_default();
        lines.insert(2, &outcome);
        Receipt::parse("r", lines.concat().as_bytes()).expect("a receipt")
    };
    let mut theirs = after();
    theirs.set(tcp(8080), from(&["198.51.100.0/24"]));
    for status in [
        Some("accepted"),
        Some("unanswered"),
        None,
        Some("refused"),
        Some("unsent"),
    ] {
        let happened = !matches!(status, Some("refused" | "unsent"));
        let back = receipt(status).rollback();
        for (now, changed) in [(before(), false), (after(), false), (theirs.clone(), true)] {
            service.host("db", |host| host.rules = now.clone());
            let live = live(&service);
            let plan = way_back(&back, &live);
            assert_eq!(lint::lint(&plan), []);
            if !happened {
                assert!(plan.instances.is_empty() && back.sites().is_empty());
                assert_eq!(
                    plan.notes[0].text,
                    "nothing to undo on eu-central-1/db: the run wrote nothing to it"
                );
                continue;
            }
            let found = back.changed_since(&live);
            assert_eq!(found.contains_key(&id("db")), changed, "{status:?} {now:?}");
            let mut wanted = now.clone();
            wanted.remove(tcp(443));
            assert_eq!(plan.instances[0].after, wanted, "{status:?} {now:?}");
        }
    }
}

#[test]
fn rollback_is_refused_for_rules_that_cannot_be_written_again() {
    let text = String::from_utf8(text()).expect("text");
    let strange = PortState {
        from_port: 5,
        to_port: 5,
        protocol: "tcp".into(),
        ..PortState::default()
    };
    let strange = serde_json::to_string(&strange).expect("JSON");
    let text = text.replace(r#""before":["#, &format!(r#""before":[{strange},"#));
    let back = Receipt::parse("r", text.as_bytes()).expect("a receipt");
    let back = back.rollback();
    let service = Service::default();
    for name in ["web", "db"] {
        service.add(name, &after(), &after(), Behaviour::default());
    }
    let plan = way_back(&back, &live(&service));
    // A Put dropped it from `db`; `web` was only opened, so that it must have gone otherwise.
    let [db, web] = &plan.instances[..] else {
        panic!("{plan:?}")
    };
    assert!(
        matches!(&db.verdict, Verdict::Refused { reason, .. } if reason.contains("names no source"))
    );
    assert_eq!(web.verdict, Verdict::Change);
    let note = &web.notes[0].text;
    assert!(note.contains("`tcp 5-5` is gone"), "{note}");
}

#[tokio::test(flavor = "current_thread")]
async fn rollback_reports_unread_instances() {
    let folder = tempfile::tempdir().expect("a folder");
    let (service, file) = receipt(folder.path(), None).await;
    let back = Receipt::read(file.path().expect("a file"))
        .expect("a receipt")
        .rollback();
    let unreadable = crate::model::Unreadable::new("throttled");
    let mut live = live(&service);
    live.firewalls.insert(id("web"), Err(unreadable.clone()));
    // The same instance under another name, and a region that cannot be listed.
    let gone = live.instances.remove(&id("db")).expect("it was there");
    let renamed = Instance {
        id: id("database"),
        ..gone
    };
    live.instances.insert(id("database"), renamed);
    let elsewhere = Site::of_region("us-east-1");
    live.sites_unreadable
        .insert(elsewhere.clone(), unreadable.clone());
    let mut desired = back.desired(&live);
    assert_eq!(
        desired.missing[0].hint.as_deref(),
        Some("eu-central-1/database")
    );
    let note = crate::model::Note {
        text: "said before".into(),
        origin: None,
    };
    desired.notes.push(note.clone());
    let plan = back.plan(&mut desired, &live, Strategy::Auto);
    assert_eq!(plan.unreadable, [(id("web"), unreadable.clone())]);
    assert_eq!(plan.sites_unreadable, [(elsewhere, unreadable)]);
    assert_eq!(plan.notes, [note]);
}

#[test]
fn put_replaces_uncertain_entries() {
    let uncertain = PortState {
        from_port: 5,
        to_port: 5,
        protocol: "tcp".into(),
        ..PortState::default()
    };
    let known = LiveFirewall::read(std::slice::from_ref(&uncertain));
    let kept = super::super::entries(&after(), &known, false);
    assert!(kept.contains(&uncertain), "{kept:?}");
    let replaced = super::super::entries(&after(), &known, true);
    assert_eq!(replaced.len() + 1, kept.len());
    assert!(!replaced.contains(&uncertain), "{replaced:?}");
}
