//! A run as metrics, in the text exposition format of Prometheus, for the textfile collector of its node exporter.
//!
//! Owns names, help texts and labels, which alerts are written against and which therefore never change their meaning.
//! What a run did not get to know is left out: a number that is missing raises an alarm, a zero would not. Does not know
//! a clock and a file.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use serde::{Serialize, Serializer};

use super::formats::sanitize;
use super::json::{ReportDocument, Reported, RunReport};
use crate::model::{Calls, PolicySeverity, Shard};
use crate::policy::Violation;

const LAST_SUCCESS: &str = "portward_last_success_timestamp_seconds";

/// Everything that is told.
#[derive(Clone, Debug)]
pub(crate) struct Metrics<'a> {
    /// The verb, such as `drift`.
    pub verb: &'a str,
    /// The configuration as it was named.
    pub config: Option<&'a str>,
    /// The part of the fleet.
    pub shard: Option<Shard>,
    /// `None` where the run ended before it had an answer.
    pub counts: Option<InstanceCounts>,
    /// The calls that were made.
    pub calls: &'a [Calls],
    /// How long it took; `None` where that is not known.
    pub seconds: Option<f64>,
    /// The exit code of the process.
    pub exit_code: u8,
    /// When the run ended, in seconds since 1970.
    pub now: i64,
    /// The same for the last run before this one that was a success.
    pub last_success: Option<i64>,
}

/// How many of each there are when the run ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InstanceCounts {
    /// Instances that mean what is declared.
    pub in_sync: usize,
    /// Instances that do not.
    pub differing: usize,
    /// Instances of which something cannot be read.
    pub incomplete: usize,
    /// Instances of which nothing can be read.
    pub unreadable: usize,
    /// Instances of which it is not known what is declared.
    pub undecided: usize,
    /// Regions that could not be listed.
    pub regions_unreadable: usize,
    /// Instances that nothing declares.
    pub undeclared: usize,
    /// Declared instances that do not exist.
    pub missing: usize,
    /// Rules that end soon.
    pub expiring: usize,
    /// Violations of policies; in JSON their number.
    #[serde(serialize_with = "Violations::serialize_total")]
    pub violations: Violations,
}

/// How many violations each policy has. A policy without any is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Violations(BTreeMap<(PolicySeverity, String), usize>);

impl Violations {
    /// Those of a list.
    pub(crate) fn of(violations: &[Violation]) -> Self {
        let mut counted = Self::default();
        for violation in violations {
            let key = (violation.severity, violation.policy.clone());
            *counted.0.entry(key).or_default() += 1;
        }
        counted
    }

    /// How many there are of one severity.
    fn with_severity(&self, severity: PolicySeverity) -> usize {
        let of_it = self.0.iter().filter(|((is, _), _)| *is == severity);
        of_it.map(|(_, number)| number).sum()
    }

    /// How many there are.
    pub(crate) fn total(&self) -> usize {
        self.0.values().sum()
    }

    fn serialize_total<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.total().serialize(serializer)
    }
}

impl InstanceCounts {
    /// Those of a run that has a plan.
    pub(crate) fn of_run(run: &RunReport<'_>) -> Option<Self> {
        run.plan.map(|_| Self::of(&ReportDocument::of(run)))
    }

    /// Those of a report. What was applied is in sync.
    pub(super) fn of(report: &ReportDocument<'_>) -> Self {
        let is_done = |instance: &Reported<'_>| {
            let outcome = instance.outcome.as_ref();
            !instance.differs()
                || instance.plan.still_open.is_empty()
                    && outcome.is_some_and(|outcome| outcome.status.is_success())
        };
        let count = |is: &dyn Fn(&Reported<'_>) -> bool| {
            let instances = report.instances.iter();
            instances.filter(|instance| is(instance)).count()
        };
        Self {
            in_sync: count(&|i| is_done(i) && i.plan.incomplete.is_none()),
            differing: count(&|i| !is_done(i)),
            incomplete: report.summary.incomplete,
            unreadable: report.unreadable.len(),
            undecided: report.undecided.len(),
            regions_unreadable: report.regions_unreadable.len(),
            undeclared: report.undeclared.len(),
            missing: report.missing.len(),
            expiring: report.expiring.len(),
            violations: Violations::of(&report.violations),
        }
    }
}

/// When the last success was, as an earlier text says.
pub(crate) fn last_success(text: &str) -> Option<i64> {
    text.lines()
        .filter_map(|line| line.strip_prefix(LAST_SUCCESS))
        .filter_map(|rest| rest.rsplit(' ').next()?.parse().ok())
        .max()
}

pub(crate) fn text(metrics: &Metrics<'_>) -> String {
    let mut labels = vec![("verb", metrics.verb.to_owned())];
    labels.extend(metrics.config.map(|config| ("config", config.to_owned())));
    labels.extend(metrics.shard.map(|shard| ("shard", shard.to_string())));
    let mut page = Exposition {
        labels,
        text: String::new(),
    };
    if let Some(counts) = &metrics.counts {
        page.counts(counts);
    }
    page.header(
        "api_calls",
        "Calls to the service in the last run, by action and answer.",
    );
    for calls in metrics.calls {
        for (answer, number) in [
            ("answered", calls.answered),
            ("throttled", calls.throttled),
            ("failed", calls.failed),
        ] {
            let labels = [("action", calls.action.as_str()), ("answer", answer)];
            page.sample("api_calls", &labels, number);
        }
    }
    if let Some(seconds) = metrics.seconds {
        page.single(
            "run_duration_seconds",
            "How long the last run took.",
            format!("{seconds:.3}"),
        );
    }
    page.single(
        "run_exit_code",
        "The exit code of the last run.",
        metrics.exit_code,
    );
    page.single(
        "last_run_timestamp_seconds",
        "When the last run ended.",
        metrics.now,
    );
    // Both are whole answers: in sync or done, and differs.
    let success = match metrics.exit_code {
        0 | 2 => Some(metrics.now),
        _ => metrics.last_success,
    };
    if let Some(success) = success {
        page.single(
            "last_success_timestamp_seconds",
            "When a run last ended with a whole answer, which is exit code 0 or 2.",
            success,
        );
    }
    page.text
}

/// The text as it grows.
struct Exposition {
    /// Labels of every sample.
    labels: Vec<(&'static str, String)>,
    text: String,
}

impl Exposition {
    fn counts(&mut self, counts: &InstanceCounts) {
        for (name, help, number) in [
            (
                "instances_in_sync",
                "Declared instances whose rules mean what is declared.",
                counts.in_sync,
            ),
            (
                "instances_differing",
                "Declared instances whose rules mean something else.",
                counts.differing,
            ),
            (
                "instances_incomplete",
                "Declared instances of which some rules cannot be read for certain.",
                counts.incomplete,
            ),
            (
                "instances_unreadable",
                "Declared instances whose rules could not be read.",
                counts.unreadable,
            ),
            (
                "instances_undecided",
                "Instances of which it is not known what is declared, since not every region could be listed.",
                counts.undecided,
            ),
            (
                "instances_undeclared",
                "Instances that exist and that nothing declares.",
                counts.undeclared,
            ),
            (
                "instances_missing",
                "Declared instances that do not exist.",
                counts.missing,
            ),
            (
                "regions_unreadable",
                "Regions whose instances could not be listed.",
                counts.regions_unreadable,
            ),
            (
                "rules_expiring",
                "Rules of the configuration that end within 14 days.",
                counts.expiring,
            ),
        ] {
            self.single(name, help, number);
        }
        self.header("policy_violations", "Violations of policies, by severity.");
        for severity in [PolicySeverity::Deny, PolicySeverity::Warn] {
            let labels = [("severity", severity.into())];
            let number = counts.violations.with_severity(severity);
            self.sample("policy_violations", &labels, number);
        }
        self.header(
            "policy_violated",
            "Violations of one policy, for each policy that does not hold.",
        );
        for ((severity, policy), number) in &counts.violations.0 {
            let labels = [
                ("severity", (*severity).into()),
                ("policy", policy.as_str()),
            ];
            self.sample("policy_violated", &labels, number);
        }
    }

    fn single(&mut self, name: &str, help: &str, value: impl Display) {
        self.header(name, help);
        self.sample(name, &[], value);
    }

    fn header(&mut self, name: &str, help: &str) {
        let _ = writeln!(
            self.text,
            "# HELP portward_{name} {help}\n# TYPE portward_{name} gauge"
        );
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let own = self
            .labels
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        let labels: Vec<String> = own
            .chain(labels.iter().copied())
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        let labels = labels.join(",");
        let _ = writeln!(self.text, "portward_{name}{{{labels}}} {value}");
    }
}

/// The value of a label.
fn escaped(text: &str) -> String {
    sanitize(text).replace('\\', r"\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::policy::{Occurrence, Subject, ViolationKind, Witness};

    fn violation(policy: &str, severity: PolicySeverity) -> Violation {
        Violation {
            code: crate::model::Code::Policy,
            policy: policy.into(),
            severity,
            occurrence: Occurrence::Live,
            subject: Subject::Table("instances.web-1".into()),
            reason: "1.1.1.1 gets in at tcp/22, and nobody may".into(),
            witness: Witness {
                source: "1.1.1.1".into(),
                port: "tcp/22".into(),
            },
            kind: ViolationKind::Excess,
            access: Vec::new(),
            lines: Vec::new(),
            declared: None,
            hint: "narrow it".into(),
        }
    }

    proptest! {
        /// Alerts name the policy, and the sum over policies is the number that stood there before.
        #[test]
        fn violations_are_counted_by_policy(
            list in vec(("[a-c\"]{1,2}", any::<bool>()), 0..20)
        ) {
            let severity = |deny| if deny { PolicySeverity::Deny } else { PolicySeverity::Warn };
            let violations: Vec<Violation> =
                list.iter().map(|(policy, deny)| violation(policy, severity(*deny))).collect();
            let counts = InstanceCounts { violations: Violations::of(&violations), ..InstanceCounts::default() };
            prop_assert_eq!(counts.violations.total(), list.len());
            let page = text(&Metrics { counts: Some(counts), ..metrics(2, None) });
            for (deny, name) in [(true, "deny"), (false, "warn")] {
                let sum = |family: &str| -> usize {
                    let of_it = format!("severity=\"{name}\"");
                    let lines = page.lines().filter(|line| line.starts_with(family) && line.contains(&of_it));
                    lines.map(|line| line.rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or(usize::MAX)).sum()
                };
                let expected = list.iter().filter(|(_, is)| *is == deny).count();
                prop_assert_eq!(sum("portward_policy_violations{"), expected);
                prop_assert_eq!(sum("portward_policy_violated{"), expected);
            }
            for (policy, deny) in &list {
                let count = list.iter().filter(|other| **other == (policy.clone(), *deny)).count();
                let name: &str = severity(*deny).into();
                let label = policy.replace('"', "\\\"");
                let line = format!("severity=\"{name}\",policy=\"{label}\"}} {count}\n");
                prop_assert!(page.contains(&line), "{}", page);
            }
        }
    }

    fn metrics(exit_code: u8, last_success: Option<i64>) -> Metrics<'static> {
        Metrics {
            verb: "drift",
            config: Some("a \"b\"\\\n.toml"),
            shard: Shard::new(3, 8),
            counts: None,
            calls: &[],
            seconds: Some(1.5),
            exit_code,
            now: 100,
            last_success,
        }
    }

    #[test]
    fn last_success_survives_failures() {
        let first = text(&metrics(2, None));
        assert_eq!(last_success(&first), Some(100));
        assert_eq!(last_success(&text(&metrics(1, Some(7)))), Some(7));
        assert_eq!(last_success(&text(&metrics(6, None))), None);
        assert_eq!(last_success(&text(&metrics(0, Some(7)))), Some(100));
        for odd in [
            "",
            "portward_last_success_timestamp_seconds",
            "portward_last_success_timestamp_seconds x",
        ] {
            assert_eq!(last_success(odd), None, "{odd}");
        }
    }

    #[test]
    fn unknown_values_are_omitted() {
        let failed = text(&metrics(1, None));
        assert!(
            !failed.contains("instances") && !failed.contains("violations"),
            "{failed}"
        );
        assert!(
            failed.contains("portward_run_exit_code{verb=\"drift\",config=\"a \\\"b\\\"\\\\\\\\u{a}.toml\",shard=\"3/8\"} 1\n"),
            "{failed}"
        );
    }
}
