//! The files of an emulator, with other emulators and programs.

use std::collections::BTreeMap;

use tempfile::TempDir;
use time::OffsetDateTime;

use crate::model::InstanceId;

use super::super::context::Context;
use super::super::operations::Operations;
use super::super::quirks::{OperationProgress, Quirks};
use super::*;

fn empty() -> String {
    Inventory::new(BTreeMap::new()).to_json()
}

fn other() -> String {
    Inventory::new([("eu-central-1".to_owned(), Vec::new())].into()).to_json()
}

fn state() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("fleet.json");
    fs::write(&path, empty()).expect("written");
    (directory, path)
}

fn open(path: &Path, access: FileAccess) -> Result<Store, String> {
    match Store::open(path, access) {
        Ok((store, ..)) => Ok(store),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn one_writer_or_several_readers_may_open_the_file() {
    let (_directory, path) = state();
    let in_use = Err(format!("`{}` is in use by another process", path.display()));
    let writer = open(&path, FileAccess::ReadWrite).expect("free");
    assert_eq!(open(&path, FileAccess::ReadWrite).map(drop), in_use);
    assert_eq!(open(&path, FileAccess::ReadOnly).map(drop), in_use);
    drop(writer);
    let readers = [
        open(&path, FileAccess::ReadOnly),
        open(&path, FileAccess::ReadOnly),
    ];
    assert!(readers.iter().all(Result::is_ok));
    assert_eq!(open(&path, FileAccess::ReadWrite).map(drop), in_use);
    drop(readers);
    open(&path, FileAccess::ReadWrite).expect("free again");
}

#[test]
fn replacement_keeps_lock_and_permissions_and_leaves_no_files() {
    let (directory, path) = state();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
    }
    let mode = fs::metadata(&path).expect("there").permissions();
    let mut store = open(&path, FileAccess::ReadWrite).expect("free");
    for text in [other(), empty(), other()] {
        store.replace(&text).expect("written");
        assert_eq!(fs::read_to_string(&path).expect("there"), text);
        assert!(open(&path, FileAccess::ReadOnly).is_err(), "still locked");
    }
    assert_eq!(fs::metadata(&path).expect("there").permissions(), mode);
    let names = fs::read_dir(directory.path()).expect("listed").count();
    assert_eq!(names, 1);
    drop(store);
    open(&path, FileAccess::ReadWrite).expect("free again");
}

#[test]
fn changes_of_other_programs_are_not_overwritten() {
    let (directory, path) = state();
    let mut store = open(&path, FileAccess::ReadWrite).expect("free");
    fs::write(&path, other()).expect("written");
    store.replace(&empty()).expect_err("changed in place");
    assert_eq!(fs::read_to_string(&path).expect("there"), other());

    let mut store = {
        drop(store);
        open(&path, FileAccess::ReadWrite).expect("free")
    };
    let next = directory.path().join("next");
    fs::write(&next, empty()).expect("written");
    fs::rename(&next, &path).expect("renamed");
    store.replace(&other()).expect_err("replaced");
    assert_eq!(fs::read_to_string(&path).expect("there"), empty());
}

#[cfg(unix)]
#[test]
fn symbolic_link_is_kept() {
    let (directory, path) = state();
    let link = directory.path().join("link.json");
    std::os::unix::fs::symlink(&path, &link).expect("linked");
    let mut store = open(&link, FileAccess::ReadWrite).expect("free");
    store.replace(&other()).expect("written");
    assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
    assert_eq!(fs::read_to_string(&path).expect("there"), other());
}

#[test]
fn invalid_inventory_is_an_error_with_its_path() {
    let (directory, path) = state();
    let missing = directory.path().join("missing.json");
    let shown = missing.display().to_string();
    let error = Store::open(&missing, FileAccess::ReadWrite).expect_err("missing");
    assert_eq!(error.to_string(), format!("cannot open `{shown}`"));
    assert!(!missing.exists());

    let error = Store::open(directory.path(), FileAccess::ReadOnly).expect_err("a directory");
    assert!(matches!(error, OpenError::NotAFile { .. }));

    fs::write(&path, "{}").expect("written");
    let error = Store::open(&path, FileAccess::ReadOnly).expect_err("no inventory");
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(
        error.to_string(),
        format!("cannot read `{}`", path.display())
    );
    assert!(cause.is_some_and(|cause| cause.contains("missing field")));

    fs::write(&path, [0xff, 0xfe]).expect("written");
    let error = Store::open(&path, FileAccess::ReadOnly).expect_err("no text");
    assert!(matches!(error, OpenError::Io { .. }));
}

/// The names in the directory.
fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).expect("listed");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.into_string().expect("text"))
        .collect();
    names.sort();
    names
}

#[test]
fn temporary_files_of_a_killed_run_are_removed() {
    let (directory, path) = state();
    let leftovers = [
        ".fleet.json.aB3dE6.portward-tmp",
        ".fleet.json.operations.000000.portward-tmp",
    ];
    let others = [
        ".fleet.json.backup",
        ".fleet.json.aB3dE6",
        ".fleet.json.aB3dE.portward-tmp",
        ".fleet.json.a-3dE6.portward-tmp",
        ".other.json.aB3dE6.portward-tmp",
        "fleet.json.aB3dE6.portward-tmp",
    ];
    for name in leftovers.iter().chain(&others) {
        fs::write(directory.path().join(name), "half").expect("written");
    }
    fs::create_dir(directory.path().join(".fleet.json.folder.portward-tmp")).expect("made");
    let before = names(&directory);
    drop(open(&path, FileAccess::ReadOnly).expect("free"));
    assert_eq!(names(&directory), before, "a reader removes nothing");
    drop(open(&path, FileAccess::ReadWrite).expect("free"));
    let kept = before
        .into_iter()
        .filter(|name| !leftovers.contains(&name.as_str()));
    assert_eq!(names(&directory), kept.collect::<Vec<_>>());
}

/// The steps of a number of operations.
fn steps(count: usize) -> Vec<Vec<Operation>> {
    let id = InstanceId {
        account: None,
        region: "eu-central-1".into(),
        name: "web-1".into(),
    };
    let quirks = Quirks {
        operations: OperationProgress::AfterReads(1),
        ..Quirks::default()
    };
    let now = OffsetDateTime::UNIX_EPOCH;
    let mut operations = Operations::default();
    let action = "PutInstancePublicPorts";
    (0..count)
        .map(|_| {
            let first = operations.start(&id, "arn", action, String::new(), now, &quirks);
            let mut steps = vec![first];
            for _ in 0..2 {
                let mut context = Context {
                    site: &id.site(),
                    now,
                    persist: &mut |_| Ok(()),
                };
                let read = operations.read(&steps[0].id, &mut context);
                steps.extend(read.expect("stored").cloned());
            }
            steps
        })
        .collect()
}

fn read(path: &Path, access: FileAccess) -> Vec<Operation> {
    Store::open(path, access).expect("free").2
}

#[test]
fn operations_survive_a_restart() {
    let (directory, path) = state();
    let mut expected: Vec<Operation> = Vec::new();
    for steps in steps(3) {
        let (mut store, _, operations) = Store::open(&path, FileAccess::ReadWrite).expect("free");
        assert_eq!(operations, expected);
        for step in &steps {
            store.append(step).expect("written");
        }
        expected.extend(steps.last().cloned());
    }
    let log = path.with_file_name("fleet.json.operations");
    let lines = || fs::read_to_string(&log).expect("there").lines().count();
    assert_eq!(read(&path, FileAccess::ReadOnly), expected);
    assert_eq!(lines(), 1 + 2 + 3, "a reader does not compact");
    assert_eq!(read(&path, FileAccess::ReadWrite), expected);
    assert_eq!(lines(), 1 + 3);
    assert_eq!(names(&directory), ["fleet.json", "fleet.json.operations"]);
    assert_eq!(
        fs::metadata(&log).expect("there").permissions(),
        fs::metadata(&path).expect("there").permissions()
    );
}

#[test]
fn incomplete_line_of_operations_is_dropped() {
    let (_directory, path) = state();
    let operations: Vec<Operation> = steps(2).into_iter().flatten().collect();
    let mut store = open(&path, FileAccess::ReadWrite).expect("free");
    for operation in &operations {
        store.append(operation).expect("written");
    }
    drop(store);
    let log = path.with_file_name("fleet.json.operations");
    let text = fs::read_to_string(&log).expect("there");
    for cut in 0..text.len() {
        let lines = text[..cut].matches('\n').count();
        fs::write(&log, &text[..cut]).expect("written");
        let expected = operations[..lines.saturating_sub(1)].iter();
        let mut last: Vec<Operation> = Vec::new();
        for operation in expected {
            last.retain(|known| known.id != operation.id);
            last.push(operation.clone());
        }
        assert_eq!(read(&path, FileAccess::ReadOnly), last, "cut at {cut}");
    }
    // The next operation starts a new line.
    fs::write(&log, &text[..text.len() - 5]).expect("written");
    let mut store = open(&path, FileAccess::ReadWrite).expect("free");
    store.append(&operations[5]).expect("written");
    drop(store);
    assert_eq!(read(&path, FileAccess::ReadOnly)[1], operations[5]);
}

#[test]
fn invalid_operations_are_an_error_with_the_line() {
    let (directory, path) = state();
    let log = directory.path().join("fleet.json.operations");
    for (text, message) in [
        (
            "{}\n",
            "line 1 is not the header of a version 1 `portward.operations` file",
        ),
        (
            "{\"format\":\"portward.operations\",\"version\":2}\n",
            "line 1 is not the header of a version 1 `portward.operations` file",
        ),
        (
            "{\"format\":\"portward.operations\",\"version\":1}\n{}\n",
            "line 2: missing field `id`",
        ),
    ] {
        fs::write(&log, text).expect("written");
        for access in [FileAccess::ReadOnly, FileAccess::ReadWrite] {
            let error = Store::open(&path, access).expect_err("refused");
            assert_eq!(
                error.to_string(),
                format!("cannot read `{}`", log.display())
            );
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            assert!(cause.is_some_and(|cause| cause.starts_with(message)));
            assert_eq!(fs::read_to_string(&log).expect("there"), text);
        }
    }
    #[cfg(unix)]
    {
        fs::remove_file(&log).expect("removed");
        std::os::unix::fs::symlink(&path, &log).expect("linked");
        let error = Store::open(&path, FileAccess::ReadWrite).expect_err("a link");
        assert!(matches!(error, OpenError::Io { .. }));
    }
}
