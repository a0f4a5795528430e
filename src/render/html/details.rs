//! What the table has no room for: each instance's changes, reasons, calls and ending, one click away.
//!
//! Owns the folded sections below the table. Does not leave out an instance of the plan.

use std::fmt::Write as _;

use super::escaped;
use super::matrix::state;
use crate::exposure::Line;
use crate::model::Note;
use crate::plan::{Call, Cause, CauseKind, Change, InstancePlan, InstanceResult, Plan, Verdict};
use crate::render::json::Run;
use crate::render::text::in_doubt;
use crate::render::words::{count, key, source_words, until};

/// A section for each instance, in the order of the table, which links to them.
pub(super) fn sections(out: &mut String, instances: &[&InstancePlan], run: &Run<'_>) {
    if instances.is_empty() {
        return;
    }
    let results = run.report.map(|report| report.results.as_slice());
    out.push_str("<section aria-labelledby=\"details\">\n<h2 id=\"details\">Details</h2>\n");
    for (at, plan) in instances.iter().enumerate() {
        let id = &plan.instance.id;
        let mut results = results.unwrap_or_default().iter();
        let result = results.find(|result| result.id == *id);
        let calls = match plan.calls.len() {
            0 => String::new(),
            n => {
                let mut verbs: Vec<&str> = plan.calls.iter().map(Call::verb).collect();
                verbs.dedup();
                format!(", {}: {}", count(n, "call"), verbs.join(", "))
            }
        };
        // The target is inside: a browser that is led there opens the section.
        let _ = write!(
            out,
            "<details><summary><strong>{}</strong> {}{}{calls}</summary>\n<div id=\"i{at}\" tabindex=\"-1\">\n",
            escaped(&id.name),
            escaped(&id.site().to_string()),
            state(plan),
        );
        inside(out, plan, result);
        out.push_str("</div></details>\n");
    }
    out.push_str("</section>\n");
}

/// What has no firewall to show: missing, undeclared and unreadable instances are told apart, never left out.
pub(super) fn rest(out: &mut String, plan: &Plan) {
    if !plan.undeclared.is_empty() {
        out.push_str("<section aria-labelledby=\"undeclared\">\n<h2 id=\"undeclared\">Not in the configuration</h2>\n<p>");
        for undeclared in &plan.undeclared {
            let _ = write!(out, "<code>{}</code> ", escaped(&undeclared.id.to_string()));
        }
        out.push_str("</p>\n</section>\n");
    }
    if !plan.notes.is_empty() || !plan.overrides.is_empty() {
        out.push_str("<section aria-labelledby=\"notes\">\n<h2 id=\"notes\">Notes</h2>\n<ul>\n");
        for allowed in &plan.overrides {
            let on = allowed.selector.as_deref().map(escaped);
            let on = on.map_or_else(String::new, |on| format!(" on <code>{on}</code>"));
            let _ = writeln!(
                out,
                "<li>allowed: {}{on}: {}</li>",
                allowed.guard.as_str(),
                escaped(&allowed.reason)
            );
        }
        notes(out, &plan.notes);
        out.push_str("</ul>\n</section>\n");
    }
}

fn inside(out: &mut String, plan: &InstancePlan, result: Option<&InstanceResult>) {
    if let Verdict::Refused { reason, hint } = &plan.verdict {
        let hint = hint
            .as_deref()
            .map_or_else(String::new, |hint| format!(" ({hint})"));
        let _ = writeln!(
            out,
            "<p class=\"bad\">refused: {}{}</p>",
            escaped(reason),
            escaped(&hint)
        );
    }
    if let Some(why) = &plan.incomplete {
        let _ = writeln!(
            out,
            "<p class=\"bad\">not fully readable: {}</p>",
            escaped(why)
        );
    }
    if let Some(result) = result {
        let why = result.outcome.reason().unwrap_or_default();
        let sep = if why.is_empty() { "" } else { ": " };
        let _ = writeln!(
            out,
            "<p>what became of it: <strong>{}</strong>{sep}{}, {}</p>",
            result.outcome.status(),
            escaped(&why),
            count(result.writes, "write")
        );
    }
    let lines = plan.exposure.lines();
    let doubts = in_doubt(plan);
    if !plan.exposure.is_empty() || !doubts.is_empty() {
        out.push_str("<ul class=\"access\">\n");
        access(out, "gains", "opens", &lines.gained);
        access(out, "loses", "closes", &lines.lost);
        access(out, "doubt", "perhaps open now", &doubts);
        out.push_str("</ul>\n");
    }
    if !plan.still_open.is_empty() {
        out.push_str("<ul>\n");
        for open in &plan.still_open {
            let causes: Vec<String> = open.causes.iter().map(cause).collect();
            let _ = writeln!(
                out,
                "<li class=\"bad\">still open: {} ({})<br><small>hint: {}</small></li>",
                escaped(&open.to_string()),
                causes.join(", "),
                escaped(&open.hint)
            );
        }
        out.push_str("</ul>\n");
    }
    if !plan.changes.is_empty() {
        out.push_str(
            "<table class=\"rules\"><thead><tr><th scope=\"col\">rule</th><th scope=\"col\">from, before</th>\
             <th scope=\"col\">from, after</th><th scope=\"col\">because</th></tr></thead>\n<tbody>\n",
        );
        for change in &plan.changes {
            rule(out, change);
        }
        out.push_str("</tbody></table>\n");
    } else if matches!(
        plan.verdict,
        Verdict::InSync | Verdict::Incomplete | Verdict::StillOpen
    ) {
        out.push_str("<table class=\"rules\"><thead><tr><th scope=\"col\">rule</th><th scope=\"col\">from</th></tr></thead>\n<tbody>\n");
        for (rule, sources) in &plan.after {
            let _ = writeln!(
                out,
                "<tr><th scope=\"row\">{}</th><td>{}</td></tr>",
                key(*rule),
                escaped(&source_words(sources).join(", "))
            );
        }
        out.push_str("</tbody></table>\n");
    }
    let doubtful = plan.before.uncertain().iter();
    let doubtful = doubtful.map(|u| format!("uncertain live entry {}: {}", u.entry, u.doubt));
    let unknown = plan.before.unknown().iter();
    let unknown = unknown.map(|entry| format!("live entry {entry} of an unknown protocol"));
    let odd: Vec<String> = doubtful.chain(unknown).collect();
    if !odd.is_empty() || !plan.notes.is_empty() {
        out.push_str("<ul>\n");
        for text in odd {
            let _ = writeln!(out, "<li class=\"bad\">{}</li>", escaped(&text));
        }
        notes(out, &plan.notes);
        out.push_str("</ul>\n");
    }
}

fn access(out: &mut String, class: &str, word: &str, lines: &[Line]) {
    for line in lines {
        let _ = writeln!(
            out,
            "<li class=\"{class}\"><span class=\"tag\">{word}</span> {}</li>",
            escaped(&line.to_string())
        );
    }
}

fn rule(out: &mut String, change: &Change) {
    let words = |sources| {
        let words = source_words(sources).join(", ");
        if words.is_empty() {
            "nobody".to_owned()
        } else {
            escaped(&words)
        }
    };
    let causes: Vec<String> = change.causes.iter().map(cause).collect();
    let because = if causes.is_empty() {
        "not in the configuration".to_owned()
    } else {
        causes.join("<br>")
    };
    let _ = writeln!(
        out,
        "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{because}</td></tr>",
        key(change.key),
        words(&change.before),
        words(&change.after)
    );
}

fn cause(cause: &Cause) -> String {
    let mut text = format!("<code>{}</code>", escaped(&cause.origin.to_string()));
    text.push_str(match cause.kind {
        CauseKind::Declared => "",
        CauseKind::Absent => " absent",
        CauseKind::Expired => " expired",
    });
    if let Some(why) = &cause.why {
        let _ = write!(text, " {}", escaped(why));
    }
    if let Some(owner) = &cause.owner {
        let _ = write!(text, ", owner {}", escaped(owner));
    }
    if let Some(end) = cause.until {
        let _ = write!(text, ", until {}", until(end));
    }
    text
}

fn notes(out: &mut String, notes: &[Note]) {
    for Note { text, origin } in notes {
        let _ = write!(out, "<li>{}", escaped(text));
        if let Some(origin) = origin {
            let _ = write!(out, " <code>{}</code>", escaped(&origin.to_string()));
        }
        out.push_str("</li>\n");
    }
}
