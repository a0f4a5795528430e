//! Several processes at once, and processes that are killed.

use std::process::Stdio;
use std::thread;

use portward::emulator::{Quirks, RequestFault, ScriptedEvent, Trigger};
use portward::model::InstanceId;

use super::{
    CLOSED, CONFIG, GRANT, assert_ssh, closed, command, declared, grant_ssh, later, readings,
    served, state,
};
use crate::served_emulator::Server;
use crate::stage::{Done, REGION, Stage};

/// After every end, one `apply --only-expired` leaves these sources of SSH, no tag, and nothing to plan.
fn assert_only_expires(server: &Server, config: &str, expected: &[&str], situation: &str) {
    let stage = Stage::new(config, &server.emulator.inventory());
    let expired = later(500);
    let done = stage.on_fleet(&["apply", "--only-expired", "--yes", "--as-of", &expired]);
    assert_eq!(done.code, Some(0), "{situation}: {}", done.shown());
    assert_ssh(&stage.fleet(), expected, 0, situation);
    stage.assert_in_sync();
}

#[test]
fn concurrent_grants_both_open_their_source() {
    for quirks in readings() {
        let situation = format!("{:?} {:?}", quirks.open, quirks.close);
        let server = served(quirks, Vec::new(), closed());
        let stage = Stage::new(CLOSED, &closed());
        let grant = |address: &str| {
            let grant = grant_ssh(address, "1h");
            command(&server, &stage, &grant)
        };
        let both = ["203.0.113.7", "203.0.113.8"].map(grant);
        let running = both.map(|mut command| thread::spawn(move || Done::of(&mut command)));
        for done in running.map(|thread| thread.join().expect("it ends")) {
            assert_eq!(done.code, Some(0), "{situation}: {}", done.shown());
        }
        assert_ssh(
            &server.emulator.inventory(),
            &["203.0.113.7/32", "203.0.113.8/32"],
            2,
            &situation,
        );
        // Revoking one keeps the other.
        let revoke = ["revoke", "web-1", "ssh", "--from", "203.0.113.7"];
        let done = Done::of(&mut command(&server, &stage, &revoke));
        assert_eq!(done.code, Some(0), "{situation}: {}", done.shown());
        assert_ssh(
            &server.emulator.inventory(),
            &["203.0.113.8/32"],
            1,
            &situation,
        );
        assert_only_expires(&server, CLOSED, &[], &situation);
    }
}

#[test]
fn concurrent_grant_and_revoke_keep_each_others_result() {
    for quirks in readings() {
        let situation = format!("{:?} {:?}", quirks.open, quirks.close);
        let server = served(quirks, Vec::new(), declared());
        let stage = Stage::new(CONFIG, &declared());
        let first = Done::of(&mut command(&server, &stage, &GRANT));
        assert_eq!(first.code, Some(0), "{situation}: {}", first.shown());
        let grant = grant_ssh("203.0.113.8", "1h");
        let revoke = ["revoke", "web-1", "ssh", "--from", "203.0.113.7"];
        let both = [&grant[..], &revoke].map(|args| command(&server, &stage, args));
        let running = both.map(|mut command| thread::spawn(move || Done::of(&mut command)));
        for done in running.map(|thread| thread.join().expect("it ends")) {
            assert_eq!(done.code, Some(0), "{situation}: {}", done.shown());
        }
        let inventory = server.emulator.inventory();
        assert_ssh(
            &inventory,
            &["198.51.100.0/24", "203.0.113.8/32"],
            1,
            &situation,
        );
        assert_only_expires(&server, CONFIG, &["198.51.100.0/24"], &situation);
    }
}

/// Killed before and after every request of a grant and of a revoke: declared access stays open, at most the grant is open
/// beside it, and one `apply --only-expired` after its end closes that.
#[test]
fn killed_grant_leaves_only_access_that_expires() {
    let id = InstanceId {
        account: None,
        region: REGION.to_owned(),
        name: "web-1".to_owned(),
    };
    let revoke = ["revoke", "web-1", "ssh", "--from", "203.0.113.7"];
    for (args, begun) in [(&GRANT[..], false), (&revoke, true)] {
        let mut nth = 0;
        let mut places = 0;
        loop {
            nth += 1;
            let mut finished = false;
            for trouble in [RequestFault::SilentBefore, RequestFault::SilentAfter] {
                let situation = format!("{args:?}: {trouble:?} at request {nth}");
                let inventory = if begun {
                    let stage = Stage::new(CONFIG, &declared());
                    assert_eq!(stage.on_fleet(&GRANT).code, Some(0));
                    stage.fleet()
                } else {
                    declared()
                };
                let trigger = Trigger {
                    instance: id.clone(),
                    action: None,
                    nth,
                    event: ScriptedEvent::RequestFault(trouble),
                };
                let server = served(Quirks::default(), vec![trigger], inventory);
                let stage = Stage::new(CONFIG, &declared());
                // The list and STS come before the first request that names the instance.
                let before = if begun { 1 } else { 2 };
                let mut child = command(&server, &stage, args)
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .expect("the command runs");
                let reached = usize::try_from(nth).expect("a few") + before;
                let asked = || server.emulator.requests().values().sum::<usize>();
                loop {
                    if asked() >= reached {
                        break;
                    }
                    if child.try_wait().expect("a child").is_some() {
                        finished = true;
                        break;
                    }
                    thread::yield_now();
                }
                let _ = child.kill();
                let _ = child.wait();
                if !finished {
                    places += 1;
                }
                let (sources, _) = state(&server.emulator.inventory());
                assert!(
                    sources.contains("198.51.100.0/24"),
                    "{situation}: {sources:?}"
                );
                assert!(sources.len() <= 2, "{situation}: {sources:?}");
                assert_only_expires(&server, CONFIG, &["198.51.100.0/24"], &situation);
            }
            if finished {
                break;
            }
        }
        assert!(places > 8, "{args:?}: only {places}");
    }
}
