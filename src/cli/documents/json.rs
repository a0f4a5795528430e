//! Documents in JSON, recognised by their members.
//!
//! Owns the three forms of a list of rules: the response of `get-instance-port-states`, the request of
//! `put-instance-public-ports`, and the bare list. A rule of a request without sources is open to everyone, as for the
//! service; a rule of a response without sources is uncertain. Does not take a missing list for an empty one.

use serde::Deserialize;
use time::OffsetDateTime;

use super::{Content, DocumentState};
use crate::cli::error::CommandError;
use crate::inventory::{self, Inventory};
use crate::model::{Code, PortState, Sources};
use crate::plan::file;

/// The members that distinguish the kinds of objects. The reader of each kind checks the others.
#[derive(Deserialize)]
struct Head {
    format: Option<String>,
}

/// A list of rules, under either of its names.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    port_states: Option<Vec<PortState>>,
    port_infos: Option<Vec<PortInfo>>,
}

/// A rule as in a request, or as in the response of `get-instance`, which has more members without further meaning.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PortInfo {
    #[serde(flatten)]
    rule: PortState,
    #[serde(rename = "accessFrom")]
    _from: Option<String>,
    #[serde(rename = "accessType")]
    _type: Option<String>,
    #[serde(rename = "commonName")]
    _name: Option<String>,
    access_direction: Option<String>,
}

/// Whether a text is intended as JSON. A TOML table also begins with a bracket, and is never JSON.
pub(super) fn is_json(text: &str) -> bool {
    let text = text.trim_start();
    if text.starts_with('{') {
        return true;
    }
    let Some(list) = text.strip_prefix('[') else {
        return false;
    };
    list.trim_start().starts_with(['{', ']']) || serde_json::from_str::<Vec<u8>>(text).is_ok()
}

/// Reads a document in JSON.
pub(super) fn read(text: &str, name: &str, state: DocumentState) -> Result<Content, CommandError> {
    let error_of = |message: String| {
        CommandError::failed(format!("cannot read `{name}`: {message}")).with_code(Code::Document)
    };
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text)
            .map(Content::Ports)
            .map_err(|error| error_of(format!("not a list of rules: {error}")));
    }
    let head: Head =
        serde_json::from_str(text).map_err(|error| error_of(format!("not valid JSON: {error}")))?;
    match head.format.as_deref() {
        Some(inventory::FORMAT) => Inventory::parse(text)
            .map(Content::Inventory)
            .map_err(|error| error_of(error.to_string())),
        // A plan that is over still says what it said.
        Some(file::FORMAT) => match file::parse(text, OffsetDateTime::UNIX_EPOCH, None) {
            Ok(plan) => Ok(Content::Plan(Box::new(plan), state)),
            Err(refusal) => Err(error_of(refusal.to_string()).with_hint(refusal.hint())),
        },
        Some(other) => Err(error_of(format!(
            "nothing is known of the format `{other}`"
        ))),
        None => ports(text).map(Content::Ports).map_err(|message| {
            error_of(message).with_hint(
                "expected a configuration, a plan, an inventory, or the output of \
                 `aws lightsail get-instance-port-states`",
            )
        }),
    }
}

fn ports(text: &str) -> Result<Vec<PortState>, String> {
    let response: Response =
        serde_json::from_str(text).map_err(|error| format!("not a list of rules: {error}"))?;
    match (response.port_states, response.port_infos) {
        (Some(states), None) => Ok(states),
        (None, Some(infos)) => infos.into_iter().map(port_state).collect(),
        (Some(_), Some(_)) => Err("it holds both `portStates` and `portInfos`".to_owned()),
        (None, None) => Err("it holds neither `portStates` nor `portInfos`".to_owned()),
    }
}

fn port_state(info: PortInfo) -> Result<PortState, String> {
    if let Some(direction) = info
        .access_direction
        .filter(|direction| !direction.eq_ignore_ascii_case("inbound"))
    {
        return Err(format!(
            "a rule of the direction `{direction}` is not known"
        ));
    }
    let mut state = info.rule;
    if state.names_no_source() {
        let connection = Sources::anywhere();
        state.cidrs.extend(connection.cidrs());
        state.ipv6_cidrs.extend(connection.ipv6_cidrs());
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str =
        r#"{"fromPort": 22, "toPort": 22, "protocol": "tcp", "cidrs": ["203.0.113.0/24"]}"#;

    fn kind(text: &str) -> Result<usize, String> {
        match read(text, "x", DocumentState::After) {
            Ok(Content::Ports(ports)) => Ok(ports.len()),
            Ok(_) => Err("another kind".to_owned()),
            Err(cannot) => Err(cannot.message),
        }
    }

    #[test]
    fn three_forms_of_rules_are_equal() {
        for text in [
            format!("[{RULE}]"),
            format!(r#"{{"portStates": [{RULE}]}}"#),
            format!(r#"{{"instanceName": "web-1", "portInfos": [{RULE}]}}"#),
        ] {
            assert!(is_json(&text), "{text}");
            assert_eq!(kind(&text), Ok(1), "{text}");
        }
        assert_eq!(kind("[]"), Ok(0));
    }

    #[test]
    fn document_without_a_list_is_not_empty() {
        for text in [
            "{}",
            r#"{"portStates": null}"#,
            r#"{"portstates": []}"#,
            r#"{"portStates": [], "portInfos": []}"#,
            r#"{"portStates": [{"fromPort": 22}]}"#,
            r#"{"portInfos": [{"fromPort": 1, "toPort": 1, "protocol": "tcp", "accessDirection": "outbound"}]}"#,
            r#"{"format": "portward.report"}"#,
            "{",
            "[{",
        ] {
            assert!(is_json(text), "{text}");
            assert!(kind(text).is_err(), "{text}");
        }
    }

    #[test]
    fn toml_is_not_json() {
        for text in [
            "version = 1\n",
            "[defaults]\nregion = \"eu-central-1\"\n",
            "[[policy]]\nid = \"x\"\n",
            "# text\n",
            "",
        ] {
            assert!(!is_json(text), "{text}");
        }
    }
}
