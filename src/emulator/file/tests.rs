//! The file between two emulators, and between an emulator and everybody else.

use std::collections::BTreeMap;

use tempfile::TempDir;

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

fn open(path: &Path, access: Access) -> Result<Store, String> {
    match Store::open(path, access) {
        Ok((store, _)) => Ok(store),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn one_writer_or_many_readers() {
    let (_directory, path) = state();
    let in_use = Err(format!("`{}` is in use by another process", path.display()));
    let writer = open(&path, Access::ReadWrite).expect("free");
    assert_eq!(open(&path, Access::ReadWrite).map(drop), in_use);
    assert_eq!(open(&path, Access::ReadOnly).map(drop), in_use);
    drop(writer);
    let readers = [open(&path, Access::ReadOnly), open(&path, Access::ReadOnly)];
    assert!(readers.iter().all(Result::is_ok));
    assert_eq!(open(&path, Access::ReadWrite).map(drop), in_use);
    drop(readers);
    open(&path, Access::ReadWrite).expect("free again");
}

#[test]
fn replacing_keeps_the_lock_the_mode_and_the_directory_clean() {
    let (directory, path) = state();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
    }
    let mode = fs::metadata(&path).expect("there").permissions();
    let mut store = open(&path, Access::ReadWrite).expect("free");
    for text in [other(), empty(), other()] {
        store.replace(&text).expect("written");
        assert_eq!(fs::read_to_string(&path).expect("there"), text);
        assert!(open(&path, Access::ReadOnly).is_err(), "still locked");
    }
    assert_eq!(fs::metadata(&path).expect("there").permissions(), mode);
    let names = fs::read_dir(directory.path()).expect("listed").count();
    assert_eq!(names, 1);
    drop(store);
    open(&path, Access::ReadWrite).expect("free again");
}

#[test]
fn what_somebody_else_wrote_is_not_overwritten() {
    let (directory, path) = state();
    let mut store = open(&path, Access::ReadWrite).expect("free");
    fs::write(&path, other()).expect("written");
    store.replace(&empty()).expect_err("changed in place");
    assert_eq!(fs::read_to_string(&path).expect("there"), other());

    let mut store = {
        drop(store);
        open(&path, Access::ReadWrite).expect("free")
    };
    let next = directory.path().join("next");
    fs::write(&next, empty()).expect("written");
    fs::rename(&next, &path).expect("renamed");
    store.replace(&other()).expect_err("replaced");
    assert_eq!(fs::read_to_string(&path).expect("there"), empty());
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link() {
    let (directory, path) = state();
    let link = directory.path().join("link.json");
    std::os::unix::fs::symlink(&path, &link).expect("linked");
    let mut store = open(&link, Access::ReadWrite).expect("free");
    store.replace(&other()).expect("written");
    assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
    assert_eq!(fs::read_to_string(&path).expect("there"), other());
}

#[test]
fn what_is_no_inventory_is_refused_with_its_path() {
    let (directory, path) = state();
    let missing = directory.path().join("missing.json");
    let shown = missing.display().to_string();
    let error = Store::open(&missing, Access::ReadWrite).expect_err("missing");
    assert_eq!(error.to_string(), format!("cannot open `{shown}`"));
    assert!(!missing.exists());

    let error = Store::open(directory.path(), Access::ReadOnly).expect_err("a directory");
    assert!(matches!(error, OpenError::NotAFile { .. }));

    fs::write(&path, "{}").expect("written");
    let error = Store::open(&path, Access::ReadOnly).expect_err("no inventory");
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(
        error.to_string(),
        format!("cannot read `{}`", path.display())
    );
    assert!(cause.is_some_and(|cause| cause.contains("missing field")));

    fs::write(&path, [0xff, 0xfe]).expect("written");
    let error = Store::open(&path, Access::ReadOnly).expect_err("no text");
    assert!(matches!(error, OpenError::Io { .. }));
}
