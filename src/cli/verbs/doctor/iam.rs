//! `doctor --iam-policy`: the IAM policy that a user or a role needs, and nothing more.
//!
//! Owns the document. Which actions there are is said where they are called.

use clap::ValueEnum;
use serde::Serialize;

use crate::lightsail::aws::{READ_ACTIONS, WRITE_ACTIONS};

/// What somebody is to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Allowed {
    /// What plan, drift, explain, import and inventory ask
    Read,
    /// What apply asks besides
    Write,
}

/// A policy, its members in the usual order.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    version: &'static str,
    statement: Vec<Statement>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    sid: &'static str,
    effect: &'static str,
    action: Vec<String>,
    resource: &'static str,
}

/// The policy as JSON. Reading knows no single resources, so that its statement is for all of them; a role that is assumed
/// needs no permission to ask STS who it is.
pub(super) fn policy(allowed: Allowed) -> String {
    let named = |actions: &[&str]| -> Vec<String> {
        let actions = actions.iter();
        actions
            .map(|action| format!("lightsail:{action}"))
            .collect()
    };
    let statement = |sid, actions: &[&str], resource| Statement {
        sid,
        effect: "Allow",
        action: named(actions),
        resource,
    };
    let (reads, writes): (Vec<&str>, Vec<&str>) = WRITE_ACTIONS
        .iter()
        .partition(|action| action.starts_with("Get"));
    let statement = match allowed {
        Allowed::Read => vec![statement("PortwardReads", &READ_ACTIONS, "*")],
        Allowed::Write => vec![
            statement(
                "PortwardReads",
                &[&READ_ACTIONS[..], &reads[..]].concat(),
                "*",
            ),
            statement(
                "PortwardWrites",
                &writes,
                "arn:aws:lightsail:*:*:Instance/*",
            ),
        ],
    };
    let policy = Policy {
        version: "2012-10-17",
        statement,
    };
    let text = serde_json::to_string_pretty(&policy);
    text.expect("strings are always JSON") + "\n"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use serde_json::Value;

    use super::*;
    use crate::lightsail::aws::TAG_ACTIONS;

    /// The actions that the sources call: whatever a constant names that looks like one.
    fn called() -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lightsail/aws");
        let mut actions = BTreeSet::new();
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            // Beside a file lie its tests.
            if path.is_dir() {
                continue;
            }
            let text = std::fs::read_to_string(path).expect("a file");
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            for line in text.lines().map(str::trim) {
                let Some((_, value)) = line
                    .strip_prefix("const ACTION: &str = \"")
                    .and_then(|rest| Some((rest, rest.strip_suffix("\";")?)))
                else {
                    continue;
                };
                actions.insert(value.to_owned());
            }
        }
        actions
    }

    #[test]
    fn every_action_that_is_called_is_allowed_and_no_other() {
        let allowed: BTreeSet<String> = READ_ACTIONS
            .iter()
            .chain(&WRITE_ACTIONS)
            .map(ToString::to_string)
            .collect();
        let tags = TAG_ACTIONS.map(ToOwned::to_owned);
        assert_eq!(called(), &allowed | &tags.into());
        let write = policy(Allowed::Write);
        assert!(
            allowed
                .iter()
                .all(|action| write.contains(&format!("\"lightsail:{action}\"")))
        );
    }

    #[test]
    fn who_reads_can_write_nothing() {
        let read = policy(Allowed::Read);
        assert!(!read.contains("PublicPorts"), "{read}");
        let parsed: Value = serde_json::from_str(&policy(Allowed::Write)).expect("JSON");
        let writes = &parsed["Statement"][1];
        assert_eq!(
            writes["Action"].as_array().map(Vec::len),
            Some(3),
            "{parsed}"
        );
        assert_ne!(writes["Resource"], "*");
    }
}
