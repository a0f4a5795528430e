//! The reader of replies: the real SDK, and what the seam makes of its answers.

use std::time::Duration;

use portward::lightsail::aws::{Aws, Deadlines, FixedResponse};
use portward::lightsail::{Error, Reader, Writer};
use portward::model::{Firewall, InstanceId, LiveFirewall, PortState, Site};
use serde_json::Value;

use super::check_shown;

/// One attempt: a pause before a second one would be longer than there is time.
const DEADLINES: Deadlines = Deadlines {
    connect: Duration::from_secs(1),
    attempt: Duration::from_secs(1),
    read: Duration::from_secs(1),
    write: Duration::from_secs(1),
    queue: Duration::from_secs(1),
    list: Duration::from_secs(1),
    backoff: Duration::from_mins(1),
};

/// The first line is the status and what else the head has to say, as `200 x-amzn-errortype: X`; the rest is the body.
pub fn check(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n');
    let (head, body) = data.split_at(end.map_or(0, |end| end + 1));
    let head = String::from_utf8_lossy(head);
    let (status, header) = head.trim_end().split_once(' ').unwrap_or((&head, ""));
    check_reply(&FixedResponse {
        status: status.trim().parse().unwrap_or(200),
        headers: header
            .split_once(": ")
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .collect(),
        body: body.to_vec(),
    });
}

/// Any reply to any call is an answer or an error that can be shown. Rules are only ever read out of a reply that has
/// them all, and an instance list out of one that names every instance.
fn check_reply(reply: &FixedResponse) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let aws = Aws::with_fixed_response(reply.clone(), DEADLINES);
        let (reader, writer) = (aws.reader(), aws.writer());
        let id = InstanceId {
            account: None,
            region: "eu-central-1".to_owned(),
            name: "web-1".to_owned(),
        };
        if let Some(rules) = shown(reader.port_states(&id).await) {
            check_rules(reply, &rules);
        }
        if let Some(instances) = shown(reader.instances(&Site::of_region("eu-central-1")).await)
            && let Some(entries) = list(reply, "instances")
        {
            assert_eq!(instances.len(), entries.len(), "{reply:?}");
        }
        shown(reader.instance(&id).await);
        shown(reader.operation(&id, "1").await);
        shown(reader.operations_for(&id).await);
        shown(writer.put(&id, &Firewall::new()).await);
        shown(writer.untag(&id, &["a".to_owned()].into()).await);
    });
}

fn shown<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(answer) => Some(answer),
        Err(error) => {
            check_shown(&portward::render::sanitize(&error.to_string()));
            let _ = (
                error.hint(),
                error.is_retryable(),
                error.is_outcome_unknown(),
            );
            None
        }
    }
}

/// What was read is what is there, entry by entry and source by source.
fn check_rules(reply: &FixedResponse, rules: &[PortState]) {
    assert!((200..300).contains(&reply.status), "{reply:?}");
    let entries = list(reply, "portStates");
    for (rule, entry) in rules.iter().zip(entries.iter().flatten()) {
        assert_eq!(Some(i64::from(rule.from_port)), number(&entry["fromPort"]));
        assert_eq!(Some(i64::from(rule.to_port)), number(&entry["toPort"]));
        for (sources, member) in [
            (&rule.cidrs, "cidrs"),
            (&rule.ipv6_cidrs, "ipv6Cidrs"),
            (&rule.cidr_list_aliases, "cidrListAliases"),
        ] {
            assert_eq!(sources.len(), entry[member].as_array().map_or(0, Vec::len));
        }
    }
    if let Some(entries) = &entries {
        assert_eq!(rules.len(), entries.len(), "{reply:?}");
    }
    let live = LiveFirewall::read(rules);
    if live.firewall().is_empty() && live.uncertain().is_empty() && live.unknown().is_empty() {
        let open = |rule: &&PortState| {
            !rule
                .state
                .as_deref()
                .unwrap_or("open")
                .eq_ignore_ascii_case("closed")
        };
        assert_eq!(rules.iter().find(open), None, "an open rule was lost");
    }
}

/// A list of the reply, which somebody just read: so it must be there. `None` where the body is no strict JSON: the SDK reads
/// some that is not, such as control characters in strings, and then only the name can be looked for.
fn list(reply: &FixedResponse, member: &str) -> Option<Vec<Value>> {
    match serde_json::from_slice::<Value>(&reply.body) {
        Ok(mut document) => match document[member].take() {
            Value::Array(entries) => Some(entries),
            other => panic!("`{member}` was read out of {other}"),
        },
        Err(error) => {
            let body = String::from_utf8_lossy(&reply.body);
            assert!(
                body.contains(member),
                "`{member}` was read out of {body:?}: {error}"
            );
            None
        }
    }
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64()
}
