//! Tests of included files.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::super::{Config, Diagnostics, load};

/// Writes files into a new directory.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().expect("a directory");
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    directory
}

fn first(directory: &TempDir) -> Result<Config, Diagnostics> {
    load(&directory.path().join("top/firewall.toml"))
}

/// The problems, with the names of files relative to the directory.
fn problems(directory: &TempDir) -> Vec<String> {
    let prefix = format!("{}/", directory.path().display());
    let found = match first(directory) {
        Ok(config) => config.warnings().to_vec(),
        Err(errors) => errors.problems,
    };
    found
        .iter()
        .map(|problem| problem.to_string().replace(&prefix, ""))
        .collect()
}

fn including(include: &str) -> String {
    format!("version = 1\ninclude = {include}\n[instances.ab]\nuse = \"base\"\n")
}

const BASE: &str = "[rulesets]\nbase = [{ allow = \"ssh\", from = \"anywhere\" }]\n";

#[test]
fn included_files_are_read_once() {
    let include =
        including("[\"fleet/*.toml\", \"fleet/base.toml\", \"./fleet/../fleet/base.toml\"]");
    let nested = "include = \"../firewall.toml\"\n[instances.cd]\nuse = \"base\"\n";
    let all = directory(&[
        ("top/firewall.toml", &include),
        ("top/fleet/base.toml", BASE),
        ("top/fleet/nested.toml", nested),
        ("top/fleet/directory.toml/x", ""),
    ]);
    assert_eq!(problems(&all), [""; 0]);
}

#[test]
fn missing_files_are_reported() {
    let case = |include: &str| {
        problems(&directory(&[
            ("top/firewall.toml", &including(include)),
            ("top/d/x", ""),
        ]))
    };
    let missing = case("\"gone.toml\"");
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert!(
        missing[0].starts_with("top/firewall.toml:2:11: error[PW-113]: `"),
        "{missing:?}"
    );
    assert!(
        missing[0].contains("top/gone.toml` cannot be read: "),
        "{missing:?}"
    );
    let missing = case("\"gone-*.toml\"");
    assert_eq!(
        missing[0],
        "top/firewall.toml:2:11: warning[PW-152]: `gone-*.toml` matches no file"
    );
    assert!(
        missing[1].starts_with("top/firewall.toml:4:7: error[PW-109]: there is no ruleset `base`"),
        "{missing:?}"
    );
    assert!(case("\"d\"")[0].contains("top/d` is not a file"));
    assert!(case("\"\"")[0].contains("`include` names no file"));
    assert!(case("\"a***\"")[0].contains("`a***` is not a valid pattern"));
    assert!(case("\"a\\u0000b\"")[0].contains("cannot be read"));
}

#[test]
fn files_outside_are_not_read() {
    let case = |include: &str| {
        let include = including(include);
        problems(&directory(&[
            ("top/firewall.toml", &include),
            ("top/d/x", ""),
            ("outside/secret.toml", "secret"),
        ]))
    };
    for include in [
        "../outside/secret.toml",
        "../*/secret.toml",
        "d/../../outside/secret.toml",
        "/etc/hostname",
        "/etc/*",
    ] {
        let found = case(&format!("\"{include}\""));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("lies outside the directory of the first file"),
            "{found:?}"
        );
        assert!(!found[0].contains("secret = "), "{found:?}");
    }
}

#[cfg(unix)]
#[test]
fn links_are_resolved_before_the_check() {
    for (include, target) in [
        ("link.toml", "../outside/secret.toml"),
        ("link/*.toml", "../outside"),
    ] {
        let name = include.split('/').next().expect("a name");
        let all = directory(&[
            ("top/firewall.toml", &including(&format!("\"{include}\""))),
            ("outside/secret.toml", BASE),
        ]);
        std::os::unix::fs::symlink(target, all.path().join("top").join(name)).expect("a link");
        let found = problems(&all);
        assert!(
            found[0].contains("lies outside the directory of the first file"),
            "{found:?}"
        );
    }
    let all = directory(&[
        ("top/firewall.toml", &including("\"link.toml\"")),
        ("top/real/base", BASE),
    ]);
    std::os::unix::fs::symlink("real/base", all.path().join("top/link.toml")).expect("a link");
    assert_eq!(problems(&all), [""; 0]);
}

/// Without the checks, each of these would not end, or would list another directory.
#[cfg(unix)]
#[test]
fn search_over_links_ends() {
    use std::os::unix::fs::symlink;

    let include = including("[\"**/*.toml\", \"*/*/*/*/*/*/*/*/x.toml\"]");
    let all = directory(&[
        ("top/firewall.toml", &include),
        ("top/a/b/base.toml", BASE),
        ("outside/secret.toml", "secret"),
    ]);
    for name in ["top/one", "top/two", "top/a/up"] {
        symlink(".", all.path().join(name)).expect("a link");
    }
    symlink("../../outside", all.path().join("top/a/out")).expect("a link");
    let found = problems(&all);
    assert!(
        found[0].contains("lies outside the directory of the first file"),
        "{found:?}"
    );
    assert!(!found.concat().contains("secret"), "{found:?}");
    std::fs::remove_file(all.path().join("top/a/out")).expect("a link");
    assert_eq!(
        problems(&all),
        ["top/firewall.toml:2:25: warning[PW-152]: `*/*/*/*/*/*/*/*/x.toml` matches no file"]
    );
}

#[test]
fn repeated_pattern_is_searched_once() {
    let repeated = vec!["\"**/*.toml\""; 20_000].join(", ");
    let all = directory(&[
        ("top/firewall.toml", &including(&format!("[{repeated}]"))),
        ("top/fleet/base.toml", BASE),
    ]);
    assert_eq!(problems(&all), [""; 0]);
}

#[cfg(unix)]
#[test]
fn include_is_relative_to_the_target_of_a_link() {
    let all = directory(&[("outside/secret.toml", "secret = oops"), ("top/x", "")]);
    let link = all.path().join("top/firewall.toml");
    std::os::unix::fs::symlink("../outside/secret.toml", link).expect("a link");
    let found = problems(&all);
    assert_eq!(
        found,
        [
            "top/firewall.toml:0:0: error[PW-101]: cannot be read: it is a link to a file outside its directory"
        ]
    );
}

#[test]
fn unknown_file_content_is_not_printed() {
    for text in [
        "[default]\naws_access_key_id = SECRET\n",
        "HOME=/root\0TOKEN=SECRET\0",
        "SECRET",
    ] {
        let all = directory(&[("top/firewall.toml", text)]);
        let errors = first(&all).expect_err("refused");
        let shown = errors.render(false);
        assert!(!shown.contains("SECRET"), "{shown}");
        assert!(
            shown.contains("this does not look like a configuration"),
            "{shown}"
        );
    }
    // An error in a configuration is shown.
    let all = directory(&[(
        "top/firewall.toml",
        "version = 1\n[instances.ab]\nuse = base\n",
    )]);
    assert!(
        first(&all)
            .expect_err("refused")
            .render(false)
            .contains("use = base")
    );
}

#[test]
fn files_may_define_different_names() {
    let all = directory(&[
        (
            "top/firewall.toml",
            &format!("{}{BASE}", including("\"*/*.toml\"")),
        ),
        ("top/fleet/a.toml", &format!("version = 2\n{BASE}")),
        (
            "top/fleet/b.toml",
            &format!("version = 1\n[defaults]\nmode = \"observe\"\n{BASE}"),
        ),
        ("top/fleet/c.toml", "[instances.ab]\n# \u{e9}\nrules = ["),
    ]);
    let found: Vec<String> = problems(&all)
        .iter()
        .map(|p| p.split(" (").next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(
        found[0],
        "top/fleet/a.toml:1:11: error[PW-105]: version `2` is not known to this program, which reads version 1"
    );
    assert_eq!(
        found[1],
        "top/fleet/b.toml:2:2: error[PW-114]: `[defaults]` in an included file"
    );
    assert_eq!(
        found[2],
        "top/fleet/b.toml:5:1: error[PW-108]: ruleset `base` is defined twice"
    );
    assert_eq!(
        found[3],
        "top/fleet/c.toml:1:12: error[PW-108]: instance `ab` is defined twice"
    );
    assert!(found[4].starts_with("top/fleet/c.toml:3:"), "{found:?}");
    let errors = first(&all).expect_err("refused");
    let (origin, what) = errors
        .problems
        .get(2)
        .and_then(|e| e.related.clone())
        .expect("the first definition");
    assert!(
        origin.file.ends_with("firewall.toml") && origin.line == 6,
        "{origin}"
    );
    assert_eq!(what, "first defined here");
}

#[test]
fn unreadable_first_file_is_an_error() {
    let errors = load(Path::new("no/such/file.toml")).expect_err("refused");
    assert!(
        errors
            .to_string()
            .starts_with("no/such/file.toml:0:0: error[PW-101]: there is no such file ("),
        "{errors}"
    );
    assert!(errors.render(false).contains("no/such/file.toml"));
}
