//! Policies that do not hold, each with the one who shows it, before anything else is looked at.
//!
//! Owns that section of the page: instances with the same mistake share an entry, and all of what gets in is one click
//! away. Does not leave a violation out.

use std::fmt::Write as _;

use super::{escaped, prose};
use crate::model::PolicySeverity;
use crate::policy::{Violation, Witness};
use crate::render::finding::policies::{Told, place, seen, standing, told};

/// Lines of access below a violation; what a page has room for.
const LINES: usize = 200;

/// The section; nothing where every policy holds.
pub(super) fn section(out: &mut String, violations: &[Violation]) {
    if violations.is_empty() {
        return;
    }
    out.push_str(
        "<section aria-labelledby=\"policies\">\n<h2 id=\"policies\">Policies that do not hold</h2>\n<ul class=\"found\">\n",
    );
    for told in told(violations) {
        entry(out, &told);
    }
    out.push_str("</ul>\n</section>\n");
}

fn entry(out: &mut String, told: &Told<'_>) {
    let Violation {
        policy,
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
    let on: Vec<String> = told.on.iter().map(|on| prose(&place(on))).collect();
    let _ = write!(
        out,
        "<li class=\"{class}\"><span class=\"tag\">{word}</span> {} <strong>{}</strong>, {}: {}\n<dl>",
        standing(told.violation),
        escaped(policy),
        seen(*how),
        prose(reason),
    );
    let code = |text: &str| format!("<code>{}</code>", escaped(text));
    let mut fact = |name: &str, is: &str| {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{is}</dd></div>");
    };
    fact("on", &on.join(", "));
    fact(
        "witness",
        &format!("{} {} {}", code(source), kind.verb(), code(what)),
    );
    if !lines.is_empty() {
        let lines = lines.iter().map(|line| code(&line.to_string()));
        fact("opened by", &lines.collect::<Vec<_>>().join(", "));
    }
    if let Some(origin) = declared {
        fact("policy", &code(&origin.to_string()));
    }
    fact("hint", &prose(hint));
    out.push_str("</dl>\n");
    let access: Vec<String> = told
        .access(LINES)
        .iter()
        .map(|line| escaped(line))
        .collect();
    if !access.is_empty() {
        let _ = write!(
            out,
            "<details class=\"inside\"><summary>all of it</summary><div>{}</div></details>",
            access.join("<br>")
        );
    }
    out.push_str("</li>\n");
}
