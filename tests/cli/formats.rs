//! The formats that are made for other programs to show: each from the same runs, and none a way in for foreign text.

use std::fs;

use insta::assert_snapshot;
use serde_json::Value;

use crate::stage::{REGION, Stage, fleet, instance, rule};

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
fn a_comment_on_a_pull_request() {
    let done = stage().on_fleet(&["plan", "--format", "markdown"]);
    assert_snapshot!(done.shown());
}

#[test]
fn annotations_a_summary_and_outputs() {
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
            "::notice file=firewall.toml,line=8,col=3,title=portward opens-access::`web-1` (eu-central-1): tcp/443 opens to everyone",
            "::notice file=firewall.toml,line=14,col=3,title=portward opens-access::`web-2` (eu-central-1): tcp/443 opens to everyone",
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
fn a_mistake_is_annotated_where_it_is() {
    let stage = stage();
    stage.configure(
        "version = 1\n[instances.web-1]\nrules = [{ allow = \"sssh\", from = \"anywhere\" }]\n",
    );
    let done = stage.run(&["check", "--format", "github"]);
    assert_eq!(done.code, Some(65));
    let line = done.stdout.lines().next().unwrap_or_default();
    assert!(
        line.starts_with(
            "::error file=firewall.toml,line=3,col=20,endColumn=26,title=portward config-error::"
        ),
        "{}",
        done.shown()
    );
}

#[test]
fn findings_for_a_scanner() {
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
        ids.contains(&"guard-empty") && ids.contains(&"guard-lockout"),
        "{ids:?}"
    );
    for result in results {
        let at = result["ruleIndex"].as_u64().expect("an index");
        let rule = &run["tool"]["driver"]["rules"][usize::try_from(at).expect("small")];
        assert_eq!(rule["id"], result["ruleId"]);
    }
    let missing = results
        .iter()
        .find(|result| result["ruleId"] == "instance-missing")
        .expect("the missing one");
    let region = &missing["locations"][0]["physicalLocation"]["region"];
    assert_eq!(region["startLine"], 6, "{missing}");
}

#[test]
fn reports_of_every_format_are_written_whatever_happens() {
    let stage = stage();
    let reports = ["text", "json", "markdown", "github", "sarif", "html"];
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
fn foreign_text_stays_text() {
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
