//! The formats that are made for other programs to show: each from the same runs, and none a way in for foreign text.

use std::fs;

use insta::assert_snapshot;
use serde_json::Value;

use crate::stage::{Done, REGION, Stage, fleet, instance, rule};

const CONFIG: &str = r#"version = 1

[defaults]
region = "eu-central-1"

[instances.web-1]
rules = [
  { allow = "https", from = "anywhere", why = "the *shop* | @all" },
  { allow = "ssh", from = "203.0.113.0/24" },
]

[instances.web-2]
rules = [
  { allow = "https", from = "anywhere" },
  { allow = "ssh", from = "203.0.113.0/24" },
]
"#;

fn stage() -> Stage {
    let loose = || vec![rule("tcp", 22, 22, &["0.0.0.0/0"])];
    Stage::new(
        CONFIG,
        &fleet(vec![
            instance("web-1", loose()),
            instance("web-2", loose()),
            instance("old-1", loose()),
        ]),
    )
}

#[test]
fn plan_as_a_pull_request_comment() {
    let done = stage().on_fleet(&["plan", "--format", "markdown"]);
    assert_snapshot!(done.shown());
}

#[test]
fn plan_as_github_annotations_summary_and_outputs() {
    let stage = stage();
    let mut command = stage.command(&["plan", "--emulator", "fleet.json", "--format", "github"]);
    fs::write(stage.path("summary"), "before\n").expect("a file");
    command.env("GITHUB_STEP_SUMMARY", stage.path("summary"));
    command.env("GITHUB_OUTPUT", stage.path("output"));
    let done = crate::stage::Done::of(&mut command);
    let annotations: Vec<&str> = done
        .stdout
        .lines()
        .filter(|line| line.starts_with("::"))
        .collect();
    assert_eq!(
        annotations,
        [
            "::notice file=firewall.toml,line=8,col=3,title=portward PW-201::opens tcp/443 to everyone on `web-1` (eu-central-1)",
            "::notice file=firewall.toml,line=14,col=3,title=portward PW-201::opens tcp/443 to everyone on `web-2` (eu-central-1)",
        ],
        "{}",
        done.shown()
    );
    assert!(done.stdout.contains("Plan: 2 of 2"), "{}", done.shown());
    let summary = stage.read("summary");
    assert!(
        summary.starts_with("before\n<!-- portward:plan -->\n"),
        "{summary}"
    );
    assert_eq!(
        stage.read("output"),
        "exit-code=0\ndiffer=2\nto-change=2\ncalls=2\nopens=true\ncloses=true\nrefusals=0\nviolations=0\n"
    );
}

#[test]
fn configuration_error_is_annotated_at_its_line() {
    let stage = stage();
    stage.configure(
        "version = 1\n[instances.web-1]\nrules = [{ allow = \"sssh\", from = \"anywhere\" }]\n",
    );
    let done = stage.run(&["check", "--format", "github"]);
    assert_eq!(done.code, Some(65));
    let line = done.stdout.lines().next().unwrap_or_default();
    assert!(
        line.starts_with(
            "::error file=firewall.toml,line=3,col=20,endColumn=26,title=portward PW-109::"
        ),
        "{}",
        done.shown()
    );
}

#[test]
fn plan_as_sarif() {
    let stage = stage();
    stage.configure("version = 1\n[defaults]\nregion = \"eu-central-1\"\n[instances.web-1]\nrules = []\n[instances.gone]\nrules = []\n");
    let done = stage.on_fleet(&["plan", "--format", "sarif", "--report", "sarif=log.sarif"]);
    assert_eq!(done.stdout, stage.read("log.sarif"));
    let log: Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let results = run["results"].as_array().expect("results");
    let ids: Vec<&str> = results
        .iter()
        .filter_map(|result| result["ruleId"].as_str())
        .collect();
    assert!(
        ids.contains(&"PW-303") && ids.contains(&"PW-301"),
        "{ids:?}"
    );
    for result in results {
        let at = result["ruleIndex"].as_u64().expect("an index");
        let rule = &run["tool"]["driver"]["rules"][usize::try_from(at).expect("small")];
        assert_eq!(rule["id"], result["ruleId"]);
    }
    let missing = results
        .iter()
        .find(|result| result["ruleId"] == "PW-804")
        .expect("the missing one");
    let region = &missing["locations"][0]["physicalLocation"]["region"];
    assert_eq!(region["startLine"], 6, "{missing}");
}

/// A database that the whole world would get into, against a policy of ours.
fn broken() -> Stage {
    let stage = Stage::new(
        "version = 1\n[defaults]\nregion = \"eu-central-1\"\n[instances.web-1]\nrules = [\n  { allow = \"https\", from = \"anywhere\" },\n  \
         { allow = \"mysql\", from = \"anywhere\" },\n]\n[[policy]]\nid = \"private\"\nservices = \"mysql\"\nonly-from = []\nwhy = \"</code><script>|@me\"\n",
        &fleet(vec![instance("web-1", Vec::new())]),
    );
    let policy = stage.read("firewall.toml");
    assert_eq!(
        policy.lines().nth(6).map(|line| line.contains("mysql")),
        Some(true)
    );
    stage
}

#[test]
fn policy_violation_is_in_every_format() {
    let stage = broken();
    let shown = |format: &str| {
        let done = stage.on_fleet(&["plan", "--format", format]);
        assert_eq!(done.code, Some(3), "{}", done.shown());
        done.stdout
    };
    let log: Value = serde_json::from_str(&shown("sarif")).expect("JSON");
    let results = log["runs"][0]["results"].as_array().expect("results");
    let result = results
        .iter()
        .find(|result| result["ruleId"] == "PW-305/private");
    let result = result.expect("the policy");
    assert_eq!(result["level"], "error");
    let region = &result["locations"][0]["physicalLocation"]["region"];
    assert_eq!(
        (&region["startLine"], &region["startColumn"]),
        (&7.into(), &3.into())
    );
    let related = &result["relatedLocations"][0]["physicalLocation"]["region"];
    assert_eq!(related["startLine"], 10);

    let log = shown("github");
    let told = "::error file=firewall.toml,line=7,col=3,title=portward PW-305/private::refused by policy `private` (introduced by this plan) on `web-1` (eu-central-1): 1.1.1.1 gets in at tcp/3306";
    assert!(log.lines().any(|line| line.starts_with(told)), "{log}");

    let comment = shown("markdown");
    assert!(comment.contains("**Refused.**"), "{comment}");
    assert!(
        comment.contains("refused by policy <code>private</code>"),
        "{comment}"
    );
    assert!(comment.contains("1.1.1.1 gets in at tcp/3306"), "{comment}");
    let (outside, _) = comment.split_once("```text\n").expect("a block");
    assert!(
        !outside.contains("<script") && !outside.contains("@me"),
        "{outside}"
    );

    let page = shown("html");
    assert!(page.contains("gets in at tcp/3306"), "{page}");
    assert!(page.contains("<code>firewall.toml:7</code>"), "{page}");
    assert!(
        page.contains("<span class=\"refused\">Refused.</span>"),
        "{page}"
    );
    assert!(!page.contains("<script"), "{page}");
}

/// A policy is one entry, however many mistakes there are.
#[test]
fn violations_are_grouped_by_policy() {
    let fleet = fleet(vec![
        instance("web-1", Vec::new()),
        instance("web-2", Vec::new()),
    ]);
    let stage = Stage::new(
        "version = 1\n[defaults]\nregion = \"eu-central-1\"\n\
         [instances.web-1]\nrules = [{ allow = \"mysql\", from = \"anywhere\" }]\n\
         [instances.web-2]\nrules = [{ allow = \"redis\", from = \"anywhere\" }]\n",
        &fleet,
    );
    let shown = |format: &str| stage.on_fleet(&["plan", "--format", format]).stdout;
    let comment = shown("markdown");
    let mut lines = comment.lines().filter(|line| line.starts_with("- "));
    let head = "- ⚠️ warning against policy <code>database-open-to-world</code>";
    assert_eq!(
        (lines.next(), lines.next()),
        (Some(head), None),
        "{comment}"
    );
    let page = shown("html");
    for (name, port) in [("web-1", 3306), ("web-2", 6379)] {
        let reason = format!("tcp/{port} is open to the whole IPv4 internet; the limit is a /8");
        let told = format!(
            "  - on {name} (eu-central-1), introduced by this plan: {reason} at <code>firewall.toml:"
        );
        assert!(
            comment.lines().any(|line| line.starts_with(&told)),
            "{comment}"
        );
        assert!(page.contains(&format!("<p>{reason}</p>")), "{page}");
    }
    assert_eq!(
        page.matches(
            "against policy <code>database-open-to-world</code> <small><span class=\"whole\">PW-305</span></small></h3>"
        )
        .count(),
        1
    );
}

#[test]
fn page_names_its_origin() {
    let stage = stage();
    let args = [
        "plan",
        "--inventory",
        "fleet.json",
        "--out",
        "plan.json",
        "--format",
        "html",
    ];
    let mut command = stage.command(&args);
    command.env("GITHUB_SHA", "0123456789abcdef0123456789abcdef01234567");
    let page = Done::of(&mut command).stdout;
    let plan: Value = serde_json::from_str(&stage.read("plan.json")).expect("JSON");
    let (digest, config) = (plan["digest"].as_str(), plan["config"].as_str());
    let (digest, config) = (digest.expect("a digest"), config.expect("a fingerprint"));
    for fact in [
        "<dt>configuration</dt> <dd><code>firewall.toml</code>",
        "<dt>commit</dt> <dd><code>0123456789abcdef0123456789abcdef01234567</code></dd>",
        "<dt>inventory</dt> <dd><code>fleet.json</code></dd>",
        "<dt>account</dt> <dd>123456789012</dd>",
        "<dt>region</dt> <dd>eu-central-1</dd>",
        &format!("<dt>plan digest</dt> <dd><code>{digest}</code></dd>"),
        config,
    ] {
        assert!(page.contains(fact), "{fact}: {page}");
    }
}

#[test]
fn widest_of_several_rules_is_annotated() {
    let stage = Stage::new(
        "version = 1\n[defaults]\nregion = \"eu-central-1\"\n[instances.web-1]\nrules = [\n  { allow = \"ssh\", from = \"192.0.2.1\" },\n  \
         { allow = \"ssh\", from = \"anywhere\" },\n]\n",
        &fleet(vec![instance("web-1", Vec::new())]),
    );
    let done = stage.on_fleet(&["plan", "--format", "github"]);
    let told =
        "::warning file=firewall.toml,line=7,col=3,title=portward PW-305/admin-open-to-world::";
    let mut lines = done.stdout.lines();
    assert!(lines.any(|line| line.starts_with(told)), "{}", done.shown());
    assert!(
        done.stdout
            .contains("narrow firewall.toml:7, firewall.toml:6"),
        "{}",
        done.shown()
    );
}

#[test]
fn finding_without_a_line_has_a_location() {
    let stage = stage();
    let done = stage.run(&["plan", "--inventory", "nowhere.json", "--format", "sarif"]);
    let log: Value = serde_json::from_str(&done.stdout).expect("JSON");
    let place = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "firewall.toml");
    assert_eq!(place["region"]["startLine"], 1);
}

#[test]
fn annotation_has_an_end_position() {
    let stage = stage();
    stage.configure(
        "version = 1\n[instances.web-1]\nrules = [{ allow = \"sssh\", from = \"anywhere\" }]\n",
    );
    let done = stage.run(&["check", "--format", "sarif"]);
    let log: Value = serde_json::from_str(&done.stdout).expect("JSON");
    let region = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"];
    assert_eq!(
        *region,
        serde_json::json!({"startLine": 3, "startColumn": 20, "endLine": 3, "endColumn": 26})
    );
}

/// The configuration of the stage, and another one beside it.
fn changed() -> Stage {
    let stage = stage();
    let wider = CONFIG.replacen("203.0.113.0/24", "anywhere-v4", 1);
    let wider = wider.replace(
        "\"https\", from = \"anywhere\" }",
        "\"http\", from = \"anywhere\" }",
    );
    fs::write(stage.path("new.toml"), wider).expect("a file");
    stage
}

const DIFF: [&str; 5] = [
    "diff",
    "firewall.toml",
    "new.toml",
    "--inventory",
    "fleet.json",
];

#[test]
fn diff_as_a_pull_request_comment() {
    let stage = changed();
    let done = stage.run(&[&DIFF[..], &["--format", "markdown"]].concat());
    assert_snapshot!(done.shown());
    let one = stage
        .read("firewall.toml")
        .replacen("203.0.113.0/24", "203.0.112.0/23", 1);
    fs::write(stage.path("new.toml"), one).expect("a file");
    let done = stage.run(&[&DIFF[..], &["--format", "markdown"]].concat());
    let told = "web-1 (eu-central-1) is wider: tcp/22 (ssh) opens to 203.0.112.0/24 (256 addresses), by new&#46;toml:9; the other instance is equal.";
    assert!(
        done.stdout.lines().any(|line| line == told),
        "{}",
        done.shown()
    );
}

#[test]
fn diff_as_github_annotations() {
    let stage = changed();
    let mut command = stage.command(&[&DIFF[..], &["--format", "github"]].concat());
    command.env("GITHUB_STEP_SUMMARY", stage.path("summary"));
    command.env("GITHUB_OUTPUT", stage.path("output"));
    let done = crate::stage::Done::of(&mut command);
    let opens: Vec<&str> = done
        .stdout
        .lines()
        .filter(|line| line.starts_with("::"))
        .collect();
    assert_eq!(
        opens,
        [
            "::notice file=new.toml,line=9,col=3,title=portward PW-201::opens tcp/22 to everyone (IPv4) but 203.0.113.0/24 on `web-1` (eu-central-1)",
            "::notice file=new.toml,line=14,col=3,title=portward PW-201::opens tcp/80 to everyone on `web-2` (eu-central-1)",
        ],
        "{}",
        done.shown()
    );
    assert!(
        stage
            .read("summary")
            .starts_with("<!-- portward:diff -->\n")
    );
    assert_eq!(
        stage.read("output"),
        "exit-code=2\ndiffer=2\nopens=true\ncloses=true\n"
    );
}

#[test]
fn explain_as_a_comment() {
    let stage = stage();
    let of = [
        "explain",
        "web-1",
        "--inventory",
        "fleet.json",
        "--to",
        "ssh",
        "--from",
        "192.0.2.1",
    ];
    let done = stage.run(&[&of[..], &["--format", "markdown"]].concat());
    assert_snapshot!(done.shown());
}

#[test]
fn unsupported_format_of_explain_is_a_usage_error() {
    let stage = changed();
    let explain = ["explain", "web-1", "--inventory", "fleet.json"];
    let most = "text, json, markdown, github";
    for (verb, format, known) in [
        (&DIFF[..], "--format=sarif", format!("{most}, html")),
        (&DIFF, "--report=sarif=x", format!("{most}, html")),
        (&explain, "--format=html", most.to_owned()),
    ] {
        let done = stage.run(&[verb, &[format]].concat());
        assert_eq!(done.code, Some(64), "{}", done.shown());
        assert!(done.says(&known), "{}", done.shown());
    }
}

#[test]
fn reports_are_written_for_every_outcome() {
    let stage = stage();
    let reports = [
        "text",
        "json",
        "markdown",
        "github",
        "sarif",
        "codequality",
        "html",
    ];
    let flags: Vec<String> = reports
        .iter()
        .map(|format| format!("--report={format}=out.{format}"))
        .collect();
    let mut args: Vec<&str> = vec!["plan", "--inventory", "not-there.json"];
    args.extend(flags.iter().map(String::as_str));
    let done = stage.run(&args);
    assert_eq!(done.code, Some(1), "{}", done.shown());
    for format in reports {
        let text = stage.read(&format!("out.{format}"));
        assert_eq!(
            text.contains("not-there.json") || text.contains("could not do the job"),
            format != "text",
            "{format}: {text}"
        );
    }
}

#[test]
fn text_from_outside_is_escaped_in_every_format() {
    let evil = "</code><script>alert(1)</script>`|[x](https://x) @me ::error::x";
    let stage = Stage::new(
        &format!(
            "version = 1\n[defaults]\nregion = \"{REGION}\"\n[instances.web-1]\nrules = [{{ allow = \"https\", from = \"anywhere\", why = '{evil}' }}]\n"
        ),
        &fleet(vec![instance("web-1", vec![]), instance(evil, vec![])]),
    );
    for format in ["markdown", "html", "github"] {
        let done = stage.on_fleet(&["plan", "--format", format]);
        assert_eq!(done.code, Some(0), "{}", done.shown());
        assert!(done.stdout.contains("script"), "{format}: {}", done.stdout);
        assert!(
            !done.stdout.contains("::error"),
            "{format}: {}",
            done.stdout
        );
        if format == "html" {
            assert!(!done.stdout.contains("<script"), "{}", done.stdout);
        }
    }
    // In a comment it may stand as it is only in the fenced block, whose fence it cannot close.
    let comment = stage.on_fleet(&["plan", "--format", "markdown"]).stdout;
    let (outside, inside) = comment.split_once("```text\n").expect("a block");
    assert!(!outside.contains("<script"), "{outside}");
    assert!(!inside.contains("\n```\n<script"), "{inside}");
}
