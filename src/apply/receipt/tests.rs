//! Receipts from real runs against the service service: what they say, what a death leaves of them, and the way back.

mod rollback;

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use time::OffsetDateTime;

use super::super::tests::service::{
    Behaviour, FINE, LOST_BEFORE, Service, THROTTLED, from, plan, tcp,
};
use super::super::tests::{after, before, opening, patient, put};
use super::super::{Confirmation, Stop, Tools, Validity, confirm, run};
use super::{
    Header, Receipt, ReceiptError, ReceiptFile, Rollback, RunScope, is_running, record,
    unconfirmed, unfinished_runs,
};
use crate::lightsail::{Error, ErrorKind};
use crate::model::{Instance, InstanceId, Live, LiveFirewall, PortState, Site, Strategy};
use crate::plan::{Call, InstancePlan, Plan, Verdict, lint};

fn header(confirm_within: Option<u64>) -> Header {
    Header {
        plan_digest: Some("sha256:00".into()),
        confirm_within,
        ..Header::new(
            OffsetDateTime::UNIX_EPOCH,
            RunScope {
                account: None,
                regions: vec!["eu-central-1".into()],
                targets: Vec::new(),
            },
        )
    }
}

/// A run over `web`, which is opened after some trouble, and `db`, with its receipt.
async fn receipt(folder: &Path, confirmation: Option<Confirmation>) -> (Service, ReceiptFile) {
    let service = Service::default();
    let web = opening(
        &service,
        Behaviour {
            faults: vec![LOST_BEFORE, THROTTLED, FINE],
            ..Behaviour::default()
        },
    );
    let db = InstancePlan {
        calls: vec![put()],
        ..service.add("db", &before(), &after(), Behaviour::default())
    };
    let within = confirmation.as_ref().map(|_| 60);
    let file = ReceiptFile::create(folder, &header(within)).expect("a receipt");
    let (settings, stop) = (patient(), Stop::new());
    let tools = Tools {
        reader: &service,
        writer: &service,
        journal: &file,
        progress: &(),
        settings: &settings,
        stop: &stop,
        validity: Validity::UNLIMITED,
        clock: &service,
    };
    let plan = plan(vec![web, db]);
    let report = run(&plan, &tools).await;
    if let Some(confirmation) = confirmation {
        let answer = std::future::ready(confirmation);
        let within = std::time::Duration::from_mins(1);
        let _ = confirm(&plan, report, &tools, within, answer).await;
    }
    (service, file)
}

/// The text of such a receipt, ended.
fn text() -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let (_, file) = runtime.block_on(receipt(folder.path(), Some(Confirmation::Given)));
    file.end(false).expect("an end");
    fs::read(file.path().expect("a file")).expect("a receipt")
}

fn id(name: &str) -> InstanceId {
    InstanceId {
        account: None,
        region: "eu-central-1".into(),
        name: name.into(),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn receipt_records_writes_and_their_results() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, file) = receipt(&folder.path().join("a/b"), None).await;
    let open = Receipt::read(file.path().expect("a file")).expect("a receipt");
    assert!(!open.has_ended() && open.unfinished().is_empty() && open.unproved().is_empty());
    file.end(false).expect("an end");
    let receipt = Receipt::read(file.path().expect("a file")).expect("a receipt");
    assert!(receipt.has_ended() && receipt.torn.is_none());
    assert_eq!(receipt.header, header(None));
    let mut writes: Vec<_> = receipt
        .writes
        .iter()
        .map(|w| (w.id.name.as_str(), w.call.action(), w.may_have_happened()))
        .collect();
    writes.sort_unstable();
    assert_eq!(
        writes,
        [
            ("db", "PutInstancePublicPorts", true),
            ("web", "OpenInstancePublicPorts", false),
            ("web", "OpenInstancePublicPorts", true),
            ("web", "OpenInstancePublicPorts", true),
        ]
    );
    for write in receipt.writes {
        assert_eq!(write.before.firewall(), &before());
        assert_eq!(write.after.firewall(), &after());
    }
    let text = fs::read_to_string(file.path().expect("a file")).expect("a receipt");
    let put = text.lines().find(|line| line.contains("portInfos"));
    let put: serde_json::Value = serde_json::from_str(put.expect("a Put")).expect("JSON");
    let rule = |port: u16, cidr: &str| {
        serde_json::json!({"fromPort": port, "toPort": port, "protocol": "tcp",
            "cidrs": [cidr], "ipv6Cidrs": [], "cidrListAliases": []})
    };
    assert_eq!(
        put["call"]["request"],
        serde_json::json!({
            "portInfos": [rule(22, "192.0.2.1/32"), rule(443, "0.0.0.0/0")]})
    );
}

#[cfg(unix)]
#[tokio::test(flavor = "current_thread")]
async fn receipt_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().expect("a folder");
    let receipts = folder.path().join("receipts");
    let file = ReceiptFile::create(&receipts, &header(None)).expect("a receipt");
    let mode = |path: &Path| {
        let metadata = fs::metadata(path).expect("it is there");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(
        (mode(&receipts), mode(file.path().expect("a file"))),
        (0o700, 0o600)
    );
    // Two runs within a second are two files.
    let other = ReceiptFile::create(&receipts, &header(None)).expect("a receipt");
    assert_ne!(file.path().expect("a file"), other.path().expect("a file"));
}

#[tokio::test(flavor = "current_thread")]
async fn dead_run_is_found_until_a_later_run_has_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(unfinished_runs(&folder.path().join("none")).is_ok_and(|found| found.is_empty()));
    let (_, file) = receipt(folder.path(), Some(Confirmation::Given)).await;
    let text = fs::read_to_string(file.path().expect("a file")).expect("a receipt");
    let cut = text.find(r#""confirmed""#).expect("a confirmation");
    fs::write(file.path().expect("a file"), &text[..cut]).expect("a torn receipt");

    let found = unfinished_runs(folder.path()).expect("a folder");
    let died = found[0].1.as_ref().expect("a receipt");
    assert!(died.died_unconfirmed() && died.torn.is_some());

    fs::write(file.path().expect("a file"), &text).expect("the whole receipt");
    let found = unfinished_runs(folder.path()).expect("a folder");
    assert!(!found[0].1.as_ref().expect("a receipt").died_unconfirmed());

    // One that wrote nothing is of no interest; an ended one has named what was before it.
    fs::write(file.path().expect("a file"), &text[..cut]).expect("a torn receipt");
    let later = folder.path().join("99991231T235959Z-1.jsonl");
    let (first, _) = text.split_once('\n').expect("lines");
    fs::write(&later, format!("{first}\n")).expect("a receipt");
    assert_eq!(unfinished_runs(folder.path()).expect("a folder").len(), 1);
    let end = r#"{"type":"end","at":"9999-12-31T23:59:59Z","interrupted":false}"#;
    fs::write(&later, format!("{first}\n{end}\n")).expect("a receipt");
    assert_eq!(unfinished_runs(folder.path()).expect("a folder").len(), 0);
    // What cannot be read is not passed over.
    fs::write(&later, format!("{first}\n{{}}\n")).expect("a receipt");
    let found = unfinished_runs(folder.path()).expect("a folder");
    assert!(found.len() == 2 && found[0].1.is_err(), "{found:?}");
}

/// A run that was not confirmed is told of until later runs that ended wrote to all that it may have changed.
#[tokio::test(flavor = "current_thread")]
async fn unconfirmed_run_is_reported_until_it_is_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let none = unconfirmed(&folder.path().join("none")).expect("no folder");
    assert!(none.is_empty());
    let (_, file) = receipt(folder.path(), Some(Confirmation::Given)).await;
    let unfinished_runs = fs::read_to_string(file.path().expect("a file")).expect("a receipt");
    let cut = unfinished_runs
        .find(r#""confirmed""#)
        .expect("a confirmation");
    // The last line is torn, as where a run dies.
    let died = &unfinished_runs[..cut];
    let end = r#"{"type":"end","at":"9999-12-31T23:59:59Z","interrupted":false}"#;
    let ended = format!("{unfinished_runs}{end}\n");
    let of_web = ended.replace(r#""db""#, r#""another""#);
    let (_, plain) = receipt(folder.path(), None).await;
    let without = fs::read_to_string(plain.path().expect("a file")).expect("a receipt");
    fs::remove_file(plain.path().expect("a file")).expect("it is there");
    let damaged = format!("{}\n{{}}\n", died.lines().next().expect("a header"));
    let later = folder.path().join("99991231T235959Z-1.jsonl");
    for (first, second, count) in [
        (died, None, 1),
        (&*unfinished_runs, None, 0),
        (&*without, None, 0),
        (&*damaged, None, 1),
        (died, Some(&*ended), 0),
        (died, Some(&*unfinished_runs), 1),
        (died, Some(&*of_web), 1),
        (died, Some(&*damaged), 2),
        (died, Some(died), 2),
    ] {
        fs::write(file.path().expect("a file"), first).expect("a receipt");
        match second {
            Some(text) => fs::write(&later, text).expect("a receipt"),
            None => assert!(!later.exists()),
        }
        let found = unconfirmed(folder.path()).expect("a folder");
        assert_eq!(found.len(), count, "{first}\n---\n{second:?}");
        let earlier = found
            .iter()
            .find(|found| found.path == file.path().expect("a file"));
        assert_eq!(earlier.is_some(), count > 0);
        if let Some(earlier) = earlier {
            assert_eq!(earlier.receipt.is_err(), first == damaged);
            assert!(earlier.is_running, "its file is still open");
        }
    }
}

#[test]
fn files_of_other_formats_are_refused() {
    let text = String::from_utf8(text()).expect("text");
    let changed = |from: &str, to: &str| Receipt::parse("r", text.replacen(from, to, 1).as_bytes());
    assert!(matches!(
        changed("portward.receipt", "portward.plan"),
        Err(ReceiptError::Format)
    ));
    assert!(matches!(
        changed(r#""version":1"#, r#""version":2"#),
        Err(ReceiptError::Version(2))
    ));
    assert!(matches!(
        Receipt::parse("r", b"hello"),
        Err(ReceiptError::Format)
    ));
    for (from, to) in [
        (r#""write":1"#, r#""write":7"#),
        (r#""type":"intent""#, r#""type":"wish""#),
        (r#""interrupted":false}"#, "\"interrupted\":false}\n{}"),
        (r#""before":"#, r#""was":"#),
        (r#""write":1,"#, r#""write":1,"write":1,"#),
        (r#""action":"Open"#, r#""action":"Reopen"#),
        (
            r#""portInfo":{"protocol":"tcp""#,
            r#""portInfo":{"protocol":"sctp""#,
        ),
        (r#""portInfo":{"#, r#""portInfo":{"colour":1,"#),
        (r#""at":""#, r#""at":"x"#),
        (r#""status":"applied""#, r#""status":"done""#),
    ] {
        let found = changed(from, to);
        assert!(
            matches!(found, Err(ReceiptError::Line { .. })),
            "{to}: {found:?}"
        );
    }
}

#[test]
fn truncated_receipt_can_be_read() {
    let text = text();
    let whole = Receipt::parse("r", &text).expect("a receipt");
    let first = text.iter().position(|byte| *byte == b'\n');
    let first = first.expect("a line");
    for length in 0..text.len() {
        match Receipt::parse("r", &text[..length]) {
            Err(ReceiptError::NoHeader) => assert!(length <= first, "{length}"),
            Ok(receipt) => {
                assert!(length > first && receipt.writes.len() <= whole.writes.len());
                let at_line = text[length - 1] == b'\n';
                assert_eq!(receipt.torn.is_none(), at_line, "{length}");
                // Only the last write can be in doubt, but for the one whose reply was lost.
                assert!(receipt.unfinished().len() <= 3, "{length}");
                // Nothing is called proved before its result is told.
                let told = receipt.unproved().is_empty() || receipt.unproved().len() <= 2;
                assert!(told, "{length}");
            }
            Err(damage) => panic!("{length}: {damage}"),
        }
    }
}

proptest! {
    /// Bytes from anywhere are judged, never a reason to fall over.
    #[test]
    fn receipt_parser_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Receipt::parse("r", &bytes);
        let mut later = text_once().to_vec();
        later.extend(bytes);
        let _ = Receipt::parse("r", &later);
    }

    /// A byte that changed in the midst is noticed or leaves the format whole; it never makes a shorter receipt.
    #[test]
    fn damage_inside_a_receipt_is_not_taken_for_a_torn_line(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = text_once().to_vec();
        let place = place.index(text.len() - 1);
        text[place] = byte;
        if let Ok(receipt) = Receipt::parse("r", &text) {
            prop_assert_eq!(receipt.torn, None);
        }
    }
}

fn text_once() -> &'static [u8] {
    static TEXT: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    TEXT.get_or_init(text)
}

#[test]
fn every_line_has_a_timestamp() {
    let text = String::from_utf8(text()).expect("text");
    let mut lines = text.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        line
    });
    let header = lines.next().expect("a header");
    assert_eq!(header["started"], "1970-01-01T00:00:00Z");
    for line in lines {
        let at = line["at"].as_str().expect("an instant");
        let at = OffsetDateTime::parse(at, &time::format_description::well_known::Rfc3339);
        assert!(at.is_ok_and(|at| at.year() >= 2026), "{line}");
    }
}

/// What a receipt says of an answer decides what a way back undoes.
#[test]
fn response_decides_whether_a_call_may_have_happened() {
    for (kind, is_unknown, status) in [
        (ErrorKind::Connection, false, "unsent"),
        (ErrorKind::Timeout, false, "unsent"),
        (ErrorKind::AccessDenied, false, "refused"),
        (ErrorKind::Connection, true, "unanswered"),
        (ErrorKind::AccessDenied, true, "unanswered"),
    ] {
        let error = Error::new(kind, "OpenInstancePublicPorts", "web", "no");
        let error = error.with_outcome_unknown(is_unknown);
        let said = serde_json::to_value(record::outcome(1, Err(&error))).expect("JSON");
        assert_eq!(said["status"], status, "{kind:?}");
    }
}

#[test]
fn write_is_unfinished_until_its_response_or_result() {
    let whole = String::from_utf8(text()).expect("text");
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let intent = lines
        .iter()
        .position(|line| line.contains(r#""type":"intent""#));
    let intent = intent.expect("an intent");
    let parse = |lines: &[&str]| Receipt::parse("r", lines.concat().as_bytes());
    let outcome = |status: &str| {
        format!(
            r#"{{"type":"outcome","at":"2026-01-01T00:00:00Z","write":1,"status":"{status}","operation":null,"code":null,"message":null,"requestId":null}}"#
        ) + "\n"
    };
    let begun = parse(&lines[..=intent]).expect("a receipt");
    assert_eq!(begun.unfinished().len(), 1);
    assert_eq!(begun.unproved(), [&begun.writes[0].id].into());
    assert!(!begun.writes[0].is_answered());
    for (status, answered) in [
        ("accepted", true),
        ("refused", true),
        ("unsent", true),
        ("unanswered", false),
    ] {
        let outcome = outcome(status);
        let mut lines = lines[..=intent].to_vec();
        lines.push(&outcome);
        let receipt = parse(&lines).expect("a receipt");
        assert_eq!(receipt.writes[0].is_answered(), answered, "{status}");
        assert_eq!(receipt.unfinished().is_empty(), answered, "{status}");
        // There is one answer to a call.
        lines.push(&outcome);
        let twice = parse(&lines).expect_err("refused");
        assert!(
            twice.to_string().contains("write 1 was not waited for"),
            "{twice}"
        );
        // Half a line is told of by its number.
        let last = lines.pop().expect("a line");
        lines.push(&last[..20]);
        let torn = parse(&lines).expect("a receipt");
        assert_eq!(torn.torn, Some(lines.len()), "{status}");
    }
    // A confirmation that is no way back leaves what was proved.
    let mut receipt = parse(&lines).expect("a receipt");
    assert!(receipt.unproved().is_empty() && receipt.unfinished().is_empty());
    receipt.writes.retain(|write| write.id.name == "db");
    assert_eq!(receipt.writes.len(), 1);
}

/// Files that are no receipts, damage where nothing had to be confirmed, and folders that cannot be listed.
#[test]
fn other_files_in_the_folder_of_receipts_are_ignored() {
    let folder = tempfile::tempdir().expect("a folder");
    let of = |name: &str| folder.path().join(name);
    fs::write(of("notes.txt"), "hello\n").expect("a file");
    fs::create_dir(of("20260101T000000Z-1.jsonl")).expect("a folder");
    assert!(unfinished_runs(folder.path()).expect("a folder").is_empty());
    assert!(unfinished_runs(&of("notes.txt")).is_err());
    assert!(unfinished_runs(&of("none")).expect("nothing").is_empty());

    let file = ReceiptFile::create(folder.path(), &header(None)).expect("a receipt");
    let path = file.path().expect("a file").to_owned();
    assert!(cfg!(not(unix)) || is_running(&path));
    drop(file);
    assert!(!is_running(&path));
    let first = fs::read_to_string(&path).expect("a header");
    fs::write(&path, format!("{first}{{}}\n")).expect("a damaged receipt");
    assert!(unconfirmed(folder.path()).expect("a folder").is_empty());
    assert_eq!(unfinished_runs(folder.path()).expect("a folder").len(), 1);
}

/// The file system of the kernel takes no files, which is no reason to try for ever.
#[cfg(target_os = "linux")]
#[test]
fn unwritable_folder_is_an_error() {
    assert!(ReceiptFile::create(Path::new("/proc"), &header(None)).is_err());
}
