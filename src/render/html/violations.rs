//! Policies that do not hold, each with the one who shows it, before anything else is looked at.
//!
//! Owns that section of the page: instances with the same mistake share an entry, and all of what gets in is one click
//! away. Refuses to leave a violation out.

use std::fmt::Write as _;

use super::escaped;
use crate::model::Weight;
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
        weight,
        seen: how,
        reason,
        witness: Witness { source, what },
        lacking,
        lines,
        declared,
        hint,
        on: _,
        access: _,
    } = told.violation;
    let (class, word) = match weight {
        Weight::Deny => ("bad", "deny"),
        Weight::Warn => ("odd", "warn"),
    };
    let on: Vec<String> = told.on.iter().map(|on| escaped(&place(on))).collect();
    let lacks = if *lacking {
        "does not get in at"
    } else {
        "gets in at"
    };
    let _ = write!(
        out,
        "<li class=\"{class}\"><span class=\"tag\">{word}</span> {} <strong>{}</strong>, {}: {}\
         <dl><dt>on</dt><dd>{}</dd><dt>witness</dt><dd><code>{}</code> {lacks} <code>{}</code></dd>",
        standing(told.violation),
        escaped(policy),
        seen(*how),
        escaped(reason),
        on.join(", "),
        escaped(source),
        escaped(what),
    );
    let places = |origins: &mut dyn Iterator<Item = String>| {
        let places: Vec<String> = origins
            .map(|place| format!("<code>{}</code>", escaped(&place)))
            .collect();
        places.join(", ")
    };
    if !lines.is_empty() {
        let lines = places(&mut lines.iter().map(ToString::to_string));
        let _ = write!(out, "<dt>opened by</dt><dd>{lines}</dd>");
    }
    if let Some(origin) = declared {
        let origin = places(&mut std::iter::once(origin.to_string()));
        let _ = write!(out, "<dt>policy</dt><dd>{origin}</dd>");
    }
    let _ = write!(out, "<dt>hint</dt><dd>{}</dd></dl>", escaped(hint));
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
