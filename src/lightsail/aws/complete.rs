//! Whether every rule in a reply has its ports.
//!
//! The SDK reads a port that is not there as 0, so a broken reply would look like another firewall. Owns the look at the raw
//! reply that tells them apart, which only a reply with a 0 needs. Does not read anything else in it: a `null` in a list,
//! or a member of a wrong type, is refused by the SDK itself.

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

/// Fails a successful reply to `GetInstancePortStates` in which a port is missing. It looks at the replies of a whole client:
/// the SDK would set up anew for each call that has an interceptor of its own.
#[derive(Debug)]
pub(super) struct EveryPort;

impl Intercept for EveryPort {
    fn name(&self) -> &'static str {
        "EveryPort"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // What failed already is told better by its own error.
        let output = context.output_or_error().ok();
        let Some(reply) = output.and_then(|output| output.downcast_ref()) else {
            return Ok(());
        };
        let reply: &GetInstancePortStatesOutput = reply;
        let mut states = reply.port_states().iter();
        if states.all(|state| are_there(state.from_port, state.to_port)) {
            return Ok(());
        }
        let body = context.response().body().bytes().unwrap_or_default();
        match lacks(body) {
            Some(what) => Err(what.into()),
            None => Ok(()),
        }
    }
}

/// Whether both of these ports must have been in the reply.
fn are_there(from: i32, to: i32) -> bool {
    from != 0 && to != 0
}

/// What is missing. That the list itself is missing is noticed by whoever wants it.
fn lacks(body: &[u8]) -> Option<String> {
    if body.is_empty() {
        return None;
    }
    let Ok(States { port_states }) = serde_json::from_slice(body) else {
        return Some("it is not valid JSON".to_owned());
    };
    port_states.iter().flatten().find_map(|entry| {
        let member = match entry {
            Some(Port {
                from_port: Some(_),
                to_port: Some(_),
            }) => return None,
            Some(Port {
                from_port: Some(_), ..
            }) => "toPort",
            _ => "fromPort",
        };
        Some(format!("an entry of `portStates` has no `{member}`"))
    })
}

/// Of a reply, whether what matters is there, and nothing else.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct States {
    port_states: Option<Vec<Option<Port>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    from_port: Option<IgnoredAny>,
    to_port: Option<IgnoredAny>,
}

/// Notes which instances of a page of `GetInstances` have rules without a port. They make nothing fail: such an instance
/// can still be read by itself.
#[derive(Clone, Debug, Default)]
pub(super) struct ListedPorts {
    holes: Arc<Mutex<Holes>>,
}

/// Places in the list.
#[derive(Debug, Default)]
struct Holes {
    /// Whether the reply was looked at; until then nothing in it is whole.
    seen: bool,
    places: BTreeSet<usize>,
}

impl ListedPorts {
    /// Whether every rule of the instance at this place has its ports.
    pub(super) fn are_whole(&self, place: usize) -> bool {
        let holes = self.holes.lock().unwrap_or_else(PoisonError::into_inner);
        holes.seen && !holes.places.contains(&place)
    }

    fn note(&self, places: BTreeSet<usize>) {
        let mut holes = self.holes.lock().unwrap_or_else(PoisonError::into_inner);
        *holes = Holes { seen: true, places };
    }
}

impl Intercept for ListedPorts {
    fn name(&self) -> &'static str {
        "ListedPorts"
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
        let is_whole = |page: &GetInstancesOutput| {
            let instances = page.instances().iter();
            let networking = instances.filter_map(|instance| instance.networking.as_ref());
            let mut ports = networking.flat_map(InstanceNetworking::ports);
            ports.all(|port| are_there(port.from_port, port.to_port))
        };
        if output.downcast_ref().is_some_and(is_whole) {
            self.note(BTreeSet::new());
            return Ok(());
        }
        let body = context.response().body().bytes().unwrap_or_default();
        // A page that cannot be read for this can be of no use for it either.
        if let Ok(page) = serde_json::from_slice::<Page>(body) {
            self.note(page.holes());
        }
        Ok(())
    }
}

/// Of a page, whether what matters is there, and nothing else.
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
    ports: Option<Vec<Option<Port>>>,
}

impl Page {
    fn holes(&self) -> BTreeSet<usize> {
        let is_whole = |port: &Option<Port>| {
            let ports = port.as_ref().map(|port| (&port.from_port, &port.to_port));
            matches!(ports, Some((Some(_), Some(_))))
        };
        let lacks = |instance: &Option<PageInstance>| {
            let networking = instance.as_ref().and_then(|it| it.networking.as_ref());
            let ports = networking.and_then(|networking| networking.ports.as_ref());
            ports.is_some_and(|ports| !ports.iter().all(is_whole))
        };
        let instances = self.instances.iter().flatten().enumerate();
        let places = instances.filter(|(_, instance)| lacks(instance));
        places.map(|(place, _)| place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Aws, Deadlines, Reply};
    use crate::lightsail::{Kind, Reader};
    use crate::model::{InstanceId, Site};

    fn canned(body: &str) -> Aws {
        let reply = Reply {
            status: 200,
            headers: Vec::new(),
            body: body.into(),
        };
        Aws::canned(reply, Deadlines::default())
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_list_with_holes_is_unreadable() {
        let id = InstanceId {
            account: None,
            region: "eu-central-1".into(),
            name: "web-1".into(),
        };
        for (entries, what) in [
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
            let reader = canned(&format!(r#"{{"portStates":[{entries}]}}"#)).reader();
            let error = reader.port_states(&id).await.expect_err(entries);
            assert_eq!(error.kind(), Kind::BadReply, "{entries}: {error}");
            assert!(error.message().contains(what), "{entries}: {error}");
        }
        let reader = canned(r#"{"instances":[{"name":"web-1","arn":"a"},null]}"#).reader();
        let error = reader
            .instances(&Site::of_region("eu-central-1"))
            .await
            .expect_err("a hole");
        assert_eq!(error.kind(), Kind::BadReply, "{error}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_old_reply_without_lists_is_whole() {
        let id = InstanceId {
            account: None,
            region: "eu-central-1".into(),
            name: "web-1".into(),
        };
        let body = r#"{"portStates":[{"fromPort":22,"toPort":22,"protocol":"tcp","cidrs":null}]}"#;
        let rules = canned(body).reader().port_states(&id).await;
        assert_eq!(rules.map(|rules| rules.len()), Ok(1));
        let none = canned(r#"{"portStates":[]}"#)
            .reader()
            .port_states(&id)
            .await;
        assert_eq!(none, Ok(Vec::new()), "nothing open is an answer");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn listed_rules_with_holes_are_no_rules() {
        let port = |rest: &str| format!(r#"{{"protocol":"tcp","cidrs":["192.0.2.1/32"]{rest}}}"#);
        let whole = r#","fromPort":0,"toPort":0"#;
        let cases = [
            (r#"{"ports":[]}"#.to_owned(), Some(0)),
            (format!(r#"{{"ports":[{}]}}"#, port(whole)), Some(1)),
            (
                format!(
                    r#"{{"ports":[{}]}}"#,
                    port(&format!(
                        r#"{whole},"accessType":"public","accessDirection":"inbound""#
                    ))
                ),
                Some(1),
            ),
            (
                format!(
                    r#"{{"ports":[{}]}}"#,
                    port(&format!(r#"{whole},"accessType":"Private""#))
                ),
                None,
            ),
            (
                format!(
                    r#"{{"ports":[{}]}}"#,
                    port(&format!(r#"{whole},"accessDirection":"outbound""#))
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
        let reader = canned(&format!(r#"{{"instances":[{}]}}"#, instances.join(","))).reader();
        let listed = reader.listed(&Site::of_region("eu-central-1")).await;
        let listed = listed.expect("a page");
        for ((networking, rules), listed) in cases.iter().zip(listed) {
            let found = listed.rules.map(|rules| rules.firewall().iter().count());
            assert_eq!(found, *rules, "{networking}");
        }
    }
}
