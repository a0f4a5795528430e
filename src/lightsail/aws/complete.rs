//! Whether every rule in a reply has its ports.
//!
//! The SDK reads a port that is not there as 0, so a broken reply would look like another firewall. Owns the look at the raw
//! reply that tells them apart. Refuses to read anything else in it: a `null` in a list, or a member of a wrong type, is
//! refused by the SDK itself.

use aws_sdk_lightsail::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use serde_json::Value;

/// Fails a successful reply to `GetInstancePortStates` in which a port is missing.
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
        if context.output_or_error().is_err() {
            return Ok(());
        }
        let body = context.response().body().bytes().unwrap_or_default();
        match lacks(body) {
            Some(what) => Err(what.into()),
            None => Ok(()),
        }
    }
}

/// What is missing. That the list itself is missing is noticed by whoever wants it.
fn lacks(body: &[u8]) -> Option<String> {
    if body.is_empty() {
        return None;
    }
    let Ok(reply) = serde_json::from_slice::<Value>(body) else {
        return Some("it is not valid JSON".to_owned());
    };
    let entries = reply.get("portStates")?.as_array()?;
    entries.iter().find_map(|entry| {
        let absent = |member: &&str| entry.get(*member).is_none_or(Value::is_null);
        let member = ["fromPort", "toPort"].into_iter().find(absent)?;
        Some(format!("an entry of `portStates` has no `{member}`"))
    })
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
}
