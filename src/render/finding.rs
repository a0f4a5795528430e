//! What stands in the way or asks for attention, as one flat list: for annotations and for SARIF.
//!
//! Owns the rule ids, which are for ever: a code scanner knows a finding again by them. Refuses to judge; it only collects
//! what the configuration's reader, the planner, the guards and the executor said, with the line it is about.

use super::json::Run;
use super::words::plain;
use crate::exposure;
use crate::model::{InstanceId, Origin};
use crate::plan::{GuardName, InstancePlan, Plan, Verdict};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Stands in the way.
    Error,
    /// Asks for attention.
    Warning,
    /// Worth a look where one is looking anyway.
    Note,
}

/// A kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// For programs; never changes.
    pub id: &'static str,
    /// For people: what it means.
    pub about: &'static str,
}

/// A place in a file, both numbers from 1; a line of 0 is the file as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The path as the user would name it.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column, in characters, where it is known.
    pub column: Option<usize>,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind it is.
    pub rule: Rule,
    /// How bad it is.
    pub level: Level,
    /// A fragment with the name of the instance in it, where it is about one; safe to show.
    pub message: String,
    /// What can be done about it; safe to show.
    pub hint: Option<String>,
    /// The line to look at.
    pub location: Option<Location>,
}

/// The configuration is not valid.
pub const CONFIG_ERROR: Rule = Rule {
    id: "config-error",
    about: "The configuration is not valid",
};

/// The configuration is valid and odd.
pub const CONFIG_WARNING: Rule = Rule {
    id: "config-warning",
    about: "Something in the configuration is probably not meant",
};

const FAILED: Rule = Rule {
    id: "run-failed",
    about: "The run could not do its job",
};

const LOCKOUT: Rule = Rule {
    id: "guard-lockout",
    about: "A change would lock out everybody who administers an instance",
};

const BLAST_RADIUS: Rule = Rule {
    id: "guard-blast-radius",
    about: "A run would change more at once than is allowed",
};

const EMPTY: Rule = Rule {
    id: "guard-empty",
    about: "A change would leave an instance without any rule",
};

const REFUSED: Rule = Rule {
    id: "plan-refused",
    about: "There is no safe way to make the change",
};

const UNREADABLE: Rule = Rule {
    id: "unreadable",
    about: "Something could not be read, so nothing is known about it",
};

const MISSING: Rule = Rule {
    id: "instance-missing",
    about: "A declared instance does not exist",
};

const NOT_APPLIED: Rule = Rule {
    id: "not-applied",
    about: "A planned change was not made, or did not last",
};

const OPENS: Rule = Rule {
    id: "opens-access",
    about: "A change lets somebody in who did not get in before",
};

/// Everything of a run that is wrong or odd, the worst first, else in the order of the run.
#[must_use]
pub fn findings(run: &Run<'_>) -> Vec<Finding> {
    let mut findings = said(run);
    let empty = Plan::default();
    let plan = run.plan.unwrap_or(&empty);
    for refusal in run.refusals {
        let on = refusal
            .instance
            .as_ref()
            .map_or_else(String::new, |id| format!("{}: ", named(id)));
        findings.push(Finding {
            rule: match refusal.guard {
                GuardName::Lockout => LOCKOUT,
                GuardName::BlastRadius => BLAST_RADIUS,
                GuardName::Empty => EMPTY,
            },
            level: Level::Error,
            message: format!("{on}{}", plain(&refusal.reason)),
            hint: Some(plain(&refusal.hint)),
            location: some_line(plan, refusal.instance.as_ref()),
        });
    }
    findings.extend(plan.instances.iter().filter_map(refused));
    findings.extend(unseen(plan));
    for missing in &plan.missing {
        let near = missing.hint.as_deref();
        findings.push(Finding {
            rule: MISSING,
            level: Level::Error,
            message: format!("`{}` is declared and does not exist", plain(&missing.name)),
            hint: near.map(|name| format!("did you mean `{}`?", plain(name))),
            location: Some(at(&missing.origin)),
        });
    }
    let results = run.report.map(|report| report.results.as_slice());
    for result in results.unwrap_or_default() {
        if !result.outcome.is_failure() {
            continue;
        }
        let why = result.outcome.reason().unwrap_or_default();
        findings.push(Finding {
            rule: NOT_APPLIED,
            level: Level::Error,
            message: format!(
                "{}: {}: {}",
                named(&result.id),
                result.outcome.status(),
                plain(&why)
            ),
            hint: None,
            location: some_line(plan, Some(&result.id)),
        });
    }
    findings.sort_by_key(|finding| finding.level);
    findings
}

/// A note at each line that lets somebody in who did not get in before.
#[must_use]
pub fn openings(plan: &Plan) -> Vec<Finding> {
    let mut openings: Vec<Finding> = Vec::new();
    for instance in &plan.instances {
        for change in &instance.changes {
            let gained = exposure::subtract(&change.after, &change.before);
            let Some(cause) = change.causes.first().filter(|_| !gained.is_empty()) else {
                continue;
            };
            openings.push(Finding {
                rule: OPENS,
                level: Level::Note,
                message: format!(
                    "{}: {} opens to {}",
                    named(&instance.instance.id),
                    change.key,
                    plain(&exposure::who(&gained))
                ),
                hint: None,
                location: Some(at(&cause.origin)),
            });
        }
    }
    openings
}

/// What the run and the configuration's reader said themselves.
fn said(run: &Run<'_>) -> Vec<Finding> {
    let error = run.error.iter().map(|problem| (FAILED, problem));
    let problems = run.problems.iter().map(|problem| {
        let rule = match problem.severity {
            "error" => CONFIG_ERROR,
            _ => CONFIG_WARNING,
        };
        (rule, problem)
    });
    error
        .chain(problems)
        .map(|(rule, problem)| Finding {
            rule,
            level: match problem.severity {
                "error" => Level::Error,
                _ => Level::Warning,
            },
            message: plain(&problem.message),
            hint: problem.hint.as_deref().map(plain),
            location: problem.file.as_ref().map(|file| Location {
                file: file.clone(),
                line: problem.line.unwrap_or(0),
                column: problem.column.filter(|column| *column > 0),
            }),
        })
        .collect()
}

fn refused(instance: &InstancePlan) -> Option<Finding> {
    let Verdict::Refused { reason, hint } = &instance.verdict else {
        return None;
    };
    Some(Finding {
        rule: REFUSED,
        level: Level::Error,
        message: format!("{}: {}", named(&instance.instance.id), plain(reason)),
        hint: hint.as_deref().map(plain),
        location: line_of(instance),
    })
}

/// What could not be read, in whole or in part.
fn unseen(plan: &Plan) -> Vec<Finding> {
    let regions = plan
        .sites_unreadable
        .iter()
        .map(|(site, why)| (format!("region `{}`", plain(&site.to_string())), why));
    let instances = plan.unreadable.iter().map(|(id, why)| (named(id), why));
    let whole = regions.chain(instances).map(|(what, why)| Finding {
        rule: UNREADABLE,
        level: Level::Error,
        message: format!("{what} could not be read: {}", plain(&why.reason)),
        hint: why.hint.as_deref().map(plain),
        location: None,
    });
    let partly = plan.instances.iter().filter_map(|instance| {
        let why = instance.incomplete.as_deref()?;
        Some(Finding {
            rule: UNREADABLE,
            level: Level::Error,
            message: format!(
                "{} could not be read in full: {}",
                named(&instance.instance.id),
                plain(why)
            ),
            hint: None,
            location: line_of(instance),
        })
    });
    whole.chain(partly).collect()
}

/// A line that belongs to the instance, or to anything that the plan changes: a reader must be led somewhere.
fn some_line(plan: &Plan, id: Option<&InstanceId>) -> Option<Location> {
    let own = id.and_then(|id| plan.instances.iter().find(|i| i.instance.id == *id));
    own.and_then(line_of)
        .or_else(|| plan.instances.iter().find_map(line_of))
}

fn line_of(instance: &InstancePlan) -> Option<Location> {
    let mut causes = instance.changes.iter().flat_map(|change| &change.causes);
    causes.next().map(|cause| at(&cause.origin))
}

fn at(origin: &Origin) -> Location {
    Location {
        file: origin.file.to_string(),
        line: origin.line,
        column: Some(origin.column).filter(|column| *column > 0),
    }
}

fn named(id: &InstanceId) -> String {
    format!("`{}` ({})", plain(&id.name), plain(&id.site().to_string()))
}
