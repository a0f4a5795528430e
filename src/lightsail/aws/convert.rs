//! Conversion between the types of the SDK and those of this crate.
//!
//! Owns which members a response must have. Does not replace a required member that is missing.

use aws_sdk_lightsail::types;
use time::{Duration, OffsetDateTime};

use super::super::{ListedInstance, Operation, OperationStatus};
use super::limits;
use crate::model::{
    AddressType, Instance, InstanceState, Key, LiveFirewall, PortState, Site, Sources,
};

/// An instance, or the name of a missing member.
pub(super) fn instance(site: &Site, from: types::Instance) -> Result<Instance, &'static str> {
    let tags = from.tags.unwrap_or_default().into_iter();
    let state = from.state.and_then(|state| state.name);
    let address_type = from.ip_address_type.as_ref();
    Ok(Instance {
        id: site.instance_id(&from.name.ok_or("name")?),
        arn: from.arn.ok_or("arn")?,
        tags: tags
            .filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())))
            .collect(),
        // The executor waits for the end of an unknown state, and an unknown address type has both families.
        state: InstanceState::from(state.as_deref().unwrap_or("unknown")),
        address_type: AddressType::from(address_type.map_or("unknown", |kind| kind.as_str())),
    })
}

/// An instance of a list, or the name of a missing member.
///
/// It has no rules if they are missing, too many, or without ports (`has_ports`), or if `GetInstancePortStates` would not return one of them.
pub(super) fn listed_instance(
    site: &Site,
    mut from: types::Instance,
    has_ports: bool,
) -> Result<ListedInstance, &'static str> {
    let ports = from.networking.take().and_then(|net| net.ports);
    let instance = instance(site, from)?;
    let entries = ports.filter(|_| has_ports).and_then(|ports| {
        let entries = ports.into_iter().map(listed_port);
        let entries = entries.collect::<Option<Vec<_>>>()?;
        limits::check_rules(&entries).is_ok().then_some(entries)
    });
    Ok(ListedInstance {
        instance,
        rules: entries.as_deref().map(LiveFirewall::read),
    })
}

/// A rule of a list, as `GetInstancePortStates` would return it; `None` if it is not public or not inbound, which was never observed.
fn listed_port(from: types::InstancePortInfo) -> Option<PortState> {
    // The service model says `Public`, and every capture `public`.
    let access_type = from.access_type.as_ref();
    let is_public = access_type.is_none_or(|kind| kind.as_str().eq_ignore_ascii_case("public"));
    let direction = from.access_direction.as_ref();
    let is_inbound = direction.is_none_or(|kind| kind.as_str().eq_ignore_ascii_case("inbound"));
    (is_public && is_inbound).then(|| PortState {
        from_port: from.from_port,
        to_port: from.to_port,
        protocol: protocol(from.protocol),
        // Only open rules are listed.
        state: Some("open".to_owned()),
        cidrs: from.cidrs.unwrap_or_default(),
        ipv6_cidrs: from.ipv6_cidrs.unwrap_or_default(),
        cidr_list_aliases: from.cidr_list_aliases.unwrap_or_default(),
    })
}

/// An entry, unchanged.
pub(super) fn port_state(from: types::InstancePortState) -> PortState {
    PortState {
        from_port: from.from_port,
        to_port: from.to_port,
        protocol: protocol(from.protocol),
        state: from.state.map(|state| state.as_str().to_owned()),
        cidrs: from.cidrs.unwrap_or_default(),
        ipv6_cidrs: from.ipv6_cidrs.unwrap_or_default(),
        cidr_list_aliases: from.cidr_list_aliases.unwrap_or_default(),
    }
}

/// The name of a protocol. A missing one becomes an unknown one.
fn protocol(from: Option<types::NetworkProtocol>) -> String {
    from.map(|protocol| protocol.as_str().to_owned())
        .unwrap_or_default()
}

/// A rule to send. It always has all three lists, because a missing one might mean everyone.
pub(super) fn port_info(key: Key, sources: &Sources) -> types::PortInfo {
    types::PortInfo::builder()
        .from_port(key.from())
        .to_port(key.to())
        .protocol(types::NetworkProtocol::from(key.protocol().as_str()))
        .set_cidrs(Some(sources.cidrs().collect()))
        .set_ipv6_cidrs(Some(sources.ipv6_cidrs().collect()))
        .set_cidr_list_aliases(Some(sources.aliases().iter().cloned().collect()))
        .build()
}

/// A tag to send.
pub(super) fn tag(key: &str, value: &str) -> types::Tag {
    types::Tag::builder().key(key).value(value).build()
}

/// An operation, or the name of a missing member.
pub(super) fn operation(from: types::Operation) -> Result<Operation, &'static str> {
    let error = [from.error_code, from.error_details].into_iter().flatten();
    let error: Vec<String> = error.filter(|text| !text.is_empty()).collect();
    let action = from.operation_type.as_ref();
    let status = from.status.as_ref().map_or("", |status| status.as_str());
    Ok(Operation {
        id: from.id.ok_or("id")?,
        action: action.map_or("", |action| action.as_str()).to_owned(),
        details: from.operation_details.unwrap_or_default(),
        status: operation_status(status, from.is_terminal, !error.is_empty()),
        created_at: from.created_at.and_then(|at| {
            let seconds = OffsetDateTime::from_unix_timestamp(at.secs()).ok()?;
            seconds.checked_add(Duration::nanoseconds(at.subsec_nanos().into()))
        }),
        error: (!error.is_empty()).then(|| error.join(": ")),
    })
}

/// `isTerminal` decides, if it exists. A terminal operation with an unknown status succeeded unless it has an error, because the rules are
/// read again in any case.
fn operation_status(name: &str, is_terminal: Option<bool>, has_error: bool) -> OperationStatus {
    let named = match name {
        "Succeeded" | "Completed" => OperationStatus::Succeeded,
        "Failed" => OperationStatus::Failed,
        _ => OperationStatus::Pending,
    };
    match (is_terminal, named) {
        (Some(false), _) => OperationStatus::Pending,
        (Some(true), OperationStatus::Pending) if has_error => OperationStatus::Failed,
        (Some(true), OperationStatus::Pending) => OperationStatus::Succeeded,
        (Some(true) | None, named) => named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::REGIONS;

    #[test]
    fn regions_are_those_of_the_sdk() {
        let known: Vec<&str> = REGIONS.iter().map(|region| region.name).collect();
        assert_eq!(known, types::RegionName::values());
    }

    #[test]
    fn is_terminal_takes_precedence_over_the_status() {
        use OperationStatus::{Failed, Pending, Succeeded};
        for (name, is_terminal, has_error, status) in [
            ("Succeeded", Some(true), false, Succeeded),
            ("Completed", None, false, Succeeded),
            ("Failed", Some(true), true, Failed),
            ("Failed", None, false, Failed),
            ("NotStarted", None, false, Pending),
            ("Started", Some(false), false, Pending),
            ("Succeeded", Some(false), false, Pending),
            ("Cancelled", None, false, Pending),
            ("Cancelled", Some(true), true, Failed),
            ("Cancelled", Some(true), false, Succeeded),
        ] {
            assert_eq!(
                operation_status(name, is_terminal, has_error),
                status,
                "{name} {is_terminal:?}"
            );
        }
    }
}
