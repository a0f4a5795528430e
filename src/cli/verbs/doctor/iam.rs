//! `doctor --iam-policy`: the least IAM policy that a user or a role needs.
//!
//! Owns the policy document. Does not list the actions; `lightsail::aws`, which calls them, does.

use clap::ValueEnum;
use serde::Serialize;

use crate::lightsail::aws::{READ_ACTIONS, TAG_ACTIONS, WRITE_ACTIONS};

/// The purpose of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum IamPolicy {
    /// The actions of plan, drift, explain, import and inventory
    Read,
    /// The actions of apply
    Write,
    /// The actions of grant, revoke and with: those of apply, and tags whose keys begin with `portward:`
    Grant,
    /// The actions of `apply --only-expired`: to close, to put, and to remove tags whose keys begin with `portward:`
    Expire,
}

/// The tags that leases are: no other tag may be written, because groups of the configuration and policies of IAM match
/// tags.
const LEASES: &str = "portward:*";

/// A policy, its members in the usual order.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    version: &'static str,
    statement: Vec<Statement>,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    sid: &'static str,
    effect: &'static str,
    action: Vec<String>,
    resource: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition>,
}

/// By the service authorization reference, `aws:TagKeys` is a condition key of `TagResource` and of `UntagResource`; not
/// verified against the service.
#[derive(Clone, Serialize)]
struct Condition {
    /// Holds for a request without keys too, hence the other one.
    #[serde(rename = "ForAllValues:StringLike")]
    every: TagKeys,
    /// Holds only where the service says which keys they are. So nothing is allowed where it does not.
    #[serde(rename = "Null")]
    absent: TagKeys,
}

#[derive(Clone, Serialize)]
struct TagKeys {
    #[serde(rename = "aws:TagKeys")]
    keys: &'static str,
}

/// The actions that `apply --only-expired` does not call.
const OPEN: &str = "OpenInstancePublicPorts";

/// The actions of [`TAG_ACTIONS`] that it calls.
const UNTAG: &str = "UntagResource";

const INSTANCES: &str = "arn:aws:lightsail:*:*:Instance/*";

/// The policy as JSON. Reading knows no single resources, so that its statement is for all of them; a role that is assumed
/// needs no permission to ask STS who it is.
pub(super) fn policy(allowed: IamPolicy) -> String {
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
        condition: None,
    };
    let (reads, writes): (Vec<&str>, Vec<&str>) = WRITE_ACTIONS
        .iter()
        .partition(|action| action.starts_with("Get"));
    let all_reads = [&READ_ACTIONS[..], &reads[..]].concat();
    let changes = |writes: &[&str]| {
        vec![
            statement("PortwardReads", &all_reads, "*"),
            statement("PortwardWrites", writes, INSTANCES),
        ]
    };
    let leases = |actions: &[&str]| Statement {
        condition: Some(Condition {
            every: TagKeys { keys: LEASES },
            absent: TagKeys { keys: "false" },
        }),
        ..statement("PortwardLeases", actions, INSTANCES)
    };
    let statement = match allowed {
        IamPolicy::Read => vec![statement("PortwardReads", &READ_ACTIONS, "*")],
        IamPolicy::Write => changes(&writes),
        IamPolicy::Grant => [changes(&writes), vec![leases(&TAG_ACTIONS)]].concat(),
        IamPolicy::Expire => {
            let closes: Vec<&str> = writes
                .into_iter()
                .filter(|action| *action != OPEN)
                .collect();
            [changes(&closes), vec![leases(&[UNTAG])]].concat()
        }
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

    /// Actions of STS, and a lookup that calls no action.
    const NOT_OF_LIGHTSAIL: [&str; 3] = ["AssumeRole", "Credentials", "GetCallerIdentity"];

    /// The actions of Lightsail that the sources call: the first argument of every `Call`.
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
            for constructor in ["Call::on(\"", "Call::new(\""] {
                let calls = text.split(constructor).skip(1);
                let named = calls.filter_map(|rest| rest.split('"').next());
                actions.extend(named.map(str::to_owned));
            }
        }
        actions.retain(|action| !NOT_OF_LIGHTSAIL.contains(&action.as_str()));
        actions
    }

    #[test]
    fn iam_policy_allows_exactly_the_called_actions() {
        let allowed: BTreeSet<String> = READ_ACTIONS
            .iter()
            .chain(&WRITE_ACTIONS)
            .map(ToString::to_string)
            .collect();
        let tags = TAG_ACTIONS.map(ToOwned::to_owned);
        assert_eq!(called(), &allowed | &tags.into());
        let write = policy(IamPolicy::Write);
        assert!(
            allowed
                .iter()
                .all(|action| write.contains(&format!("\"lightsail:{action}\"")))
        );
    }

    #[test]
    fn read_policy_allows_no_write() {
        let read = policy(IamPolicy::Read);
        assert!(!read.contains("PublicPorts"), "{read}");
        let parsed: Value = serde_json::from_str(&policy(IamPolicy::Write)).expect("JSON");
        let writes = &parsed["Statement"][1];
        assert_eq!(
            writes["Action"].as_array().map(Vec::len),
            Some(3),
            "{parsed}"
        );
        assert_ne!(writes["Resource"], "*");
    }

    #[test]
    fn grant_policy_allows_lease_tags_only() {
        let parsed: Value = serde_json::from_str(&policy(IamPolicy::Grant)).expect("JSON");
        let write: Value = serde_json::from_str(&policy(IamPolicy::Write)).expect("JSON");
        let statements = parsed["Statement"].as_array().expect("statements");
        // What apply may do is the same, and without a condition.
        assert_eq!(
            Some(&statements[..2]),
            write["Statement"].as_array().map(|it| &it[..])
        );
        assert!(!write.to_string().contains("Condition"), "{write}");
        let leases = serde_json::json!({
            "Sid": "PortwardLeases", "Effect": "Allow",
            "Action": ["lightsail:TagResource", "lightsail:UntagResource"],
            "Resource": "arn:aws:lightsail:*:*:Instance/*",
            "Condition": {
                "ForAllValues:StringLike": {"aws:TagKeys": "portward:*"},
                "Null": {"aws:TagKeys": "false"},
            },
        });
        assert_eq!(statements[2..], [leases]);
        assert!(!policy(IamPolicy::Write).contains("TagResource"));
    }
}
