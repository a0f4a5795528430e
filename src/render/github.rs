//! Findings as GitHub's workflow commands, and the numbers that later steps of a job ask for.
//!
//! Owns the escaping of commands. Does not read the environment that names the files of a step, and does not let a text from
//! outside begin a command, end one, or become an output.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::difference::Comparison;
use super::finding::{Finding, Level, drift, findings, opened, openings};
use super::formats::sanitize;
use super::json::RunReport;
use super::metadata::PlanView;
use crate::exposure::{self, Compared};
use crate::plan::Verdict;

/// GitHub shows ten annotations of a kind for a step. The others are in the log.
const TITLE: &str = "portward";

/// One `::error …::`, `::warning …::` or `::notice …::` a line: what was found, then every line that opens something,
/// or, of drift, what differs.
pub(crate) fn annotations(run: &RunReport<'_>) -> String {
    let mut text = String::new();
    let access = match run.plan_view() {
        PlanView::Plan => openings,
        PlanView::Drift | PlanView::InventoryDrift(_) => drift,
    };
    let access = run.plan.map(access).unwrap_or_default();
    for finding in findings(run).iter().chain(&access) {
        let _ = writeln!(text, "{}", annotation(finding));
    }
    text
}

/// `NAME=VALUE` lines for `$GITHUB_OUTPUT`. Every value is a number or a boolean, so none can begin a line of its own.
pub(crate) fn outputs(run: &RunReport<'_>) -> String {
    let instances = run.plan.map(|plan| plan.instances.as_slice());
    let instances = instances.unwrap_or_default();
    let count = |is: fn(&Verdict) -> bool| instances.iter().filter(|i| is(&i.verdict)).count();
    let calls: usize = instances.iter().map(|i| i.calls.len()).sum();
    let opens = instances.iter().any(|i| !i.exposure.gained.is_empty());
    let closes = instances.iter().any(|i| !i.exposure.lost.is_empty());
    let differ = count(Verdict::differs);
    let to_change = count(|verdict| *verdict == Verdict::Change);
    format!(
        "exit-code={}\ndiffer={differ}\nto-change={to_change}\ncalls={calls}\nopens={opens}\ncloses={closes}\n\
         refusals={}\nviolations={}\n",
        run.exit_code,
        run.refusals.len(),
        run.violations.len()
    )
}

/// The annotations of a comparison: what could not be compared, then every line that opens something.
pub(crate) fn comparison_annotations(comparison: &Comparison<'_>) -> String {
    let mut found = findings(&comparison.run());
    let mut opens: BTreeMap<(String, usize, String), Finding> = BTreeMap::new();
    for compared in comparison.all {
        for line in exposure::lines(&compared.diff.gained) {
            for rule in compared.after.causes(&line) {
                let Some(origin) = &rule.origin else { continue };
                let sources = exposure::format_sources(&line.sources);
                let finding = opened(compared, &line.ports, &sources, origin);
                // Rules that several instances share would say the same again and again.
                let once = (
                    origin.file.to_string(),
                    origin.line,
                    format!("{} {sources}", line.ports),
                );
                opens.entry(once).or_insert(finding);
            }
        }
    }
    found.extend(opens.into_values());
    let annotations = found.iter().map(|finding| annotation(finding) + "\n");
    annotations.collect()
}

/// `NAME=VALUE` lines of a comparison, each a number or a boolean.
pub(crate) fn comparison_outputs(comparison: &Comparison<'_>) -> String {
    let differ = comparison.all.iter().filter(|c| !c.diff.is_empty()).count();
    // What may open is reviewed like what does.
    let opens = comparison.all.iter().any(Compared::may_open);
    let closes = comparison.all.iter().any(|c| !c.diff.lost.is_empty());
    format!(
        "exit-code={}\ndiffer={differ}\nopens={opens}\ncloses={closes}\n",
        comparison.exit_code
    )
}

fn annotation(finding: &Finding) -> String {
    let command = match finding.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "notice",
    };
    let mut properties: Vec<String> = Vec::new();
    if let Some(location) = &finding.location {
        properties.push(format!(
            "file={}",
            escape_property(&sanitize(&location.file))
        ));
        if location.line > 0 {
            properties.push(format!("line={}", location.line));
            let (last, end) = location.end.unwrap_or((location.line, 0));
            // GitHub knows columns of a single line only.
            if last > location.line {
                properties.push(format!("endLine={last}"));
            } else if let Some(column) = location.column {
                properties.push(format!("col={column}"));
                if end > column {
                    properties.push(format!("endColumn={end}"));
                }
            }
        }
    }
    let rule = escape_property(&sanitize(&finding.rule.id()));
    properties.push(format!("title={TITLE} {rule}"));
    let mut message = finding.message.clone();
    let details = finding.details.iter().cloned();
    let hint = finding.hint.iter().map(|hint| format!("hint: {hint}"));
    for line in details.chain(hint) {
        message.push('\n');
        message.push_str(&line);
    }
    let message = escape_data(&message);
    format!("::{command} {}::{message}", properties.join(","))
}

/// A notice that is about no line.
pub(super) fn notice(title: &str, message: &str) -> String {
    format!(
        "::notice title={TITLE} {}::{}",
        escape_property(&sanitize(title)),
        escape_data(&sanitize(message))
    )
}

/// The text of a command.
fn escape_data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The value of a property, which a comma or a colon would end.
fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Code;
    use crate::render::finding::{FindingKind, Location};
    use crate::render::json::Problem;

    fn finding(message: &str, file: &str) -> Finding {
        Finding {
            rule: FindingKind::Code(Code::Syntax),
            level: Level::Error,
            message: sanitize(message),
            details: Vec::new(),
            hint: Some("look".to_owned()),
            location: Some(Location {
                file: file.to_owned(),
                line: 3,
                column: Some(7),
                end: Some((3, 9)),
            }),
            related: Vec::new(),
            identity: None,
        }
    }

    #[test]
    fn annotation_is_one_command() {
        assert_eq!(
            annotation(&finding("50% of it\nis ::error::", "a,b:c.toml")),
            "::error file=a%2Cb%3Ac.toml,line=3,col=7,endColumn=9,title=portward PW-102::\
             50%25 of it\\u{a}is \\u{3a}:error::%0Ahint: look"
        );
    }

    #[test]
    fn annotation_of_a_file_has_no_line() {
        let problem = Problem {
            line: Some(0),
            column: Some(0),
            file: Some("x.toml".to_owned()),
            ..Problem::error(Code::Unreadable, "cannot be read", None)
        };
        let run = RunReport {
            problems: vec![problem],
            ..RunReport::default()
        };
        assert_eq!(
            annotations(&run),
            "::error file=x.toml,title=portward PW-601::cannot be read\n"
        );
    }

    proptest! {
        #[test]
        fn properties_and_messages_are_escaped(message in any::<String>(), file in any::<String>()) {
            let line = annotation(&finding(&message, &file));
            prop_assert!(!line.contains(['\n', '\r']), "{line:?}");
            let inner = line.strip_prefix("::error file=").expect("the command begins the line");
            let (properties, _) = inner.split_once("::").expect("the properties end");
            // Four commas and no colon of our own: the file's are written out.
            prop_assert_eq!(properties.matches(',').count(), 4);
            prop_assert!(properties.ends_with(",line=3,col=7,endColumn=9,title=portward PW-102"), "{}", properties);
            prop_assert!(!properties.contains(':'));
        }
    }
}
