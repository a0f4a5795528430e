//! The dependency rule of `src/lib.rs`, held: which layer may know which, and what the deciding layers must not know.
//!
//! Reads every source file and looks at the names it uses. Comments are exempt, and so are files of tests, which may stand
//! on anything to set a scene.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each layer with those it may use, lowest first.
const MAY_USE: [(&str, &[&str]); 12] = [
    ("atomic_file", &[]),
    ("input", &[]),
    ("model", &[]),
    ("inventory", &["model"]),
    ("exposure", &["model"]),
    ("config", &["input", "model"]),
    ("plan", &["exposure", "model"]),
    ("policy", &["exposure", "model", "plan"]),
    ("lightsail", &["inventory", "model"]),
    (
        "apply",
        &["exposure", "input", "lightsail", "model", "plan"],
    ),
    ("render", &["exposure", "model", "plan", "policy"]),
    ("emulator", &["atomic_file", "input", "inventory", "model"]),
];

/// Layers that decide: they get what they need passed in.
const PURE: [&str; 6] = ["model", "exposure", "config", "plan", "policy", "render"];

/// What those must not name: a runtime, the SDK, a clock, the environment, randomness.
const WORLD: [&str; 9] = [
    "tokio",
    "aws_",
    "std::env",
    "env::var",
    "now_utc",
    "now_local",
    "SystemTime",
    "Instant::now",
    "fastrand",
];

/// Names of the AWS SDK, which live in one place.
const SDK: [&str; 3] = ["aws_sdk", "aws_config", "aws_smithy"];

#[test]
fn every_arrow_points_the_right_way() {
    let mut wrong = Vec::new();
    let mut seen = BTreeMap::<String, usize>::new();
    for (layer, file, text) in sources() {
        *seen.entry(layer.clone()).or_default() += 1;
        wrong.extend(
            violations(&layer, &text)
                .into_iter()
                .map(|what| format!("{}: {what}", file.display())),
        );
        if !file.to_string_lossy().contains("lightsail/aws")
            && SDK.iter().any(|name| code(&text).contains(name))
        {
            wrong.push(format!("{}: names the SDK", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (layer, _) in MAY_USE {
        assert!(
            seen.contains_key(layer),
            "no file of `{layer}` was read: is the test looking in the right place?"
        );
    }
}

#[test]
fn a_wrong_arrow_is_found() {
    for (layer, text) in [
        ("model", "use crate::plan::Plan;"),
        ("plan", "let x = crate::render::text::plan(p);"),
        ("plan", "use crate::policy::judge;"),
        ("config", "use std::env;"),
        ("exposure", "use tokio::time::sleep;"),
        ("render", "let now = OffsetDateTime::now_utc();"),
        ("apply", "use crate::lightsail::Aws;"),
        ("emulator", "use crate::{cli, model};"),
    ] {
        assert_eq!(violations(layer, text).len(), 1, "{layer}: {text}");
    }
    for (layer, text) in [
        ("plan", "use crate::exposure::Effective; // not crate::cli"),
        ("apply", "use crate::lightsail::{Reader, Writer};"),
        ("lightsail", "use tokio::time::sleep;"),
    ] {
        assert_eq!(
            violations(layer, text),
            Vec::<String>::new(),
            "{layer}: {text}"
        );
    }
}

/// What a text of a layer names and must not.
fn violations(layer: &str, text: &str) -> Vec<String> {
    let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == layer) else {
        return Vec::new();
    };
    let code = code(text);
    let mut wrong = Vec::new();
    for (_, after) in code
        .match_indices("crate::")
        .map(|(at, found)| code.split_at(at + found.len()))
    {
        for name in first_names(after) {
            if name != layer
                && (name == "cli" || MAY_USE.iter().any(|(known, _)| *known == name))
                && !allowed.contains(&name)
            {
                wrong.push(format!("`{layer}` must not use `{name}`"));
            }
        }
    }
    if PURE.contains(&layer) {
        wrong.extend(
            WORLD
                .iter()
                .filter(|name| code.contains(**name))
                .map(|name| format!("`{layer}` must not know `{name}`")),
        );
    }
    if layer == "apply" && code.contains("lightsail::Aws") {
        wrong.push("`apply` may know the traits of `lightsail` only".to_owned());
    }
    wrong
}

/// The module names right behind `crate::`: one, or several in braces.
fn first_names(after: &str) -> Vec<&str> {
    let word = |text: &'_ str| {
        text.find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(text.len())
    };
    match after.strip_prefix('{') {
        None => vec![&after[..word(after)]],
        Some(list) => list[..list.find('}').unwrap_or(list.len())]
            .split(',')
            .map(str::trim)
            .map(|name| &name[..word(name)])
            .collect(),
    }
}

/// The text without line comments.
fn code(text: &str) -> String {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Every source file with the layer it belongs to; `lib` and `main` are `cli`'s business.
fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix(&root).expect("below src").to_path_buf();
                if inside.components().any(|part| part.as_os_str() == "tests")
                    || inside.ends_with("tests.rs")
                {
                    continue;
                }
                let first = inside
                    .components()
                    .next()
                    .expect("a name")
                    .as_os_str()
                    .to_string_lossy()
                    .into_owned();
                let layer = first.trim_end_matches(".rs").to_owned();
                let text = fs::read_to_string(&path).expect("a source file");
                files.push((layer, inside, text));
            }
        }
    }
    files
}
