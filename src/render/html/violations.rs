//! Policies that do not hold, each with the one who shows it, before anything else is looked at.
//!
//! Owns that section of the page: instances with the same mistake share an entry, and all of what gets in is one click
//! away. Does not leave a violation out.

use maud::{Markup, html};

use super::{joined, prose};
use crate::model::PolicySeverity;
use crate::policy::{Violation, Witness};
use crate::render::finding::policies::{Told, place, seen, standing, told};
use crate::render::words::sanitize;

/// Lines of access below a violation; what a page has room for.
const LINES: usize = 200;

/// The section; nothing where every policy holds.
pub(super) fn list(violations: &[Violation]) -> Markup {
    html! {
        @if !violations.is_empty() {
            section aria-labelledby="policies" {
                h2 id="policies" { "Policies that do not hold" }
                ul.found { @for told in told(violations) { (entry(&told)) } }
            }
        }
    }
}

fn entry(told: &Told<'_>) -> Markup {
    let Violation {
        policy,
        code: _,
        severity,
        seen: how,
        reason,
        witness: Witness { source, what },
        kind,
        lines,
        declared,
        hint,
        on: _,
        access: _,
    } = told.violation;
    let (class, word) = match severity {
        PolicySeverity::Deny => ("bad", "deny"),
        PolicySeverity::Warn => ("odd", "warn"),
    };
    let code = |text: &str| html! { code { (sanitize(text)) } };
    let access = told.access(LINES);
    html! {
        li class=(class) {
            span.tag { (word) } " " (standing(told.violation)) " " strong { (sanitize(policy)) }
            ", " (seen(*how)) ": " (prose(reason))
            dl {
                (fact("on", &joined(told.on.iter().map(|on| prose(&place(on))), ", ")))
                (fact("witness", &html! { (code(source)) " " (kind.verb()) " " (code(what)) }))
                @if !lines.is_empty() {
                    (fact("opened by", &joined(lines.iter().map(|line| code(&line.to_string())), ", ")))
                }
                @if let Some(origin) = declared {
                    (fact("policy", &code(&origin.to_string())))
                }
                (fact("hint", &prose(hint)))
            }
            @if !access.is_empty() {
                details.inside {
                    summary { "all of it" }
                    div { (joined(access.iter().map(|line| sanitize(line)), html! { br; })) }
                }
            }
        }
    }
}

fn fact(name: &str, is: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (is) } } }
}
