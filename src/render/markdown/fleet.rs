//! The answer to `explain` over many instances as a comment.
//!
//! Owns its table and its limit: if there is more than a comment holds, the first rows are shown and the others counted.
//! Does not decide what is allowed.

use std::fmt::Write as _;

use super::LIMIT;
use super::escape::{code, prose};

use crate::render::explanation::fleet::{groups, summary};
use crate::render::explanation::{Allowed, Answers};
use crate::render::formats::count;
use crate::render::group::group_by_key;
use crate::render::text::places;

/// The comment. Its first line is a mark that a bot knows its own comment by.
pub(crate) fn explanations(answers: &Answers<'_>) -> String {
    let (to, from) = (
        answers.to.unwrap_or("everything"),
        answers.from.unwrap_or("everyone"),
    );
    let mut out = format!(
        "<!-- portward:explain -->\n### portward explain: {} from {}\n\n{}\n\n\
         | instances | live | desired |\n|---|---|---|\n",
        code(to),
        code(from),
        prose(&summary(answers))
    );
    let words = |allowed: Option<Allowed>, none: &str| match allowed {
        Some(allowed) => allowed.text().to_owned(),
        None => none.to_owned(),
    };
    // In the order of the text, which is that of the first of each.
    let rows = groups(answers).into_iter().flatten().map(|one| {
        let (live, desired) = one.live_and_desired();
        let none = match &one.undecided {
            Some(cause) => format!("not known: {cause}"),
            None => "not in the configuration".to_owned(),
        };
        ((words(live, "not known"), words(desired, &none)), one.id)
    });
    let rows: Vec<String> = group_by_key(rows)
        .into_iter()
        .map(|((live, desired), mut ids)| {
            ids.sort();
            let names = places(ids.into_iter()).join(", ");
            let (live, desired) = (prose(&live), prose(&desired));
            format!("| {} | **{live}** | {desired} |\n", code(&names))
        })
        .collect();
    let mut left = LIMIT.saturating_sub(out.chars().count() + 100);
    let fitting = rows.iter().take_while(|row| {
        let length = row.chars().count();
        let fits = length <= left;
        left = left.saturating_sub(length);
        fits
    });
    let fitting: Vec<&String> = fitting.collect();
    let missing = rows.len() - fitting.len();
    out.extend(fitting.into_iter().map(String::as_str));
    if missing > 0 {
        let _ = writeln!(out, "\nThe rest is left out: {}.", count(missing, "row"));
    }
    for (site, cause) in answers.unlisted {
        let _ = writeln!(
            out,
            "\n{} could not be listed: {}",
            code(&site.to_string()),
            prose(&cause.reason)
        );
    }
    out
}
