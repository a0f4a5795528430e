//! Environment variables that change a run: named in its output, or refused.

use super::*;

/// The variables that change what a run means, with a value for each, and what they do.
const VARIABLES: [(&str, &str, &str); 8] = [
    ("PORTWARD_AS_OF", "2098-01-01", "sets the day of this run"),
    (
        "PORTWARD_EMULATOR",
        "fleet.json",
        "puts an emulator in place of the service",
    ),
    (
        "PORTWARD_INVENTORY",
        "fleet.json",
        "puts a snapshot in place of the service",
    ),
    ("PORTWARD_TARGET", "web-4", "narrows this run"),
    ("PORTWARD_SHARD", "1/2", "narrows this run"),
    ("PORTWARD_SHARDS", "3", "narrows this run"),
    ("PORTWARD_REGION", "us-east-1", "narrows this run"),
    ("PORTWARD_ACCOUNT", "prod", "narrows this run"),
];

#[test]
fn environment_variable_is_reported_or_refused() {
    let table = table();
    for (variable, value, effect) in VARIABLES {
        let row = table
            .iter()
            .find(|(_, name, _)| name.as_deref() == Some(variable));
        let (flag, _, takers) = row.expect("a row");
        for verb in [
            "check",
            "plan",
            "apply",
            "drift",
            "diff",
            "explain",
            "rollback",
            "import",
            "inventory",
            "doctor",
        ] {
            let takes = takers.iter().any(|taker| taker == verb);
            let mut args = base(verb).to_owned();
            if matches!(flag.as_str(), "--account") && takes && verb != "rollback" {
                args += " -c accounts.toml";
            }
            let at = if matches!(variable, "PORTWARD_EMULATOR" | "PORTWARD_INVENTORY") && takes {
                Where::Nowhere
            } else {
                place(verb)
            };
            let seen = run(
                at,
                &words(&args),
                &[(variable.to_owned(), value.to_owned())],
            );
            let stderr = &seen.done.stderr;
            let named = format!("note: {variable}={value} ");
            if takes {
                assert!(
                    stderr.contains(&format!("{named}{effect}\n")),
                    "{verb}: {}",
                    seen.brief()
                );
            } else if matches!(verb, "apply" | "rollback") && variable != "PORTWARD_AS_OF" {
                assert_eq!(seen.done.code, Some(64), "{verb}: {}", seen.brief());
                let why = format!("{variable}={value} has no effect on `{verb}`");
                assert!(stderr.contains(&why), "{verb}: {}", seen.brief());
            } else {
                assert!(
                    stderr.contains(&format!("{named}has no effect on `{verb}`\n")),
                    "{verb}: {}",
                    seen.brief()
                );
            }
            // A flag of the same name wins, and there is nothing to say.
            if takes
                && !matches!(
                    flag.as_str(),
                    "--emulator" | "--inventory" | "--shard" | "--shards"
                )
            {
                let args = format!("{args} {flag} {value}");
                let seen = run(
                    place(verb),
                    &words(&args),
                    &[(variable.to_owned(), value.to_owned())],
                );
                assert!(
                    !seen.done.stderr.contains("note: PORTWARD"),
                    "{verb}: {}",
                    seen.brief()
                );
            }
        }
    }
}

#[test]
fn effective_environment_variables_are_in_every_report() {
    let formats = [
        "text",
        "json",
        "markdown",
        "github",
        "sarif",
        "codequality",
        "html",
        "prometheus",
    ];
    let note = "PORTWARD_TARGET=web-4 narrows this run";
    let reports: Vec<String> = formats
        .iter()
        .map(|format| format!("--report {format}=r.{format}"))
        .collect();
    let plan = format!("plan --emulator fleet.json {}", reports.join(" "));
    let seen = in_template(&plan, &[("PORTWARD_TARGET", "web-4")]);
    assert_eq!(seen.done.code, Some(0), "{}", seen.brief());
    for format in formats {
        let report = seen.stage.read(&format!("r.{format}"));
        let plain = report.replace("&#95;", "_").replace("&#61;", "=");
        assert!(plain.contains(note), "{format}: {report}");
    }
    let report: serde_json::Value = serde_json::from_str(&seen.stage.read("r.json")).expect("JSON");
    assert_eq!(report["environment"], serde_json::json!([note]));
    // Of a run that failed too, and of the verbs that answer in a form of their own.
    for args in [
        "plan -c nowhere.toml --emulator fleet.json",
        "diff fleet.json firewall.toml",
    ] {
        let args = format!("{args} --report json=r.json --report markdown=r.md");
        let seen = in_template(&args, &[("PORTWARD_TARGET", "web-4")]);
        assert!(
            seen.stage.read("r.json").contains(note),
            "{args}: {}",
            seen.brief()
        );
    }
    for format in ["json", "markdown", "github"] {
        let args = format!("explain web-4 --emulator fleet.json --report {format}=r");
        let seen = in_template(&args, &[("PORTWARD_REGION", "us-east-1")]);
        let report = seen
            .stage
            .read("r")
            .replace("&#95;", "_")
            .replace("&#61;", "=");
        assert!(
            report.contains("PORTWARD_REGION=us-east-1 narrows this run"),
            "{format}: {report}"
        );
    }
}
