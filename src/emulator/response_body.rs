//! Instances, states and operations in AWS JSON.
//!
//! Owns the members that an inventory does not contain, which are derived from the ARN.

use serde_json::{Number, Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::inventory::Entry;
use crate::model::{AddressType, PortState};

use super::operation::{Operation, Status};
use super::quirks::{Quirks, TagOperations};
use super::tags::Tags;

/// The creation time of every instance, which an inventory does not contain (2023-11-14T22:13:20Z).
const CREATED_AT: i64 = 1_700_000_000;

/// An instance in `GetInstance` and `GetInstances`, with these rules and tags. Without readable rules it has no `networking.ports`.
pub(super) fn instance(
    region: &str,
    entry: &Entry,
    rules: Option<&[PortState]>,
    tags: &Tags,
) -> Value {
    let family = AddressType::from(entry.ip_address_type.as_str());
    let tags: Vec<Value> = tags
        .iter()
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect();
    let account = entry.account();
    let digest = Sha256::digest(entry.arn.as_bytes());
    let (a, b) = (digest[0], digest[1]);
    let mut networking = json!({"monthlyTransfer": {"gbPerMonthAllocated": 1024}});
    if let Some(entries) = rules {
        networking["ports"] = ports(entries);
    }
    let mut instance = json!({
        "name": entry.name,
        "arn": entry.arn,
        "supportCode": format!("{account}/i-{:0>17}", u32::from(a) * 256 + u32::from(b)),
        "createdAt": epoch(CREATED_AT, 0),
        "location": location(region),
        "resourceType": "Instance",
        "tags": tags,
        "blueprintId": "debian_12",
        "blueprintName": "Debian",
        "bundleId": "nano_3_0",
        "isStaticIp": false,
        "ipAddressType": entry.ip_address_type,
        "ipv6Addresses": [],
        "hardware": {"cpuCount": 2, "disks": [], "ramSizeInGb": 0.5},
        "networking": networking,
        "state": state(&entry.state),
        "username": "admin",
        "sshKeyName": "LightsailDefaultKeyPair",
    });
    if family.has_ipv4() {
        // An address for documentation.
        instance["publicIpAddress"] = format!("203.0.113.{a}").into();
        instance["privateIpAddress"] = format!("172.26.{a}.{b}").into();
    }
    if family.has_ipv6() {
        instance["ipv6Addresses"] = json!([format!("2001:db8:0:0:0:0:{a:x}:{b:x}")]);
    }
    instance
}

/// The member `networking.ports`.
pub(super) fn ports(entries: &[PortState]) -> Value {
    entries.iter().map(port).collect()
}

/// A rule in `networking.ports`, with the observed lower-case `public` instead of the `Public` of the service model.
fn port(entry: &PortState) -> Value {
    let PortState {
        from_port,
        to_port,
        protocol,
        state: _,
        cidrs,
        ipv6_cidrs,
        cidr_list_aliases,
    } = entry;
    let has = |cidrs: &[String], cidr: &str| cidrs.iter().any(|text| text == cidr);
    let access = match (has(cidrs, "0.0.0.0/0"), has(ipv6_cidrs, "::/0")) {
        (true, true) => "Anywhere (0.0.0.0/0 and ::/0)",
        (true, false) => "Anywhere (0.0.0.0/0)",
        (false, true) => "Anywhere (::/0)",
        (false, false) => "Custom",
    };
    json!({
        "fromPort": from_port,
        "toPort": to_port,
        "protocol": protocol,
        "accessFrom": access,
        "accessType": "public",
        "commonName": "",
        "accessDirection": "inbound",
        "cidrs": cidrs,
        "ipv6Cidrs": ipv6_cidrs,
        "cidrListAliases": cidr_list_aliases,
    })
}

/// A state with its EC2 code. `starting` and `rebooting`, which EC2 does not have, get the code of `pending`.
pub(super) fn state(name: &str) -> Value {
    let code = match name {
        "running" => 16,
        "shutting-down" => 32,
        "terminated" => 48,
        "stopping" => 64,
        "stopped" => 80,
        _ => 0,
    };
    json!({"code": code, "name": name})
}

/// An operation. One that changed tags has a type only if the quirk says so.
pub(super) fn operation(operation: &Operation, quirks: &Quirks) -> Value {
    let mut value = json!({
        "id": operation.id,
        "resourceName": operation.name,
        "resourceType": "Instance",
        "createdAt": timestamp(operation.created_at),
        "location": location(&operation.region),
        "isTerminal": operation.status.is_terminal(),
        "operationDetails": operation.details,
        "operationType": operation.action,
        "status": <&str>::from(operation.status),
        "statusChangedAt": timestamp(operation.changed_at),
    });
    let is_on_tags = matches!(&*operation.action, "TagResource" | "UntagResource");
    if is_on_tags
        && quirks.tag_operations != TagOperations::Typed
        && let Some(members) = value.as_object_mut()
    {
        members.remove("operationType");
    }
    if operation.status == Status::Failed {
        value["errorCode"] = "InternalError".into();
        value["errorDetails"] = "The operation could not be carried out.".into();
    }
    value
}

fn location(region: &str) -> Value {
    json!({"availabilityZone": format!("{region}a"), "regionName": region})
}

fn timestamp(at: OffsetDateTime) -> Value {
    epoch(at.unix_timestamp(), at.millisecond())
}

/// Seconds since 1970 with milliseconds, as a JSON number.
fn epoch(seconds: i64, milliseconds: u16) -> Value {
    // Via text, to avoid floating-point arithmetic and additional digits.
    let number: Option<Number> = format!("{seconds}.{milliseconds:03}").parse().ok();
    number.map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_with_milliseconds() {
        let at = OffsetDateTime::from_unix_timestamp_nanos(1_571_072_845_737_999_999);
        assert_eq!(timestamp(at.expect("a time")).to_string(), "1571072845.737");
        assert_eq!(epoch(CREATED_AT, 0).to_string(), "1700000000.0");
    }

    #[test]
    fn access_from_is_as_captured() {
        for (cidrs, ipv6_cidrs, access) in [
            (
                &["0.0.0.0/0"][..],
                &["::/0"][..],
                "Anywhere (0.0.0.0/0 and ::/0)",
            ),
            (&["0.0.0.0/0"], &[], "Anywhere (0.0.0.0/0)"),
            (&[], &["::/0"], "Anywhere (::/0)"),
            (&["10.0.0.0/8"], &[], "Custom"),
        ] {
            let entry = PortState {
                cidrs: cidrs.iter().map(ToString::to_string).collect(),
                ipv6_cidrs: ipv6_cidrs.iter().map(ToString::to_string).collect(),
                ..PortState::default()
            };
            assert_eq!(port(&entry)["accessFrom"], access);
        }
    }
}
