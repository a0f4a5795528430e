//! The dependency rule of `src/lib.rs`, held: which layer may know which, and what the deciding layers must not know.
//!
//! Reads every source file and looks at the names it uses. Between files there are no circles, but for a module and what is in
//! its own folder. Comments are exempt, and so is the code of tests, which may stand on anything to set a scene.

mod graph;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use graph::{Circle, Graph};

/// Each layer with those it may use, lowest first.
const MAY_USE: [(&str, &[&str]); 14] = [
    ("atomic_file", &[]),
    ("input", &[]),
    ("strings", &[]),
    ("model", &["strings"]),
    ("inventory", &["model"]),
    ("exposure", &["model"]),
    ("lease", &["model"]),
    (
        "config",
        &["exposure", "input", "lease", "model", "strings"],
    ),
    ("plan", &["exposure", "model"]),
    ("policy", &["exposure", "lease", "model", "plan", "strings"]),
    ("lightsail", &["input", "inventory", "model"]),
    (
        "apply",
        &[
            "exposure",
            "input",
            "lease",
            "lightsail",
            "model",
            "plan",
            "strings",
        ],
    ),
    (
        "render",
        &["exposure", "lease", "model", "plan", "policy", "strings"],
    ),
    (
        "emulator",
        &["atomic_file", "input", "inventory", "model", "strings"],
    ),
];

/// The layers of `cli`, lowest first: what is in one may use what is below it, and what is in the same one.
const CLI_LAYERS: [&[&str]; 10] = [
    &["exit", "terminal"],
    &["error", "streams"],
    &[
        "args",
        "flags",
        "logging",
        "progress",
        "signals",
        "unconfirmed",
    ],
    &["documents", "embedded", "output", "shard"],
    &["connection", "run"],
    &["metrics", "notify"],
    &["last_change", "session"],
    &["leases"],
    &["present"],
    &["verbs"],
];

/// Layers that decide: they get what they need passed in.
const PURE: [&str; 7] = [
    "model", "exposure", "lease", "config", "plan", "policy", "render",
];

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
fn files_do_not_import_each_other_in_a_circle() {
    let circles = graph().circles();
    assert!(
        circles.is_empty(),
        "files that know each other: {circles:#?}"
    );
}

/// Files with their texts.
type Files<'a> = &'a [(&'a str, &'a str)];

#[test]
fn circle_is_detected() {
    let circle = |folder: &str, files: &[&str]| Circle {
        folder: folder.to_owned(),
        files: files.iter().map(|&file| file.to_owned()).collect(),
    };
    let cases: [(Files, Option<Circle>); 9] = [
        (
            &[
                ("a.rs", "use crate::b::B;"),
                ("b.rs", "fn f() { crate::a::g() }"),
            ],
            Some(circle("", &["a", "b"])),
        ),
        (
            &[
                ("x/mod.rs", "mod a; mod b; mod c;"),
                ("x/a.rs", "use super::{b::{self, B}, Other};"),
                ("x/b.rs", "use super::super::x::c;"),
                ("x/c.rs", "fn f() -> self::super::a::A {}"),
            ],
            Some(circle("x", &["x/a", "x/b", "x/c"])),
        ),
        // A parent passes a name on.
        (
            &[
                ("x.rs", "mod a; mod b; pub use b::B as Renamed;"),
                ("x/a.rs", "use super::Renamed;"),
                ("x/b.rs", "mod inner { use crate::x::a; }"),
            ],
            Some(circle("x", &["x/a", "x/b"])),
        ),
        // Through the folder of another one.
        (
            &[
                ("a.rs", "use crate::x::y::Y;"),
                ("x/mod.rs", "use crate::a::A;"),
                ("x/y.rs", "use super::X;"),
            ],
            Some(circle("", &["a", "x", "x/y"])),
        ),
        // A parent and its own children.
        (
            &[
                ("x/mod.rs", "mod a; use a::A;"),
                ("x/a.rs", "use super::X; mod inner { use super::A; }"),
            ],
            None,
        ),
        // One way only.
        (
            &[
                ("a.rs", "use crate::{b::B, c};"),
                ("b.rs", "use crate::c::C;"),
                ("c.rs", ""),
            ],
            None,
        ),
        // Tests, comments and texts.
        (
            &[
                ("a.rs", "use crate::b::B;"),
                (
                    "b.rs",
                    "pub(in crate::a) struct B; #[cfg(test)]\nmod tests { use crate::a::A; } // crate::a",
                ),
                ("c.rs", "use crate::b::B; #[cfg(test)] mod double;"),
                ("c/double.rs", "use crate::a::A;"),
            ],
            None,
        ),
        (
            &[
                ("a.rs", "use crate::b::B;"),
                (
                    "b.rs",
                    "const A: &str = \"crate::a\"; /* crate::a */ fn f<'a>(c: char) -> bool { c == '\"' }",
                ),
            ],
            None,
        ),
        // Other crates may be called as a module is.
        (
            &[
                ("a.rs", "use b::B;"),
                ("b.rs", "use crate::a::A; use std::a;"),
            ],
            None,
        ),
    ];
    for (files, expected) in cases {
        let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        let files: Vec<(String, String)> = files.iter().map(owned).collect();
        let found = Graph::of(&files).circles();
        assert_eq!(found, Vec::from_iter(expected), "{files:?}");
    }
}

/// The graph of all source files.
fn graph() -> Graph {
    let file = |(_, path, text): (String, PathBuf, String)| {
        (path.to_string_lossy().replace('\\', "/"), text)
    };
    Graph::of(&sources().into_iter().map(file).collect::<Vec<_>>())
}

#[test]
fn every_import_follows_the_layers() {
    let mut wrong = arrows(&graph());
    let mut seen = BTreeMap::<String, usize>::new();
    for (layer, file, text) in sources() {
        *seen.entry(layer.clone()).or_default() += 1;
        let named = names(&layer, &text).into_iter();
        wrong.extend(named.map(|what| format!("{}: {what}", file.display())));
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
fn wrong_import_is_detected() {
    for (layer, text) in [
        ("model", "use crate::plan::Plan;"),
        ("model", "use super::super::plan::Plan;"),
        ("plan", "let x = crate::render::text::plan(p);"),
        ("plan", "use crate::policy::judge;"),
        ("config", "use std::env;"),
        ("exposure", "use tokio::time::sleep;"),
        ("render", "let now = OffsetDateTime::now_utc();"),
        ("apply", "use crate::lightsail::Aws;"),
        ("emulator", "use crate::{cli, model};"),
        ("emulator", "use crate::{model::{Site, Key}, cli};"),
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

#[test]
fn imports_inside_cli_point_down() {
    let wrong = arrows_of_cli(&graph());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let upwards = [
        ("cli/mod.rs", ""),
        ("cli/output.rs", "use super::session::Planned;"),
        ("cli/session/mod.rs", "use super::output::Output;"),
    ];
    let files = upwards.map(|(path, text)| (path.to_owned(), text.to_owned()));
    let wrong = arrows_of_cli(&Graph::of(&files));
    assert_eq!(wrong, ["cli/output must not use cli/session"]);
}

/// The arrows in `cli` that point up. Its own file, which puts the others together, is below none.
fn arrows_of_cli(graph: &Graph) -> Vec<String> {
    let layer = |module: &[String]| {
        let unit = module.get(1).filter(|_| module[0] == "cli")?;
        let layer = CLI_LAYERS
            .iter()
            .position(|layer| layer.contains(&unit.as_str()));
        Some(layer.unwrap_or_else(|| panic!("`cli/{unit}` is in no layer")))
    };
    let mut wrong = Vec::new();
    for (from, to) in graph.edges() {
        let is_root = to.len() == 1 && to[0] == "cli";
        if let Some(own) = layer(from)
            && (is_root || layer(to).is_some_and(|other| other > own))
        {
            wrong.push(format!("{} must not use {}", from.join("/"), to.join("/")));
        }
    }
    wrong
}

/// What a file of a layer with this text names and must not.
fn violations(layer: &str, text: &str) -> Vec<String> {
    let layers = MAY_USE.iter().map(|(name, _)| *name).chain(["cli"]);
    let mut files: Vec<(String, String)> = layers
        .map(|name| (format!("{name}.rs"), String::new()))
        .collect();
    files.push((format!("{layer}/file.rs"), text.to_owned()));
    let mut wrong = arrows(&Graph::of(&files));
    wrong.extend(names(layer, text));
    wrong
}

/// The arrows from one layer to another that must not be.
fn arrows(graph: &Graph) -> Vec<String> {
    let mut wrong = Vec::new();
    for (from, to) in graph.edges() {
        let Some((layer, allowed)) = MAY_USE
            .iter()
            .find(|(name, _)| from.first().is_some_and(|first| first == name))
        else {
            continue;
        };
        if let Some(used) = to.first()
            && used != layer
            && !allowed.contains(&used.as_str())
        {
            wrong.push(format!(
                "{}: `{layer}` must not use `{used}`",
                from.join("/")
            ));
        }
    }
    wrong
}

/// What a text of a layer names of the world outside and must not.
fn names(layer: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let mut wrong = Vec::new();
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
