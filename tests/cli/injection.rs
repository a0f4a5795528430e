//! Foreign text in every place that a run prints: no terminal acts on it, and no CI system obeys a line of it.
//!
//! Names, notes, paths and aliases come from whoever writes the configuration, the fleet, or the service's replies.

use std::fs;

use crate::stage::{Done, Stage, fleet, instance, rule};

/// What GitHub's runner, and by the second form Azure's, takes for a command to itself.
fn is_command(line: &str) -> bool {
    let names = [
        "error",
        "warning",
        "add-mask",
        "group",
        "stop-commands",
        "debug",
    ];
    let new = line.trim_start().strip_prefix("::").is_some_and(|rest| {
        rest.find("::")
            .is_some_and(|end| names.contains(&rest[..end].split(' ').next().unwrap_or_default()))
    });
    new || line.contains("##[") || line.contains("##vso[")
}

fn assert_harmless(done: &Done) {
    for line in done.stdout.lines().chain(done.stderr.lines()) {
        assert!(!is_command(line), "{line}");
        assert!(
            !line.contains(|c: char| c.is_control() || c == '\u{202e}'),
            "{line:?}"
        );
    }
}

/// Whether the text came through at all, so that a test does not pass because nothing was shown.
fn assert_told(done: &Done, what: &str) {
    assert!(done.says(what), "{}", done.shown());
}

#[test]
fn plan_output_escapes_text_from_outside() {
    let config = r###"version = 1
include = ["::warning file=a::b.toml"]
[defaults]
region = "eu-central-1"
[instances.gone]
rules = [{ allow = "ssh", from = "192.0.2.1" }]
[instances.web-1]
mode = "additive"
rules = [
  { allow = "ssh", from = "192.0.2.1", until = 2099-12-31, owner = "##vso[x]", why = "::add-mask::ssh ::error::y ##[group]" },
]
"###;
    let include = "[instances.web-3]\nrules = []\n[instances.web-2]\nrules = [{ allow = \"https\", from = \"anywhere\", until = 2099-12-30, why = \"a\" }]\n";
    let long: Vec<String> = (0..9).map(|at| format!("a ::group::{at}")).collect();
    let mut spiteful = rule("tcp", 1, 1, &["192.0.2.1/32"]);
    spiteful.cidr_list_aliases.extend(long);
    let mut uncertain = rule("tcp", 2, 2, &["192.0.2.1/32"]);
    uncertain.cidrs.push("##[error]x".to_owned());
    let stage = Stage::new(
        config,
        &fleet(vec![
            instance("web-1", vec![rule("::error::p", 1, 1, &["192.0.2.1/32"])]),
            instance("web-2", vec![spiteful]),
            instance("web-3", vec![uncertain]),
            instance("::stop-commands::x", vec![]),
            instance("##[error]y", vec![]),
        ]),
    );
    fs::write(stage.path("::warning file=a::b.toml"), include).expect("a file");
    for verb in ["plan", "drift"] {
        for more in [&[][..], &["--format", "json"], &["--as-of", "2099-12-25"]] {
            let args = [&[verb, "--inventory", "fleet.json"], more].concat();
            let done = stage.run(&args);
            assert_harmless(&done);
            assert_told(&done, "stop-commands");
            assert_told(&done, "warning file=a");
        }
    }
    let done = stage.run(&["plan", "--diff", "--inventory", "fleet.json"]);
    assert_harmless(&done);
    assert_told(&done, "group::8");
    assert_told(&done, "error]x");
    let json = stage.run(&["plan", "--inventory", "fleet.json", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert!(
        document.to_string().contains("##[error]y"),
        "the meaning is kept"
    );
}

#[test]
fn configuration_errors_escape_text_from_outside() {
    let config = r###"version = 1 ##[error]z
"::error::k" = "##[group]"
[defaults]
region = "##vso[r]\u001b[31m"
[addresses]
"::group::" = ["::error::a"]
[instances.web-1]
rules = [{ allow = "##[debug]", from = "::debug::" }]
"###;
    let stage = Stage::new(config, &fleet(vec![]));
    let done = stage.run(&["check"]);
    assert_eq!(done.code, Some(65), "{}", done.shown());
    assert_harmless(&done);
    assert_told(&done, "error::k");
    let json = stage.run(&["check", "--format", "json"]);
    assert_harmless(&json);
}

#[test]
fn usage_errors_escape_arguments() {
    let stage = Stage::new("version = 1\n", &fleet(vec![]));
    let path = "::error::\u{1b}[31m##[x].toml";
    fs::write(
        stage.path(path),
        "version = 1\n[defaults]\nregion = \"eu-central-1\"\n",
    )
    .expect("a file");
    for (args, told) in [
        (&["check", "-c", path][..], "[x].toml"),
        (&["check", "-c", "\n::error::nowhere"], "nowhere"),
        (
            &["plan", "-c", path, "--inventory", "::group::x"],
            "group::x",
        ),
        (
            &["plan", "-c", path, "--endpoint-url", "::group::x"],
            "group::x",
        ),
        (&["plan", "--strategy", "a\n::error::b"], "b"),
        (&["a\n  ::error::b ##[c]"], "b"),
    ] {
        let done = stage.run(args);
        for line in done.stdout.lines().chain(done.stderr.lines()) {
            assert!(!is_command(line), "{line}");
        }
        assert_told(&done, told);
    }
}

/// Reasons, owners, names of policies' tables and instances that try everything, seen as a comment, a page and a log.
#[test]
fn review_formats_escape_text_from_outside() {
    let evil = "/close </code></summary><script>x</script>`|\\n[a](https://e.example) @me #1 ::error::x ##[group]y";
    let config = |sources: &str| {
        format!(
            "version = 1\n[defaults]\nregion = \"eu-central-1\"\n[instances.web-1]\nrules = [{{ allow = \"ssh\", from = \"{sources}\", why = '{evil}' }}]\n\
             [instances.web-2]\nrules = [{{ allow = \"mysql\", from = \"{sources}\" }}]\n\
             [[policy]]\nid = \"p\"\nservices = \"ssh\"\nonly-from = []\nwhy = '{evil}'\n"
        )
    };
    let mut spiteful = rule("tcp", 1, 1, &["192.0.2.1/32"]);
    spiteful.cidr_list_aliases.push(evil.to_owned());
    let stage = Stage::new(
        &config("192.0.2.0/24"),
        &fleet(vec![
            instance("web-1", vec![spiteful, rule(evil, 1, 1, &["192.0.2.1/32"])]),
            instance("web-2", Vec::new()),
            instance(evil, Vec::new()),
        ]),
    );
    fs::write(stage.path("::error::.toml"), config("anywhere")).expect("a file");
    let diff = [
        "diff",
        "firewall.toml",
        "::error::.toml",
        "--inventory",
        "fleet.json",
    ];
    let live = ["diff", "fleet.json", "::error::.toml"];
    let plan = ["plan", "-c", "::error::.toml", "--inventory", "fleet.json"];
    let drift = ["drift", "-c", "::error::.toml", "--inventory", "fleet.json"];
    let explain = ["explain", "web-1", "--inventory", "fleet.json"];
    let about = ["explain", evil, "--inventory", "fleet.json"];
    for verb in [&diff[..], &live, &plan, &drift, &explain, &about] {
        for format in [
            "markdown",
            "github",
            "html",
            "sarif",
            "codequality",
            "json",
            "text",
        ] {
            let done = stage.run(&[verb, &["--format", format]].concat());
            let shown = done.shown();
            assert!(!shown.contains("panicked"), "{shown}");
            for line in done.stdout.lines().chain(done.stderr.lines()) {
                // Our own annotations are commands, and all that is foreign in them is in its place.
                let ours = format == "github"
                    && ["::error ", "::warning ", "::notice "]
                        .iter()
                        .any(|start| line.starts_with(start))
                    && line.contains("title=portward ");
                let rest = if ours { &line[2..] } else { line };
                assert!(!is_command(rest), "{verb:?} {format}: {line}");
            }
            if format == "markdown" {
                let is_command = done.stdout.lines().any(|line| line.starts_with('/'));
                assert!(!is_command, "{verb:?}: {shown}");
            }
            if format == "markdown" || format == "html" {
                let outside = done.stdout.split("```text\n").next().unwrap_or_default();
                for markup in ["<script", "@me", "](https"] {
                    let allowed = format == "html" && markup != "<script";
                    assert!(
                        allowed || !outside.contains(markup),
                        "{verb:?} {format}: {outside}"
                    );
                }
            }
            if ["sarif", "codequality", "json"].contains(&format) {
                let parsed: Result<serde_json::Value, _> = serde_json::from_str(&done.stdout);
                assert!(parsed.is_ok() || done.stdout.is_empty(), "{shown}");
            }
        }
    }
    for (verb, told) in [
        (&diff[..], "script"),
        (&plan, "script"),
        (&explain, "script"),
    ] {
        let done = stage.run(&[verb, &["--format", "markdown"]].concat());
        assert_told(&done, told);
    }
}

/// One character of each kind that must not be printed as it is. A test of the library walks over all of Unicode.
const UNSEEN: [char; 22] = [
    '\u{7f}',
    '\u{85}',
    '\u{ad}',
    '\u{34f}',
    '\u{600}',
    '\u{115f}',
    '\u{1160}',
    '\u{17b4}',
    '\u{180b}',
    '\u{200b}',
    '\u{2028}',
    '\u{2029}',
    '\u{202e}',
    '\u{2066}',
    '\u{2800}',
    '\u{3164}',
    '\u{fe0f}',
    '\u{ffa0}',
    '\u{fff9}',
    '\u{1d173}',
    '\u{e0041}',
    '\u{e0100}',
];

fn assert_seen(done: &Done, what: &str) {
    let shown = done.shown();
    let unseen = shown.chars().find(|c| UNSEEN.contains(c));
    assert_eq!(unseen, None, "{what}: {shown}");
}

#[test]
fn invisible_characters_of_the_service_are_escaped() {
    let unseen: String = UNSEEN.iter().collect();
    let name = format!("web{unseen}1");
    let mut uncertain = rule("tcp", 2, 2, &["192.0.2.1/32"]);
    uncertain.cidrs.push(unseen.clone());
    let mut alias = rule("tcp", 1, 1, &["192.0.2.1/32"]);
    alias.cidr_list_aliases.push(unseen.clone());
    let mut entries = vec![
        instance("web-1", vec![alias.clone(), uncertain]),
        instance("web-2", vec![rule(&unseen, 1, 1, &["192.0.2.1/32"])]),
        instance("web-3", vec![alias]),
        instance(&name, Vec::new()),
    ];
    entries[0].tags.insert("role".to_owned(), unseen.clone());
    let config = "version = 1\n[defaults]\nregion = \"eu-central-1\"\n\
        [groups.web]\nmatch = { name = \"web-*\" }\nrules = [{ allow = \"ssh\", from = \"192.0.2.1\" }]\n";
    let stage = Stage::new(config, &fleet(entries));
    let path = format!("{}.toml", unseen.replace('\u{7f}', ""));
    fs::write(stage.path(&path), config).expect("a file");
    for format in [
        "text",
        "json",
        "markdown",
        "github",
        "html",
        "sarif",
        "codequality",
        "prometheus",
    ] {
        for verb in [
            &["plan", "--inventory", "fleet.json"][..],
            &["plan", "--inventory", "fleet.json", "-c", &path],
            &["drift", "--inventory", "fleet.json"],
            &["diff", "fleet.json", "firewall.toml"],
            &["explain", "web-1", "--inventory", "fleet.json"],
            &["explain", &name, "--inventory", "fleet.json"],
            &["check", "-c", &path],
            &["check", "-c", &name],
        ] {
            let done = stage.run(&[verb, &["--format", format]].concat());
            assert_seen(&done, format);
        }
    }
    for verb in ["import", "inventory"] {
        let done = stage.run(&[verb, "--inventory", "fleet.json"]);
        assert_seen(&done, verb);
        assert_told(&done, "web");
    }
    let done = stage.run(&["inventory", "--inventory", "fleet.json"]);
    let document: serde_json::Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert!(document.to_string().contains(&name), "the meaning is kept");
    assert_seen(&stage.run(&[&name]), "a verb that there is not");
}

#[test]
fn invisible_characters_in_a_configuration_are_refused() {
    let stage = Stage::new("", &fleet(vec![]));
    for c in UNSEEN {
        // TOML itself refuses this one.
        if c == '\u{7f}' {
            continue;
        }
        for (table, what) in [
            (
                format!(
                    "[instances.web-1]\nrules = [{{ allow = \"ssh\", from = \"anywhere\", why = \"a{c}b\" }}]"
                ),
                "`why`",
            ),
            (
                format!(
                    "[instances.web-1]\nrules = [{{ allow = \"ssh\", from = \"anywhere\", owner = \"a{c}b\" }}]"
                ),
                "`owner`",
            ),
            (
                format!("[groups.web]\nmatch = {{ tags = {{ role = \"a{c}b\" }} }}\nrules = []"),
                "tag `role`",
            ),
            (
                format!("[groups.web]\nmatch = {{ tags = {{ \"a{c}b\" = \"x\" }} }}\nrules = []"),
                "the key of a tag",
            ),
            (
                format!("[groups.web]\nmatch = {{ name = \"a{c}b*\" }}\nrules = []"),
                "`name`",
            ),
        ] {
            stage.configure(&format!(
                "version = 1\ndefaults = {{ region = \"eu-central-1\" }}\n{table}\n"
            ));
            let done = stage.run(&["check"]);
            assert_eq!(done.code, Some(65), "{}", done.shown());
            assert_told(
                &done,
                &format!(
                    "{what} holds a line break or an invisible character, U+{:04X}",
                    u32::from(c)
                ),
            );
            assert_seen(&done, what);
        }
        for table in [
            format!("[instances.\"web{c}1\"]\nrules = []"),
            format!("[addresses]\n\"a{c}b\" = \"192.0.2.1\""),
            format!("[[policy]]\nid = \"a{c}b\"\nservices = \"ssh\"\nonly-from = []"),
        ] {
            stage.configure(&format!(
                "version = 1\ndefaults = {{ region = \"eu-central-1\" }}\n{table}\n"
            ));
            let done = stage.run(&["check"]);
            assert_eq!(done.code, Some(65), "{}", done.shown());
            assert_seen(&done, &table);
        }
        let reason = format!("a{c}b");
        let done = stage.run(&["plan", "--allow", "lockout", "--reason", &reason]);
        assert_eq!(done.code, Some(64), "{}", done.shown());
        assert_seen(&done, "--reason");
    }
}
