//! The grants of a fleet: who may reach what, where, until when and why.
//!
//! **Owns** their forms as text, JSON, Markdown and metrics. **Does not** judge a grant, and does not say which instances
//! there are.

use std::fmt::Write as _;

use serde::Serialize;
use strum::VariantArray as _;
use time::OffsetDateTime;

use super::formats::{format_minute, sanitize, to_json};
use super::markdown::escape::code;
use crate::lease::{Judged, LeaseState};
use crate::model::{InstanceId, Site, Unreadable, instant, pairs};

/// The grants that were found.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct GrantList {
    /// The instant for which they are evaluated.
    #[serde(with = "instant")]
    #[cfg_attr(test, schemars(with = "instant::Instant"))]
    pub as_of: OffsetDateTime,
    /// Each of them: those that are over first, and then those that end first.
    pub grants: Vec<Grant>,
    /// Sites whose instances could not be listed.
    #[serde(rename = "regionsUnreadable", with = "pairs")]
    #[cfg_attr(test, schemars(with = "Vec<pairs::Pair<Site, Unreadable>>"))]
    pub sites_unreadable: Vec<(Site, Unreadable)>,
}

/// A grant on an instance.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Grant {
    /// The instance that has the tag.
    pub instance: InstanceId,
    /// The lease of the tag, and its state.
    #[serde(flatten)]
    pub judged: Judged,
}

impl GrantList {
    /// In their order.
    pub(crate) fn sort(&mut self) {
        let end = |grant: &Grant| grant.judged.lease.as_ref().map(|lease| lease.until);
        self.grants.sort_by(|a, b| {
            let key = |grant: &Grant| (grant.judged.state, end(grant));
            key(a)
                .cmp(&key(b))
                .then_with(|| (&a.instance, &a.judged.tag).cmp(&(&b.instance, &b.judged.tag)))
        });
    }

    /// The number of grants in a state.
    pub(crate) fn count(&self, state: LeaseState) -> usize {
        let grants = self.grants.iter();
        grants.filter(|grant| grant.judged.state == state).count()
    }
}

/// For people.
pub(crate) fn text(grants: &GrantList) -> String {
    if grants.grants.is_empty() {
        return "Nothing is granted.\n".to_owned();
    }
    let rows: Vec<[String; 4]> = grants.grants.iter().map(row).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths = [width(0), width(1), width(2)];
    let mut text = String::new();
    for (row, grant) in rows.iter().zip(&grants.grants) {
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(text, "{cell:<width$}  ");
        }
        let _ = writeln!(text, "{}", row[3]);
        for line in detail_lines(grant) {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}

/// State, instance, access, end.
fn row(Grant { instance, judged }: &Grant) -> [String; 4] {
    let (access, end) = match &judged.lease {
        Some(lease) => (
            lease.to_string(),
            format!("until {}", instant::format(lease.until)),
        ),
        None => (judged.tag.clone(), String::new()),
    };
    [
        judged.state.as_str().to_owned(),
        sanitize(&instance.to_string()),
        sanitize(&access),
        end,
    ]
}

/// Who, why, and what keeps it from being granted.
fn detail_lines(Grant { judged, .. }: &Grant) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(lease) = &judged.lease {
        let why = if lease.why.is_empty() {
            String::new()
        } else {
            format!(": {}", sanitize(&lease.why))
        };
        lines.push(format!("{} by {}{why}", lease.id, sanitize(&lease.by)));
    }
    lines.extend(judged.reason.as_deref().map(sanitize));
    lines
}

/// For machines.
pub(crate) fn json(grants: &GrantList) -> String {
    to_json(grants)
}

/// For a page that people read.
pub(crate) fn markdown(grants: &GrantList) -> String {
    if grants.grants.is_empty() {
        return "Nothing is granted.\n".to_owned();
    }
    let mut text =
        "| state | instance | access | until | by | why |\n|---|---|---|---|---|---|\n".to_owned();
    for Grant { instance, judged } in &grants.grants {
        let why = judged.reason.as_deref().map(code);
        let _ = match &judged.lease {
            Some(lease) => {
                let why = why.or_else(|| Some(code(&lease.why)).filter(|_| !lease.why.is_empty()));
                writeln!(
                    text,
                    "| {} | {} | {} | {} | {} | {} |",
                    judged.state.as_str(),
                    code(&instance.to_string()),
                    code(&lease.to_string()),
                    format_minute(lease.until),
                    code(&lease.by),
                    why.unwrap_or_default()
                )
            }
            None => writeln!(
                text,
                "| {} | {} | {} | | | {} |",
                judged.state.as_str(),
                code(&instance.to_string()),
                code(&judged.tag),
                why.unwrap_or_default()
            ),
        };
    }
    text
}

/// For monitoring.
pub(crate) fn prometheus(grants: &GrantList) -> String {
    let mut text = "# HELP portward_grants Grants of access for a time, by state.\n# TYPE portward_grants gauge\n".to_owned();
    for state in LeaseState::VARIANTS {
        let _ = writeln!(
            text,
            "portward_grants{{state=\"{}\"}} {}",
            state.as_str(),
            grants.count(*state)
        );
    }
    text
}
