//! Detection of rules without ports in responses.
//!
//! The SDK reads a missing port as 0, so an incomplete response would look like another firewall. Owns the check of the raw response,
//! which is needed only if a port is 0. Does not check anything else: the SDK itself refuses a `null` in a list, or a member of a wrong
//! type.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_lightsail::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_lightsail::operation::get_instance_port_states::GetInstancePortStatesOutput;
use aws_sdk_lightsail::operation::get_instances::GetInstancesOutput;
use aws_sdk_lightsail::types::InstanceNetworking;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Fails a successful response to `GetInstancePortStates` in which a port is missing. It is an interceptor of the client, because the SDK
/// would set up each call with an interceptor of its own again.
#[derive(Debug)]
pub(super) struct RequirePorts;

impl Intercept for RequirePorts {
    fn name(&self) -> &'static str {
        "RequirePorts"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // A call that failed keeps its own error.
        let output = context.output_or_error().ok();
        let response: Option<&GetInstancePortStatesOutput> =
            output.and_then(|output| output.downcast_ref());
        let Some(response) = response else {
            return Ok(());
        };
        let mut states = response.port_states().iter();
        if states.all(|state| are_nonzero(state.from_port, state.to_port)) {
            return Ok(());
        }
        let body = context.response().body().bytes().unwrap_or_default();
        Ok(check_ports(body)?)
    }
}

/// Whether both ports must have been in the response.
fn are_nonzero(from: i32, to: i32) -> bool {
    from != 0 && to != 0
}

/// Returns an error that says which port is missing. The caller detects a missing list itself.
fn check_ports(body: &[u8]) -> Result<(), String> {
    if body.is_empty() {
        return Ok(());
    }
    let Ok(PortStates { port_states }) = serde_json::from_slice(body) else {
        return Err("it is not valid JSON".to_owned());
    };
    for entry in port_states.iter().flatten() {
        let ports = entry.as_ref();
        let member = match ports.map(|ports| (&ports.from_port, &ports.to_port)) {
            Some((Some(_), Some(_))) => continue,
            Some((Some(_), None)) => "toPort",
            _ => "fromPort",
        };
        return Err(format!("an entry of `portStates` has no `{member}`"));
    }
    Ok(())
}

/// The checked members of a response to `GetInstancePortStates`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PortStates {
    port_states: Option<Vec<Option<Ports>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ports {
    from_port: Option<IgnoredAny>,
    to_port: Option<IgnoredAny>,
}

/// Records the instances of a page of `GetInstances` whose rules lack a port. The call does not fail, because the rules of such an
/// instance can still be read with `GetInstancePortStates`.
#[derive(Clone, Debug, Default)]
pub(super) struct RecordMissingPorts {
    /// The indices of these instances; `None` before the response was checked.
    incomplete: Arc<Mutex<Option<BTreeSet<usize>>>>,
}

impl RecordMissingPorts {
    /// Whether every rule of the instance at this index has its ports.
    pub(super) fn has_all_ports(&self, index: usize) -> bool {
        let incomplete = self.incomplete.lock();
        let incomplete = incomplete.unwrap_or_else(PoisonError::into_inner);
        incomplete
            .as_ref()
            .is_some_and(|incomplete| !incomplete.contains(&index))
    }
}

impl Intercept for RecordMissingPorts {
    fn name(&self) -> &'static str {
        "RecordMissingPorts"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Ok(output) = context.output_or_error() else {
            return Ok(());
        };
        let is_complete = |page: &GetInstancesOutput| {
            let instances = page.instances().iter();
            let networking = instances.filter_map(|instance| instance.networking.as_ref());
            let mut ports = networking.flat_map(InstanceNetworking::ports);
            ports.all(|port| are_nonzero(port.from_port, port.to_port))
        };
        let incomplete = if output.downcast_ref().is_some_and(is_complete) {
            Some(BTreeSet::new())
        } else {
            let body = context.response().body().bytes().unwrap_or_default();
            let page = serde_json::from_slice::<Page>(body).ok();
            page.map(|page| page.incomplete())
        };
        *self
            .incomplete
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = incomplete;
        Ok(())
    }
}

/// The checked members of a page of `GetInstances`.
#[derive(Deserialize)]
struct Page {
    instances: Option<Vec<Option<PageInstance>>>,
}

#[derive(Deserialize)]
struct PageInstance {
    networking: Option<PageNetworking>,
}

#[derive(Deserialize)]
struct PageNetworking {
    ports: Option<Vec<Option<Ports>>>,
}

impl Page {
    fn incomplete(&self) -> BTreeSet<usize> {
        let is_complete = |ports: &Option<Ports>| {
            let ports = ports.as_ref();
            ports.is_some_and(|ports| ports.from_port.is_some() && ports.to_port.is_some())
        };
        let is_incomplete = |instance: &Option<PageInstance>| {
            let networking = instance
                .as_ref()
                .and_then(|instance| instance.networking.as_ref());
            let ports = networking.and_then(|networking| networking.ports.as_ref());
            ports.is_some_and(|ports| !ports.iter().all(is_complete))
        };
        let instances = self.instances.iter().flatten().enumerate();
        let incomplete = instances.filter(|(_, instance)| is_incomplete(instance));
        incomplete.map(|(index, _)| index).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::web;
    use super::super::{Aws, Deadlines, FixedResponse};
    use crate::lightsail::{ErrorKind, Reader};
    use crate::model::Site;

    fn aws(body: &str) -> Aws {
        let response = FixedResponse {
            status: 200,
            headers: Vec::new(),
            body: body.into(),
        };
        Aws::with_fixed_response(response, Deadlines::default())
    }

    #[tokio::test(flavor = "current_thread")]
    async fn rule_without_ports_is_an_error() {
        for (entries, message) in [
            ("null", "cannot be read"),
            (r#"{"toPort":22,"protocol":"tcp"}"#, "has no `fromPort`"),
            (
                r#"{"fromPort":22,"toPort":null,"protocol":"tcp"}"#,
                "has no `toPort`",
            ),
            (
                r#"{"fromPort":22,"toPort":22,"protocol":"tcp","cidrs":["192.0.2.1/32",null]}"#,
                "cannot be read",
            ),
        ] {
            let reader = aws(&format!(r#"{{"portStates":[{entries}]}}"#)).reader();
            let error = reader.port_states(&web()).await.expect_err(entries);
            assert_eq!(
                error.kind(),
                ErrorKind::InvalidResponse,
                "{entries}: {error}"
            );
            assert!(error.message().contains(message), "{entries}: {error}");
        }
        let reader = aws(r#"{"instances":[{"name":"web-1","arn":"a"},null]}"#).reader();
        let error = reader
            .instances(&Site::of_region("eu-central-1"))
            .await
            .expect_err("an instance is null");
        assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{error}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn response_without_source_lists_is_complete() {
        let body = r#"{"portStates":[{"fromPort":22,"toPort":22,"protocol":"tcp","cidrs":null}]}"#;
        let rules = aws(body).reader().port_states(&web()).await;
        assert_eq!(rules.map(|rules| rules.len()), Ok(1));
        let none = aws(r#"{"portStates":[]}"#)
            .reader()
            .port_states(&web())
            .await;
        assert_eq!(none, Ok(Vec::new()));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn listed_rules_without_ports_are_left_out() {
        let port = |rest: &str| format!(r#"{{"protocol":"tcp","cidrs":["192.0.2.1/32"]{rest}}}"#);
        let zero_ports = r#","fromPort":0,"toPort":0"#;
        let cases = [
            (r#"{"ports":[]}"#.to_owned(), Some(0)),
            (format!(r#"{{"ports":[{}]}}"#, port(zero_ports)), Some(1)),
            (
                format!(
                    r#"{{"ports":[{}]}}"#,
                    port(&format!(
                        r#"{zero_ports},"accessType":"public","accessDirection":"inbound""#
                    ))
                ),
                Some(1),
            ),
            (
                format!(
                    r#"{{"ports":[{}]}}"#,
                    port(&format!(r#"{zero_ports},"accessType":"Private""#))
                ),
                None,
            ),
            (
                format!(
                    r#"{{"ports":[{}]}}"#,
                    port(&format!(r#"{zero_ports},"accessDirection":"outbound""#))
                ),
                None,
            ),
            (
                format!(r#"{{"ports":[{}]}}"#, port(r#","fromPort":22"#)),
                None,
            ),
            (
                format!(
                    r#"{{"ports":[{}]}}"#,
                    port(r#","fromPort":null,"toPort":22"#)
                ),
                None,
            ),
            ("{}".to_owned(), None),
            (r#"{"ports":null}"#.to_owned(), None),
            ("null".to_owned(), None),
        ];
        let instances: Vec<String> = cases
            .iter()
            .map(|(networking, _)| {
                format!(r#"{{"name":"web-1","arn":"a","networking":{networking}}}"#)
            })
            .collect();
        let reader = aws(&format!(r#"{{"instances":[{}]}}"#, instances.join(","))).reader();
        let listed = reader
            .instances_with_rules(&Site::of_region("eu-central-1"))
            .await;
        let listed = listed.expect("a page");
        for ((networking, rules), listed) in cases.iter().zip(listed) {
            let found = listed.rules.map(|rules| rules.firewall().iter().count());
            assert_eq!(found, *rules, "{networking}");
        }
    }
}
