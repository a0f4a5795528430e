//! Requests and responses of the emulator without HTTP, for clients in tests.
//!
//! **Owns** the same strictness as `lightsail::aws`: a missing member is an error, and a missing response leaves the outcome unknown.
//! The tests of the executor use this file too. **Does not** call anything.

use std::collections::BTreeMap;

use portward::emulator::CallError;
use portward::lightsail::{Error, ErrorKind, Operation, OperationStatus};
use portward::model::{AddressType, Instance, InstanceId, InstanceState, Key, PortState, Sources};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

/// The error for a failure, like in `lightsail::aws`.
pub(crate) fn to_error(action: &'static str, target: &str, failure: CallError) -> Error {
    let message = failure.to_string();
    match failure {
        CallError::Response {
            status,
            codes,
            message,
        } => {
            let known = codes
                .iter()
                .find_map(|code| ErrorKind::from_code(code).map(|kind| (kind, code)));
            let (kind, code) = match (known, codes.first()) {
                (Some((kind, code)), _) => (kind, Some(code)),
                (None, code) => (of_status(status, code.is_some()), code),
            };
            let error = Error::new(kind, action, target, message)
                .with_outcome_unknown(status >= 500 && kind != ErrorKind::Throttled);
            match code {
                Some(code) => error.with_code(code),
                None => error,
            }
        }
        CallError::InvalidResponse { status: 200, .. } => {
            Error::new(ErrorKind::InvalidResponse, action, target, message)
        }
        CallError::InvalidResponse { status, .. } => {
            Error::new(of_status(status, false), action, target, message)
                .with_outcome_unknown(status >= 500)
        }
        CallError::ConnectionRefused => {
            Error::new(ErrorKind::Connection, action, target, message).with_outcome_unknown(false)
        }
        // A client cannot know whether the request was processed.
        CallError::ConnectionLost { applied: _ } => {
            Error::new(ErrorKind::Connection, action, target, message)
        }
        CallError::NoResponse { applied: _ } => {
            Error::new(ErrorKind::Timeout, action, target, message)
        }
    }
}

fn of_status(status: u16, has_code: bool) -> ErrorKind {
    match status {
        429 => ErrorKind::Throttled,
        500.. => ErrorKind::Service,
        _ if has_code => ErrorKind::Other,
        _ => ErrorKind::InvalidResponse,
    }
}

pub(crate) fn missing(action: &'static str, target: &str, member: &str) -> Error {
    let message = format!("the response has no `{member}`");
    Error::new(ErrorKind::InvalidResponse, action, target, message)
}

pub(crate) fn text(value: &Value, member: &str) -> Option<String> {
    value[member].as_str().map(ToOwned::to_owned)
}

pub(crate) fn instance(
    action: &'static str,
    target: &str,
    region: &str,
    value: &Value,
) -> Result<Instance, Error> {
    let need = |member: &str| text(value, member).ok_or_else(|| missing(action, target, member));
    let tags = value["tags"].as_array().into_iter().flatten();
    Ok(Instance {
        id: InstanceId {
            account: None,
            region: region.to_owned(),
            name: need("name")?,
        },
        arn: need("arn")?,
        tags: tags
            .filter_map(|tag| Some((text(tag, "key")?, text(tag, "value").unwrap_or_default())))
            .collect(),
        state: InstanceState::from(value["state"]["name"].as_str().unwrap_or("unknown")),
        address_type: AddressType::from(value["ipAddressType"].as_str().unwrap_or("unknown")),
    })
}

/// An unparsed entry; `None` if a port is missing or a list contains something else than texts.
pub(crate) fn port_state(value: &Value) -> Option<PortState> {
    let entry: &Map<String, Value> = value.as_object()?;
    let port = |member: &str| i32::try_from(entry.get(member)?.as_i64()?).ok();
    let list = |member: &str| match entry.get(member) {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(list) => list
            .as_array()?
            .iter()
            .map(|text| text.as_str().map(ToOwned::to_owned))
            .collect(),
    };
    Some(PortState {
        from_port: port("fromPort")?,
        to_port: port("toPort")?,
        protocol: text(value, "protocol").unwrap_or_default(),
        state: text(value, "state"),
        cidrs: list("cidrs")?,
        ipv6_cidrs: list("ipv6Cidrs")?,
        cidr_list_aliases: list("cidrListAliases")?,
    })
}

pub(crate) fn port_info(key: Key, sources: &Sources) -> Value {
    json!({
        "fromPort": key.from(),
        "toPort": key.to(),
        "protocol": key.protocol().as_str(),
        "cidrs": sources.cidrs().collect::<Vec<_>>(),
        "ipv6Cidrs": sources.ipv6_cidrs().collect::<Vec<_>>(),
        "cidrListAliases": sources.aliases(),
    })
}

/// The body of a `TagResource`.
pub(crate) fn tags(id: &InstanceId, tags: &BTreeMap<String, String>) -> Value {
    let tags = tags.iter();
    let tags: Vec<Value> = tags
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect();
    json!({"resourceName": id.name, "tags": tags})
}

/// The operations in the response to a change of tags.
pub(crate) fn operations(
    action: &'static str,
    target: &str,
    reply: &Value,
) -> Result<Vec<Operation>, Error> {
    let all = reply["operations"].as_array();
    let all = all.ok_or_else(|| missing(action, target, "operations"))?;
    all.iter()
        .map(|value| operation(action, target, value))
        .collect()
}

pub(crate) fn operation(
    action: &'static str,
    target: &str,
    value: &Value,
) -> Result<Operation, Error> {
    if !value.is_object() {
        return Err(missing(action, target, "operation"));
    }
    let error: Vec<String> = ["errorCode", "errorDetails"]
        .into_iter()
        .filter_map(|member| text(value, member))
        .collect();
    let named = match value["status"].as_str() {
        Some("Succeeded" | "Completed") => OperationStatus::Succeeded,
        Some("Failed") => OperationStatus::Failed,
        _ => OperationStatus::Pending,
    };
    Ok(Operation {
        id: text(value, "id").ok_or_else(|| missing(action, target, "id"))?,
        action: text(value, "operationType").unwrap_or_default(),
        details: text(value, "operationDetails").unwrap_or_default(),
        status: match value["isTerminal"].as_bool() {
            Some(false) => OperationStatus::Pending,
            // The emulator always returns a status.
            Some(true) | None => named,
        },
        created_at: value["createdAt"].as_f64().and_then(moment),
        error: (!error.is_empty()).then(|| error.join(": ")),
    })
}

/// A time in seconds since 1970, with milliseconds.
fn moment(seconds: f64) -> Option<OffsetDateTime> {
    let span = time::Duration::checked_seconds_f64(seconds)?;
    OffsetDateTime::UNIX_EPOCH.checked_add(span)
}
