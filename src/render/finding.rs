//! Findings: errors, warnings and notes of a run as one flat list, for annotations and for code scanners.
//!
//! Owns their levels, words and places. Does not judge: it collects what the configuration's reader, the planner, the guards, the
//! policies and the executor found, each with its line.

pub(super) mod alerts;
pub(super) mod policies;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::formats::{count, sanitize};
use super::json::{ProblemSeverity, RunReport};
use crate::exposure::{self, Compared, ComparisonSubject};
use crate::model::{Code, InstanceId, Key, Origin, Protocol};
use crate::plan::{Change, GuardName, InstancePlan, Plan, Verdict};
use crate::policy::Refusal;

/// The severity of a finding, the highest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Stands in the way.
    Error,
    /// Asks for attention.
    Warning,
    /// Worth a look where one is looking anyway.
    Note,
}

/// A kind of finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FindingKind {
    /// One that every run may meet.
    Code(Code),
    /// The policy of this name does not hold.
    Policy(String),
}

impl FindingKind {
    /// For programs: the code, and behind it the name of the policy, as in `PW-305/ssh-from-office`.
    pub(super) fn id(&self) -> Cow<'static, str> {
        match self {
            Self::Code(code) => Cow::Borrowed(code.as_str()),
            Self::Policy(name) => Cow::Owned(format!("{}/{name}", Code::Policy)),
        }
    }

    /// For people: what it means.
    pub(super) fn about(&self) -> Cow<'static, str> {
        match self {
            Self::Code(code) => Cow::Borrowed(code.title()),
            Self::Policy(name) => Cow::Owned(format!("The policy `{name}` does not hold")),
        }
    }

    /// Its code.
    pub(super) fn code(&self) -> Code {
        match self {
            Self::Code(code) => *code,
            Self::Policy(_) => Code::Policy,
        }
    }
}

/// A place in a file, both numbers from 1; a line of 0 is the file as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Location {
    /// The path as the user would name it.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column, in characters, where it is known.
    pub column: Option<usize>,
    /// The line and the column right behind the last character, where they are known.
    pub end: Option<(usize, usize)>,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub rule: FindingKind,
    pub level: Level,
    /// A fragment with the name of the instance in it, where it is about one; safe to show.
    pub message: String,
    /// Further lines; safe to show.
    pub details: Vec<String>,
    /// The remedy; safe to show.
    pub hint: Option<String>,
    /// The line to look at.
    pub location: Option<Location>,
    /// More lines that have a part in it.
    pub related: Vec<Location>,
    /// The identity for code scanners, within its rule and file; `None` is the message.
    pub identity: Option<String>,
}

impl Finding {
    fn new(code: Code, level: Level, message: String) -> Self {
        Self {
            rule: FindingKind::Code(code),
            level,
            message,
            details: Vec::new(),
            hint: None,
            location: None,
            related: Vec::new(),
            identity: None,
        }
    }
}

/// Everything of a run that is wrong or odd, the worst first, else in the order of the run.
pub(super) fn findings(run: &RunReport<'_>) -> Vec<Finding> {
    let mut findings = findings_without_policies(run);
    findings.extend(policies::findings(run.violations));
    findings.sort_by_key(|finding| finding.level);
    findings
}

/// The same without the policies that do not hold.
pub(super) fn findings_without_policies(run: &RunReport<'_>) -> Vec<Finding> {
    let empty = Plan::default();
    let plan = run.plan.unwrap_or(&empty);
    let refusals = run
        .refusals
        .iter()
        .map(|refusal| guard_finding(plan, refusal));
    let mut findings: Vec<Finding> = refusals.chain(findings_without_refusals(run)).collect();
    findings.sort_by_key(|finding| finding.level);
    findings
}

/// The same without what guards refuse.
pub(super) fn findings_without_refusals(run: &RunReport<'_>) -> Vec<Finding> {
    let mut findings = problem_findings(run);
    let empty = Plan::default();
    let plan = run.plan.unwrap_or(&empty);
    findings.extend(plan.instances.iter().filter_map(refused_finding));
    findings.extend(plan.instances.iter().flat_map(still_open_findings));
    findings.extend(unreadable_findings(plan));
    for missing in &plan.missing {
        let near = missing.hint.as_deref();
        let message = format!(
            "`{}` is declared and does not exist",
            sanitize(&missing.name)
        );
        findings.push(Finding {
            hint: near.map(|name| format!("did you mean `{}`?", sanitize(name))),
            location: location_of(&missing.origin),
            ..Finding::new(Code::MissingInstance, Level::Error, message)
        });
    }
    let results = run.report.map(|report| report.results.as_slice());
    for result in results.unwrap_or_default() {
        if !result.outcome.is_failure() {
            continue;
        }
        let reason = result.outcome.reason().unwrap_or_default();
        let message = format!(
            "{}: {}: {}",
            instance_name(&result.id),
            result.outcome.status(),
            sanitize(&reason)
        );
        findings.push(Finding {
            location: first_line_of(plan, Some(&result.id)),
            ..Finding::new(Code::NotApplied, Level::Error, message)
        });
    }
    findings.sort_by_key(|finding| finding.level);
    findings
}

/// A note at each line that lets somebody in who did not get in before, with all instances on which it does.
pub(super) fn openings(plan: &Plan) -> Vec<Finding> {
    let notes = opened_lines(plan)
        .into_iter()
        .map(|((origin, ports, sources), on)| {
            let message = format!("opens {ports} to {sources} on {}", instances(&on));
            finding_at(Code::OpensAccess, Level::Note, message, origin)
        });
    notes.collect()
}

/// The findings of drift: first what live firewalls let in beyond what is declared, then, at the line that declares it, what they do
/// not let in.
pub(super) fn drift(plan: &Plan) -> Vec<Finding> {
    let mut extra: BTreeMap<String, Vec<&InstanceId>> = BTreeMap::new();
    for instance in &plan.instances {
        for line in exposure::lines(&instance.exposure.lost) {
            let on = extra.entry(sanitize(&line.to_string())).or_default();
            on.push(&instance.instance.id);
        }
    }
    let extra = extra.into_iter().map(|(line, on)| {
        let message = format!(
            "live allows more than declared: {line} on {}",
            instances(&on)
        );
        Finding::new(Code::LiveAllowsMore, Level::Warning, message)
    });
    let lacks = opened_lines(plan)
        .into_iter()
        .map(|((origin, ports, sources), on)| {
            let message = format!("live lacks {ports} from {sources} on {}", instances(&on));
            finding_at(Code::LiveLacks, Level::Note, message, origin)
        });
    extra.chain(lacks).collect()
}

/// What a declared line lets in that was not let in before: the line, the ports, from whom.
type OpenedLine<'a> = (&'a Origin, String, String);

fn opened_lines(plan: &Plan) -> BTreeMap<OpenedLine<'_>, Vec<&InstanceId>> {
    let mut gains: BTreeMap<OpenedLine<'_>, Vec<&InstanceId>> = BTreeMap::new();
    for instance in &plan.instances {
        for change in &instance.changes {
            let gained = exposure::subtract(&change.after, &change.before, instance.family());
            let Some(cause) = change.causes.first().filter(|_| !gained.is_empty()) else {
                continue;
            };
            let port = sanitize(&change.key.to_string());
            let gain = (
                &cause.origin,
                port,
                sanitize(&exposure::format_sources(&gained)),
            );
            gains.entry(gain).or_default().push(&instance.instance.id);
        }
    }
    gains
}

/// One by name, several by their number.
fn instances(ids: &[&InstanceId]) -> String {
    match ids {
        [one] => instance_name(one),
        _ => count(ids.len(), "instance"),
    }
}

fn finding_at(code: Code, level: Level, message: String, origin: &Origin) -> Finding {
    Finding {
        location: location_of(origin),
        ..Finding::new(code, level, message)
    }
}

/// A note at a line of a document that lets somebody in whom another does not.
pub(super) fn opened(compared: &Compared, ports: &str, sources: &str, origin: &Origin) -> Finding {
    let mut on = match &compared.subject {
        ComparisonSubject::Instance(id) => instance_name(id),
        ComparisonSubject::Unnamed => "the firewall".to_owned(),
        ComparisonSubject::Every(instances) => sanitize(instances),
    };
    if let Some(condition) = &compared.condition {
        on = format!("{on}, {}", sanitize(condition));
    }
    let (ports, sources) = (sanitize(ports), sanitize(sources));
    let message = format!("opens {ports} to {sources} on {on}");
    finding_at(Code::OpensAccess, Level::Note, message, origin)
}

/// The findings of the run itself and of the reader of the configuration.
fn problem_findings(run: &RunReport<'_>) -> Vec<Finding> {
    run.error
        .iter()
        .chain(run.problems.iter())
        .map(|problem| {
            let level = match problem.severity {
                ProblemSeverity::Error => Level::Error,
                ProblemSeverity::Warning => Level::Warning,
            };
            Finding {
                hint: problem.hint.as_deref().map(sanitize),
                location: problem.file.as_ref().map(|file| Location {
                    file: file.clone(),
                    line: problem.line.unwrap_or(0),
                    column: problem.column.filter(|column| *column > 0),
                    end: problem.end_line.zip(problem.end_column),
                }),
                ..Finding::new(problem.code, level, sanitize(&problem.message))
            }
        })
        .collect()
}

/// The refusal of a guard.
fn guard_finding(plan: &Plan, refusal: &Refusal) -> Finding {
    let id = refusal.instance.as_ref();
    let on = id.map_or_else(String::new, |id| format!("{}: ", instance_name(id)));
    let own = id.and_then(|id| find(plan, id));
    let way_in = own.filter(|_| refusal.guard == GuardName::Lockout);
    Finding {
        hint: Some(sanitize(&refusal.hint)),
        location: way_in
            .and_then(remote_access_line)
            .or_else(|| first_line_of(plan, id)),
        ..Finding::new(
            refusal.code,
            Level::Error,
            format!("{on}{}", sanitize(&refusal.reason)),
        )
    }
}

fn refused_finding(instance: &InstancePlan) -> Option<Finding> {
    let Verdict::Refused { reason, hint } = &instance.verdict else {
        return None;
    };
    let message = format!(
        "{}: {}",
        instance_name(&instance.instance.id),
        sanitize(reason)
    );
    Some(Finding {
        hint: hint.as_deref().map(sanitize),
        location: line_of(instance),
        ..Finding::new(Code::NoSafeWay, Level::Error, message)
    })
}

fn still_open_findings(instance: &InstancePlan) -> impl Iterator<Item = Finding> {
    instance.still_open.iter().map(|open| {
        let id = instance_name(&instance.instance.id);
        let message = format!("{id}: still open: {}", sanitize(&open.to_string()));
        let mut causes = open
            .causes
            .iter()
            .filter_map(|cause| location_of(&cause.origin));
        Finding {
            hint: Some(sanitize(&open.hint)),
            location: causes.next(),
            related: causes.collect(),
            ..Finding::new(Code::StillOpen, Level::Error, message)
        }
    })
}

/// The instances and regions that could not be read, in whole or in part.
fn unreadable_findings(plan: &Plan) -> Vec<Finding> {
    let regions = plan
        .sites_unreadable
        .iter()
        .map(|(site, cause)| (format!("region `{}`", sanitize(&site.to_string())), cause));
    let instances = plan
        .unreadable
        .iter()
        .map(|(id, cause)| (instance_name(id), cause));
    let whole = regions.chain(instances).map(|(what, cause)| {
        let message = format!("{what} could not be read: {}", sanitize(&cause.reason));
        Finding {
            hint: cause.hint.as_deref().map(sanitize),
            ..Finding::new(Code::Unreadable, Level::Error, message)
        }
    });
    let partly = plan.instances.iter().filter_map(|instance| {
        let reason = instance.incomplete.as_deref()?;
        let message = format!(
            "{} could not be read in full: {}",
            instance_name(&instance.instance.id),
            sanitize(reason)
        );
        Some(Finding {
            location: line_of(instance),
            ..Finding::new(Code::Unreadable, Level::Error, message)
        })
    });
    let undecided = plan.undecided.iter().map(|(id, cause)| {
        let message = format!(
            "{} is undecided: {}",
            instance_name(id),
            sanitize(&cause.reason)
        );
        Finding {
            hint: cause.hint.as_deref().map(sanitize),
            ..Finding::new(Code::Undecided, Level::Error, message)
        }
    });
    whole.chain(undecided).chain(partly).collect()
}

/// A line that belongs to the instance; for the run as a whole, any that the plan changes.
fn first_line_of(plan: &Plan, id: Option<&InstanceId>) -> Option<Location> {
    match id {
        Some(id) => find(plan, id).and_then(line_of),
        None => plan.instances.iter().find_map(line_of),
    }
}

fn find<'a>(plan: &'a Plan, id: &InstanceId) -> Option<&'a InstancePlan> {
    plan.instances.iter().find(|i| i.instance.id == *id)
}

/// The line behind what closes of SSH and RDP.
fn remote_access_line(instance: &InstancePlan) -> Option<Location> {
    let lets_in = |key: Key| match key.protocol() {
        Protocol::All => true,
        Protocol::Tcp => [22, 3389]
            .iter()
            .any(|p| (key.from()..=key.to()).contains(p)),
        _ => false,
    };
    let closes = |change: &&Change| {
        let closed = exposure::subtract(&change.before, &change.after, instance.family());
        lets_in(change.key) && !closed.is_empty()
    };
    let mut closing = instance.changes.iter().filter(closes);
    let cause = closing.find_map(|change| change.causes.first())?;
    location_of(&cause.origin)
}

fn line_of(instance: &InstancePlan) -> Option<Location> {
    let mut causes = instance.changes.iter().flat_map(|change| &change.causes);
    causes.find_map(|cause| location_of(&cause.origin))
}

/// Where a line is; a tag of an instance is no place in a file.
fn location_of(origin: &Origin) -> Option<Location> {
    if origin.tag().is_some() {
        return None;
    }
    Some(Location {
        file: origin.file.to_string(),
        line: origin.line,
        column: Some(origin.column).filter(|column| *column > 0),
        end: None,
    })
}

fn instance_name(id: &InstanceId) -> String {
    format!(
        "`{}` ({})",
        sanitize(&id.name),
        sanitize(&id.site().to_string())
    )
}
