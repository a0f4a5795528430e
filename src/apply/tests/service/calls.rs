//! The calls of the executor to the service of the tests.
//!
//! Owns the bodies of requests and what is read from responses. Does not decide what a request leads to.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;

use serde_json::json;

use super::super::decode;
use super::Service;
use crate::lightsail::{Error, Operation, Reader, Writer};
use crate::model::{Firewall, Instance, InstanceId, Key, PortState, Site, Sources};
use crate::plan::Call;

impl Reader for Service {
    async fn instances(&self, site: &Site) -> Result<Vec<Instance>, Error> {
        let places = self.places.borrow();
        let all = places.iter().filter(|(id, _)| id.site() == *site);
        Ok(all.map(|(id, place)| place.host(id).instance).collect())
    }

    async fn stream_instances(
        &self,
        site: &Site,
        on_instance: &dyn Fn(&Instance),
    ) -> Result<Vec<Instance>, Error> {
        let instances = self.instances(site).await?;
        for (at, instance) in instances.iter().enumerate() {
            if at == 1 && self.holds_second_page.get() {
                self.rules_asked_for.notified().await;
            }
            on_instance(instance);
        }
        Ok(instances)
    }

    async fn instance(&self, id: &InstanceId) -> Result<Instance, Error> {
        const ACTION: &str = "GetInstance";
        let reply = self.ask(ACTION, id, json!({"instanceName": id.name}), None);
        decode::instance(
            ACTION,
            &id.to_string(),
            &id.region,
            &reply.await?["instance"],
        )
    }

    async fn port_states(&self, id: &InstanceId) -> Result<Vec<PortState>, Error> {
        const ACTION: &str = "GetInstancePortStates";
        self.rules_asked_for.notify_one();
        let reply = self.ask(ACTION, id, json!({"instanceName": id.name}), None);
        let reply = reply.await?;
        let missing = || decode::missing(ACTION, &id.to_string(), "portStates");
        let entries = reply["portStates"].as_array().ok_or_else(missing)?;
        let entries = entries.iter().map(decode::port_state);
        entries.collect::<Option<_>>().ok_or_else(missing)
    }

    async fn operation(&self, about: &InstanceId, id: &str) -> Result<Operation, Error> {
        const ACTION: &str = "GetOperation";
        let reply = self.ask(ACTION, about, json!({"operationId": id}), None);
        decode::operation(ACTION, &about.to_string(), &reply.await?["operation"])
    }

    async fn operations_for(&self, id: &InstanceId) -> Result<Vec<Operation>, Error> {
        const ACTION: &str = "GetOperationsForResource";
        let reply = self.ask(ACTION, id, json!({"resourceName": id.name}), None);
        let reply = reply.await?;
        let all = reply["operations"].as_array().into_iter().flatten();
        all.map(|operation| decode::operation(ACTION, &id.to_string(), operation))
            .collect()
    }
}

impl Writer for Service {
    fn reserve_call(
        &self,
        id: &InstanceId,
        action: &'static str,
    ) -> impl Future<Output = Result<(), Error>> {
        if let Some(place) = self.places.borrow_mut().get_mut(id) {
            place.turns.push((action, place.requests.len()));
        }
        ready(Ok(()))
    }

    async fn open(&self, id: &InstanceId, key: Key, sources: &Sources) -> Result<Operation, Error> {
        let rule = ("portInfo", decode::port_info(key, sources));
        let sources = sources.clone();
        self.write(id, Call::Open { key, sources }, rule).await
    }

    async fn close(
        &self,
        id: &InstanceId,
        key: Key,
        sources: &Sources,
    ) -> Result<Operation, Error> {
        let rule = ("portInfo", decode::port_info(key, sources));
        let sources = sources.clone();
        self.write(id, Call::Close { key, sources }, rule).await
    }

    async fn put(&self, id: &InstanceId, firewall: &Firewall) -> Result<Operation, Error> {
        let rules = firewall.iter();
        let rules = rules.map(|(key, sources)| decode::port_info(*key, sources));
        let rules = ("portInfos", rules.collect());
        let firewall = firewall.clone();
        self.write(id, Call::Put { firewall }, rules).await
    }

    async fn tag(
        &self,
        id: &InstanceId,
        tags: &BTreeMap<String, String>,
    ) -> Result<Vec<Operation>, Error> {
        let body = decode::tags(id, tags);
        self.write_tags("TagResource", id, body).await
    }

    async fn untag(
        &self,
        id: &InstanceId,
        keys: &BTreeSet<String>,
    ) -> Result<Vec<Operation>, Error> {
        let body = json!({"resourceName": id.name, "tagKeys": keys});
        self.write_tags("UntagResource", id, body).await
    }
}
