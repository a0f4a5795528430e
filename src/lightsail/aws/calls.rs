//! The calls of the reader and the writer, each for one action.
//!
//! Owns the requests, the members that a response must have, and the pages of lists. Does not send anything; `attempts` does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_lightsail::config::http::HttpResponse;
use aws_sdk_lightsail::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lightsail::types;
use tokio::time::Instant;

use super::super::{Error, ErrorKind, ListedInstance, Operation, Reader, Writer};
use super::call::ApiCall;
use super::limits::{self, ListSize, ResponseSizes};
use super::missing_ports::RecordMissingPorts;
use super::{AccountsReader, AccountsWriter, Shared, convert};
use crate::model::{
    Fingerprint, Firewall, Instance, InstanceId, Key, PortState, Site, Sources, TagError,
    check_tag_key, check_tag_value,
};

impl Reader for AccountsReader {
    fn minimum_time(&self, site: &Site, action: &'static str, calls: usize) -> Duration {
        self.0.minimum_time(site, action, calls)
    }

    async fn instances(&self, site: &Site) -> Result<Vec<Instance>, Error> {
        self.stream_instances(site, &|_| ()).await
    }

    async fn stream_instances(
        &self,
        site: &Site,
        on_instance: &dyn Fn(&Instance),
    ) -> Result<Vec<Instance>, Error> {
        let call = ApiCall::new("GetInstances", &site.region, site.region.as_str());
        let aws = self.0.checked(call.action, site).await?;
        let client = aws.client(&call)?;
        let send = async |token, sizes| {
            let request = client.get_instances().set_page_token(token).customize();
            request.interceptor(sizes).send().await
        };
        aws.pages(&call, send, |page| {
            let instances = page.instances.ok_or_else(|| call.missing("instances"))?;
            let instances = instances.into_iter().map(|instance| {
                convert::instance(site, instance).map_err(|member| call.missing(member))
            });
            // The page of the SDK is many times larger than this, so it is not kept.
            let instances = instances.collect::<Result<Vec<_>, _>>()?;
            instances.iter().for_each(on_instance);
            Ok((instances, page.next_page_token))
        })
        .await
    }

    async fn instances_with_rules(&self, site: &Site) -> Result<Vec<ListedInstance>, Error> {
        let call = ApiCall::new("GetInstances", &site.region, site.region.as_str());
        let aws = self.0.checked(call.action, site).await?;
        let client = aws.client(&call)?;
        let send = async |token, sizes| {
            let recorder = RecordMissingPorts::default();
            let request = client.get_instances().set_page_token(token).customize();
            let request = request.interceptor(sizes).interceptor(recorder.clone());
            request.send().await.map(|page| (page, recorder))
        };
        aws.pages(&call, send, |(page, recorder)| {
            let instances = page.instances.ok_or_else(|| call.missing("instances"))?;
            let instances = instances.into_iter().enumerate().map(|(index, instance)| {
                convert::listed_instance(site, instance, recorder.has_all_ports(index))
                    .map_err(|member| call.missing(member))
            });
            Ok((instances.collect::<Result<_, _>>()?, page.next_page_token))
        })
        .await
    }

    async fn instance(&self, id: &InstanceId) -> Result<Instance, Error> {
        let call = ApiCall::on("GetInstance", id);
        let aws = self.0.checked(call.action, &id.site()).await?;
        let request = aws.client(&call)?.get_instance().instance_name(&id.name);
        let response = aws.read(&call, async || request.clone().send().await);
        let instance = response.await?.instance;
        let instance = instance.ok_or_else(|| call.missing("instance"))?;
        convert::instance(&id.site(), instance).map_err(|member| call.missing(member))
    }

    async fn port_states(&self, id: &InstanceId) -> Result<Vec<PortState>, Error> {
        let call = ApiCall::on("GetInstancePortStates", id);
        let aws = self.0.checked(call.action, &id.site()).await?;
        let request = aws.client(&call)?.get_instance_port_states();
        let request = request.instance_name(&id.name);
        let response = aws.read(&call, async || request.clone().send().await);
        let states = response.await?.port_states;
        let states = states.ok_or_else(|| call.missing("portStates"))?;
        let states: Vec<PortState> = states.into_iter().map(convert::port_state).collect();
        limits::check_rules(&states).map_err(|error| exceeded(&call, error))?;
        Ok(states)
    }

    async fn operation(&self, instance: &InstanceId, id: &str) -> Result<Operation, Error> {
        let region = instance.region.as_str();
        let call = ApiCall::new("GetOperation", region, format!("{region}/{id}"));
        let aws = self.0.checked(call.action, &instance.site()).await?;
        let request = aws.client(&call)?.get_operation().operation_id(id);
        let response = aws.read(&call, async || request.clone().send().await);
        operation(&call, response.await?.operation)
    }

    async fn operations_for(&self, id: &InstanceId) -> Result<Vec<Operation>, Error> {
        let call = ApiCall::on("GetOperationsForResource", id);
        let aws = self.0.checked(call.action, &id.site()).await?;
        let client = aws.client(&call)?;
        let send = async |token, sizes| {
            let request = client.get_operations_for_resource();
            let request = request.resource_name(&id.name).set_page_token(token);
            request.customize().interceptor(sizes).send().await
        };
        aws.pages(&call, send, |page| {
            Ok((operations(&call, page.operations)?, page.next_page_token))
        })
        .await
    }
}

impl Shared {
    /// All pages of a list, within the limits. A page token that repeats would never end, and an empty one counts as none.
    async fn pages<P, T, E>(
        &self,
        call: &ApiCall<'_>,
        send: impl AsyncFn(Option<String>, ResponseSizes) -> Result<P, SdkError<E, HttpResponse>>,
        convert: impl Fn(P) -> Result<(Vec<T>, Option<String>), Error>,
    ) -> Result<Vec<T>, Error>
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let (mut all, mut tokens, mut token) = (Vec::new(), BTreeSet::new(), None);
        let mut size = ListSize::default();
        let deadline = Instant::now() + self.deadlines.list;
        loop {
            let page = self.read(call, async || {
                send(token.clone(), size.response_sizes()).await
            });
            let (items, next) = convert(page.await?)?;
            let next = next.filter(|next| !next.is_empty());
            size.add_page(items.len(), next.is_some())
                .map_err(|error| exceeded(call, error))?;
            all.extend(items);
            let Some(next) = next else {
                return Ok(all);
            };
            // A token may be as long as a response, so only its fingerprint is kept.
            if !tokens.insert(Fingerprint::of(&next)) {
                let message = "the list does not end: a page token came twice";
                return Err(call.error(ErrorKind::InvalidResponse, message));
            }
            if Instant::now() >= deadline {
                let seconds = self.deadlines.list.as_secs();
                let message = format!("the list has not ended after {seconds} s");
                return Err(call.error(ErrorKind::Timeout, message));
            }
            token = Some(next);
        }
    }
}

impl Writer for AccountsWriter {
    async fn reserve_call(&self, id: &InstanceId, action: &'static str) -> Result<(), Error> {
        let aws = self.0.checked(action, &id.site()).await?;
        let max_wait = aws.deadlines.queue;
        if aws.limiter.reserve(action, &id.region, max_wait).await {
            return Ok(());
        }
        Err(ApiCall::on(action, id).not_permitted(max_wait))
    }

    async fn open(&self, id: &InstanceId, key: Key, sources: &Sources) -> Result<Operation, Error> {
        let call = ApiCall::on("OpenInstancePublicPorts", id);
        let aws = self.0.checked(call.action, &id.site()).await?;
        require_sources(&call, sources)?;
        let request = aws.client(&call)?.open_instance_public_ports();
        let request = request.instance_name(&id.name);
        let request = request.port_info(convert::port_info(key, sources));
        let response = aws.write(&call, request.send()).await?;
        operation(&call, response.operation)
    }

    async fn close(
        &self,
        id: &InstanceId,
        key: Key,
        sources: &Sources,
    ) -> Result<Operation, Error> {
        let call = ApiCall::on("CloseInstancePublicPorts", id);
        let aws = self.0.checked(call.action, &id.site()).await?;
        require_sources(&call, sources)?;
        let request = aws.client(&call)?.close_instance_public_ports();
        let request = request.instance_name(&id.name);
        let request = request.port_info(convert::port_info(key, sources));
        let response = aws.write(&call, request.send()).await?;
        operation(&call, response.operation)
    }

    async fn put(&self, id: &InstanceId, firewall: &Firewall) -> Result<Operation, Error> {
        let call = ApiCall::on("PutInstancePublicPorts", id);
        let aws = self.0.checked(call.action, &id.site()).await?;
        let rules = firewall.iter();
        let rules = rules.map(|(key, sources)| convert::port_info(*key, sources));
        let request = aws.client(&call)?.put_instance_public_ports();
        // The list is set even if it is empty, because the builder would otherwise leave out the member.
        let request = request
            .instance_name(&id.name)
            .set_port_infos(Some(rules.collect()));
        let response = aws.write(&call, request.send()).await?;
        operation(&call, response.operation)
    }

    async fn tag(
        &self,
        id: &InstanceId,
        tags: &BTreeMap<String, String>,
    ) -> Result<Vec<Operation>, Error> {
        let call = ApiCall::on("TagResource", id);
        let aws = self.0.checked(call.action, &id.site()).await?;
        let valid = tags
            .iter()
            .try_for_each(|(key, value)| check_tag_key(key).and_then(|()| check_tag_value(value)));
        check_tags(&call, tags.is_empty(), valid)?;
        let tags = tags.iter().map(|(key, value)| convert::tag(key, value));
        // `resourceArn` is optional, and its effect beside the name is not documented.
        let request = aws.client(&call)?.tag_resource().resource_name(&id.name);
        let request = request.set_tags(Some(tags.collect()));
        let response = aws.write(&call, request.send()).await?;
        operations(&call, response.operations)
    }

    async fn untag(
        &self,
        id: &InstanceId,
        keys: &BTreeSet<String>,
    ) -> Result<Vec<Operation>, Error> {
        let call = ApiCall::on("UntagResource", id);
        let aws = self.0.checked(call.action, &id.site()).await?;
        let valid = keys.iter().try_for_each(|key| check_tag_key(key));
        check_tags(&call, keys.is_empty(), valid)?;
        let request = aws.client(&call)?.untag_resource();
        let request = request.resource_name(&id.name);
        let request = request.set_tag_keys(Some(keys.iter().cloned().collect()));
        let response = aws.write(&call, request.send()).await?;
        operations(&call, response.operations)
    }
}

fn operation(call: &ApiCall<'_>, operation: Option<types::Operation>) -> Result<Operation, Error> {
    let operation = operation.ok_or_else(|| call.missing("operation"))?;
    convert::operation(operation).map_err(|member| call.missing(member))
}

/// A list of operations. After a write, a response without the list leaves unknown whether the write was carried out.
fn operations(
    call: &ApiCall<'_>,
    operations: Option<Vec<types::Operation>>,
) -> Result<Vec<Operation>, Error> {
    let operations = operations.ok_or_else(|| call.missing("operations"))?;
    operations
        .into_iter()
        .map(|item| operation(call, Some(item)))
        .collect()
}

/// Refuses tags that the documentation does not allow, so that the message is always the same.
fn check_tags(
    call: &ApiCall<'_>,
    is_empty: bool,
    valid: Result<(), TagError>,
) -> Result<(), Error> {
    if is_empty {
        return Err(call.error(ErrorKind::InvalidInput, "no tag is named"));
    }
    valid.map_err(|error| call.error(ErrorKind::InvalidInput, error.to_string()))
}

/// Refuses a rule without sources, which might be open to everyone.
fn require_sources(call: &ApiCall<'_>, sources: &Sources) -> Result<(), Error> {
    if sources.is_empty() {
        let message = "a rule without sources is never sent";
        return Err(call.error(ErrorKind::InvalidInput, message));
    }
    Ok(())
}

fn exceeded(call: &ApiCall<'_>, error: limits::LimitError) -> Error {
    call.error(ErrorKind::InvalidResponse, error.to_string())
}
