//! The sections of refusals, errors, broken policies and warnings.
//!
//! **Owns** these sections: a policy is one entry with all its violations, and equal violations share a sentence. **Does not**
//! leave a violation out.

use maud::{Markup, html};

use super::head::Tile;
use super::{all_names, code, joined, prose};
use crate::exposure::ComparisonSubject;
use crate::plan::GuardName;
use crate::policy::{Refusal, Violation};
use crate::render::finding::policies::{
    BrokenPolicy, ViolationGroup, broken_policies, occurrence, violation_prefix,
};
use crate::render::finding::{Finding, Level, findings_without_refusals};
use crate::render::formats::{count, sanitize};
use crate::render::group::group_by_key;
use crate::render::json::RunReport;

/// Lines of access below a mistake; what a page has room for.
const LINES: usize = 200;

/// Everything that was found.
pub(super) struct FoundSections<'a> {
    refusals: Vec<RefusingGuard<'a>>,
    errors: Vec<Finding>,
    policies: Vec<BrokenPolicy<'a>>,
    others: Vec<Finding>,
}

/// Whether a guard or a policy stands in the way of all of it.
pub(super) fn is_refused(run: &RunReport<'_>) -> bool {
    !run.refusals.is_empty() || run.violations.iter().any(Violation::is_refusal)
}

impl<'a> FoundSections<'a> {
    pub(super) fn of(run: &RunReport<'a>) -> Self {
        let findings = findings_without_refusals(run).into_iter();
        let (errors, others) = findings.partition(|finding| finding.level == Level::Error);
        Self {
            refusals: refusals(run),
            errors,
            policies: broken_policies(run.violations),
            others,
        }
    }

    pub(super) fn tiles(&self) -> Vec<Tile> {
        let levels = self.policies.iter().map(BrokenPolicy::level);
        let worst = levels.min().map_or("", class);
        let mut tiles = vec![
            ("refused", "Refusing guards", self.refusals.len(), "bad"),
            ("errors", "Errors", self.errors.len(), "bad"),
            ("policies", "Broken policies", self.policies.len(), worst),
            ("warnings", "Warnings", self.others.len(), "odd"),
        ];
        tiles.retain(|(_, _, n, _)| *n > 0);
        let tile =
            |(anchor, what, n, class): (_, _, usize, _)| (anchor, what, n.to_string(), class);
        tiles.into_iter().map(tile).collect()
    }

    pub(super) fn section(&self) -> Markup {
        html! {
            @if !self.refusals.is_empty() {
                section aria-labelledby="refused" {
                    h2 id="refused" { "What guards refuse" }
                    ul.found { @for guard in &self.refusals { (refused(guard)) } }
                }
            }
            (findings("errors", "Errors", &self.errors))
            @if !self.policies.is_empty() {
                section aria-labelledby="policies" {
                    h2 id="policies" { "Policies that do not hold" }
                    ul.found { @for broken in &self.policies { (policy(broken)) } }
                }
            }
            (findings("warnings", "Warnings", &self.others))
        }
    }
}

/// A guard that refuses, with its reasons: for each those on whom it refuses, and the hints.
struct RefusingGuard<'a> {
    guard: GuardName,
    reasons: Vec<(&'a str, Vec<&'a Refusal>)>,
}

fn refusals<'a>(run: &RunReport<'a>) -> Vec<RefusingGuard<'a>> {
    let by_reason = |(guard, refusals): (GuardName, Vec<&'a Refusal>)| RefusingGuard {
        guard,
        reasons: group_by_key(refusals.into_iter().map(|one| (one.reason.as_str(), one))),
    };
    let by_guard = group_by_key(run.refusals.iter().map(|one| (one.guard, one)));
    by_guard.into_iter().map(by_reason).collect()
}

fn refused(refused: &RefusingGuard<'_>) -> Markup {
    html! {
        li.bad {
            h3 { "refused by guard " (code(refused.guard.as_str())) " " small.whole { (refused.guard.code().as_str()) } }
            ul { @for (reason, refusals) in &refused.reasons { (refusal(reason, refusals)) } }
        }
    }
}

fn refusal(reason: &str, refusals: &[&Refusal]) -> Markup {
    let on = refusals
        .iter()
        .filter_map(|refusal| refusal.instance.clone());
    let on: Vec<ComparisonSubject> = on.map(ComparisonSubject::Instance).collect();
    let hints = refusals
        .iter()
        .map(|refusal| html! { "hint: " (prose(&refusal.hint)) });
    html! {
        li {
            p { (prose(reason)) }
            @if !on.is_empty() { div.on { (all_names(&on)) } }
            @if let [only] = refusals {
                p.hint { "hint: " (prose(&only.hint)) }
            } @else {
                details.more.hint { summary { (count(on.len(), "hint")) } p { (joined(hints, html! { br; })) } }
            }
        }
    }
}

/// Findings of one kind.
fn findings(anchor: &str, title: &str, all: &[Finding]) -> Markup {
    html! {
        @if !all.is_empty() {
            section aria-labelledby=(anchor) {
                h2 id=(anchor) { (title) }
                ul.found { @for finding in all { (entry(finding)) } }
            }
        }
    }
}

fn entry(finding: &Finding) -> Markup {
    html! {
        li.(class(finding.level)) {
            p {
                (prose(&finding.message))
                @if let Some(at) = &finding.location {
                    " " code { (sanitize(&at.file)) ":" (at.line) }
                }
                " " small.whole { (finding.rule.code().as_str()) }
            }
            @if let Some(hint) = &finding.hint { p.hint { "hint: " (prose(hint)) } }
        }
    }
}

fn class(level: Level) -> &'static str {
    match level {
        Level::Error => "bad",
        Level::Warning | Level::Note => "odd",
    }
}

fn policy(broken: &BrokenPolicy<'_>) -> Markup {
    let violation = broken.violation;
    let level = broken.level();
    html! {
        li.(class(level)) {
            h3 {
                @if level != Level::Error { "warning: " }
                (violation_prefix(violation)) " policy " (code(&violation.policy))
                " " small {
                    span.whole { (violation.code.as_str()) }
                    @if let Some(origin) = &violation.declared { " " (code(&origin.to_string())) }
                }
            }
            ul { @for one in &broken.mistakes { (mistake(one)) } }
        }
    }
}

fn mistake(mistake: &ViolationGroup<'_>) -> Markup {
    let violation = mistake.violation;
    let lines = &violation.lines;
    let access = mistake.access(LINES);
    html! {
        li {
            p { (prose(&violation.reason)) }
            div.on {
                (all_names(&mistake.subjects())) ", " (occurrence(violation.occurrence))
                @if !lines.is_empty() {
                    ", opened by " (joined(lines.iter().map(|line| code(&line.to_string())), ", "))
                }
                @if let [line] = &access[..] { "; " (sanitize(line)) }
            }
            @if access.len() > 1 {
                details.more {
                    summary { "all of it" }
                    p { (joined(access.iter().map(|line| sanitize(line)), html! { br; })) }
                }
            }
            p.hint { "hint: " (prose(&violation.hint)) }
        }
    }
}
