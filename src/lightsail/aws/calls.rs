//! The calls themselves: one action a method, in the crate's own types.
//!
//! Owns paging, the retries of reads, the turn that every call waits for, and one line of log a request. Does not retry a write and to log a body.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::time::Duration;

use aws_sdk_lightsail::config::http::HttpResponse;
use aws_sdk_lightsail::error::{ProvideErrorMetadata, SdkError};
use tokio::time::{Instant, sleep, timeout_at};

use super::super::{Error, Kind, Listed, Operation, Reader, Writer};
use super::complete::ListedPorts;
use super::limits::{self, Exceeded, Size, Taken};
use super::{AwsReader, AwsWriter, Shared, convert, failure};
use crate::model::{
    Fingerprint, Firewall, Instance, InstanceId, Key, PortState, Site, Sources, TagError,
    check_tag_key, check_tag_value,
};

/// How often a read is tried where the service fails or the network does. Throttling is waited out up to the deadline.
const ATTEMPTS: u32 = 5;

/// No pause between two attempts is longer, so that a freed bucket is noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Reader for AwsReader {
    async fn instances(&self, site: &Site) -> Result<Vec<Instance>, Error> {
        self.instances_shown(site, &|_| ()).await
    }

    async fn instances_shown(
        &self,
        site: &Site,
        show: &dyn Fn(&Instance),
    ) -> Result<Vec<Instance>, Error> {
        const ACTION: &str = "GetInstances";
        let region = site.region.as_str();
        let client = self.0.client(ACTION, region)?;
        let pages = self.pages(ACTION, region, region, async |token, size| {
            let request = client.get_instances().set_page_token(token);
            let request = request.customize().interceptor(size);
            let page = failed(ACTION, region, request.send().await)?;
            let instances = page
                .instances
                .ok_or_else(|| missing(ACTION, region, "instances"))?;
            let instances = instances.into_iter().map(|from| {
                convert::instance(site, from).map_err(|member| missing(ACTION, region, member))
            });
            // A page of the SDK's is many times what is wanted of it, so none is kept.
            let instances = instances.collect::<Result<Vec<_>, _>>()?;
            instances.iter().for_each(show);
            Ok((instances, page.next_page_token))
        });
        pages.await
    }

    async fn listed(&self, site: &Site) -> Result<Vec<Listed>, Error> {
        const ACTION: &str = "GetInstances";
        let region = site.region.as_str();
        let client = self.0.client(ACTION, region)?;
        let pages = self.pages(ACTION, region, region, async |token, size| {
            let holes = ListedPorts::default();
            let request = client.get_instances().set_page_token(token);
            let request = request.customize().interceptor(size);
            let request = request.interceptor(holes.clone());
            let page = failed(ACTION, region, request.send().await)?;
            let instances = page
                .instances
                .ok_or_else(|| missing(ACTION, region, "instances"))?;
            let instances = instances.into_iter().enumerate().map(|(place, from)| {
                convert::listed(site, from, holes.are_whole(place))
                    .map_err(|member| missing(ACTION, region, member))
            });
            Ok((instances.collect::<Result<_, _>>()?, page.next_page_token))
        });
        pages.await
    }

    async fn instance(&self, id: &InstanceId) -> Result<Instance, Error> {
        const ACTION: &str = "GetInstance";
        let (client, target) = (self.0.client(ACTION, &id.region)?, id.to_string());
        let reply = self.0.read(ACTION, &id.region, &target, async || {
            failed(
                ACTION,
                &target,
                client.get_instance().instance_name(&id.name).send().await,
            )
        });
        let instance = reply
            .await?
            .instance
            .ok_or_else(|| missing(ACTION, &target, "instance"))?;
        convert::instance(&id.site(), instance).map_err(|member| missing(ACTION, &target, member))
    }

    async fn port_states(&self, id: &InstanceId) -> Result<Vec<PortState>, Error> {
        const ACTION: &str = "GetInstancePortStates";
        let (client, target) = (self.0.client(ACTION, &id.region)?, id.to_string());
        let reply = self.0.read(ACTION, &id.region, &target, async || {
            failed(
                ACTION,
                &target,
                client
                    .get_instance_port_states()
                    .instance_name(&id.name)
                    .send()
                    .await,
            )
        });
        let states = reply
            .await?
            .port_states
            .ok_or_else(|| missing(ACTION, &target, "portStates"))?;
        let states: Vec<PortState> = states.into_iter().map(convert::port_state).collect();
        limits::check_rules(&states).map_err(|limit| exceeded(ACTION, &target, limit))?;
        Ok(states)
    }

    async fn operation(&self, about: &InstanceId, id: &str) -> Result<Operation, Error> {
        const ACTION: &str = "GetOperation";
        let region = about.region.as_str();
        let (client, target) = (self.0.client(ACTION, region)?, format!("{region}/{id}"));
        let reply = self.0.read(ACTION, region, &target, async || {
            failed(
                ACTION,
                &target,
                client.get_operation().operation_id(id).send().await,
            )
        });
        operation(ACTION, &target, reply.await?.operation)
    }

    async fn operations_for(&self, id: &InstanceId) -> Result<Vec<Operation>, Error> {
        const ACTION: &str = "GetOperationsForResource";
        let (client, target) = (self.0.client(ACTION, &id.region)?, id.to_string());
        let pages = self.pages(ACTION, &id.region, &target, async |token, size| {
            let request = client
                .get_operations_for_resource()
                .resource_name(&id.name)
                .set_page_token(token)
                .customize()
                .interceptor(size);
            let page = failed(ACTION, &target, request.send().await)?;
            let operations = page
                .operations
                .ok_or_else(|| missing(ACTION, &target, "operations"))?;
            Ok((operations, page.next_page_token))
        });
        pages
            .await?
            .into_iter()
            .map(|from| operation(ACTION, &target, Some(from)))
            .collect()
    }
}

impl AwsReader {
    /// Every page, within the limits of a list. A token that was seen before would go round for ever, and an empty one is
    /// none.
    async fn pages<T>(
        &self,
        action: &'static str,
        region: &str,
        target: &str,
        page: impl AsyncFn(Option<String>, Size) -> Result<(Vec<T>, Option<String>), Error>,
    ) -> Result<Vec<T>, Error> {
        let (mut all, mut seen, mut token) = (Vec::new(), BTreeSet::new(), None);
        let mut taken = Taken::default();
        let deadline = Instant::now() + self.0.deadlines.list;
        loop {
            let (items, next) = self
                .0
                .read(action, region, target, async || {
                    page(token.clone(), taken.size()).await
                })
                .await?;
            let next = next.filter(|next| !next.is_empty());
            let added = taken.add(items.len(), next.is_some());
            added.map_err(|limit| exceeded(action, target, limit))?;
            all.extend(items);
            let Some(next) = next else {
                return Ok(all);
            };
            // A token may be as long as a reply, and only whether it came before matters.
            if !seen.insert(Fingerprint::of(&next)) {
                return Err(Error::new(
                    Kind::BadReply,
                    action,
                    target,
                    "the list does not end: a page token came twice",
                ));
            }
            if Instant::now() >= deadline {
                let seconds = self.0.deadlines.list.as_secs();
                let message = format!("the list has not ended after {seconds} s");
                return Err(Error::new(Kind::Timeout, action, target, message));
            }
            token = Some(next);
        }
    }
}

impl Writer for AwsWriter {
    async fn turn(&self, id: &InstanceId, action: &'static str) -> Result<(), Error> {
        let longest = self.0.deadlines.queue;
        if self.0.queue.reserve(action, &id.region, longest).await {
            return Ok(());
        }
        Err(no_turn(action, &id.to_string(), longest))
    }

    async fn open(&self, id: &InstanceId, key: Key, sources: &Sources) -> Result<Operation, Error> {
        const ACTION: &str = "OpenInstancePublicPorts";
        let (client, target) = (self.0.client(ACTION, &id.region)?, id.to_string());
        named(ACTION, &target, sources)?;
        let request = client.open_instance_public_ports().instance_name(&id.name);
        let request = request.port_info(convert::port_info(key, sources));
        let write = self.0.write(ACTION, &id.region, &target, async || {
            failed(ACTION, &target, request.send().await)
        });
        operation(ACTION, &target, write.await?.operation)
    }

    async fn close(
        &self,
        id: &InstanceId,
        key: Key,
        sources: &Sources,
    ) -> Result<Operation, Error> {
        const ACTION: &str = "CloseInstancePublicPorts";
        let (client, target) = (self.0.client(ACTION, &id.region)?, id.to_string());
        named(ACTION, &target, sources)?;
        let request = client.close_instance_public_ports().instance_name(&id.name);
        let request = request.port_info(convert::port_info(key, sources));
        let write = self.0.write(ACTION, &id.region, &target, async || {
            failed(ACTION, &target, request.send().await)
        });
        operation(ACTION, &target, write.await?.operation)
    }

    async fn put(&self, id: &InstanceId, firewall: &Firewall) -> Result<Operation, Error> {
        const ACTION: &str = "PutInstancePublicPorts";
        let (client, target) = (self.0.client(ACTION, &id.region)?, id.to_string());
        let rules = firewall
            .iter()
            .map(|(key, sources)| convert::port_info(*key, sources))
            .collect();
        // The list is set even when empty: a builder that was never given one leaves the member out.
        let request = client
            .put_instance_public_ports()
            .instance_name(&id.name)
            .set_port_infos(Some(rules));
        let write = self.0.write(ACTION, &id.region, &target, async || {
            failed(ACTION, &target, request.send().await)
        });
        operation(ACTION, &target, write.await?.operation)
    }

    async fn tag(
        &self,
        id: &InstanceId,
        tags: &BTreeMap<String, String>,
    ) -> Result<Vec<Operation>, Error> {
        const ACTION: &str = "TagResource";
        let (client, target) = (self.0.client(ACTION, &id.region)?, id.to_string());
        let mut checks = tags
            .iter()
            .map(|(key, value)| check_tag_key(key).and_then(|()| check_tag_value(value)));
        taggable(
            ACTION,
            &target,
            tags.is_empty(),
            checks.try_for_each(|it| it),
        )?;
        let tags = tags.iter().map(|(key, value)| convert::tag(key, value));
        // `resourceArn` is optional, and what it does beside the name is not documented.
        let request = client.tag_resource().resource_name(&id.name);
        let request = request.set_tags(Some(tags.collect()));
        let write = self.0.write(ACTION, &id.region, &target, async || {
            failed(ACTION, &target, request.send().await)
        });
        operations(ACTION, &target, write.await?.operations)
    }

    async fn untag(
        &self,
        id: &InstanceId,
        keys: &BTreeSet<String>,
    ) -> Result<Vec<Operation>, Error> {
        const ACTION: &str = "UntagResource";
        let (client, target) = (self.0.client(ACTION, &id.region)?, id.to_string());
        let checked = keys.iter().try_for_each(|key| check_tag_key(key));
        taggable(ACTION, &target, keys.is_empty(), checked)?;
        let request = client.untag_resource().resource_name(&id.name);
        let request = request.set_tag_keys(Some(keys.iter().cloned().collect()));
        let write = self.0.write(ACTION, &id.region, &target, async || {
            failed(ACTION, &target, request.send().await)
        });
        operations(ACTION, &target, write.await?.operations)
    }
}

impl Shared {
    /// Asks until there is an answer, a definite refusal, or no time left.
    pub(super) async fn read<T>(
        &self,
        action: &'static str,
        region: &str,
        target: &str,
        call: impl AsyncFn() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut deadline = Instant::now() + self.deadlines.read;
        let mut patience = self.deadlines.queue;
        let mut attempt = 1;
        loop {
            let waited = self.turn(action, region, target, patience).await?;
            // Time in the queue is not time that the service takes.
            patience = patience.saturating_sub(waited);
            deadline += waited;
            let until = deadline.min(Instant::now() + self.deadlines.attempt);
            let reply = logged(action, target, until, call()).await;
            self.heed(action, region, reply.as_ref().err());
            let error = match reply {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let pause = self.pause(attempt);
            let exhausted = attempt >= ATTEMPTS && error.kind() != Kind::Throttled;
            if !error.is_retryable() || exhausted || Instant::now() + pause >= deadline {
                return Err(error);
            }
            sleep(pause).await;
            attempt += 1;
        }
    }

    /// Asks once.
    async fn write<T>(
        &self,
        action: &'static str,
        region: &str,
        target: &str,
        call: impl AsyncFnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.turn(action, region, target, self.deadlines.queue)
            .await?;
        let until = Instant::now() + self.deadlines.write;
        let reply = logged(action, target, until, call()).await;
        self.heed(action, region, reply.as_ref().err());
        reply
    }

    /// Waits until the call may be made, and says how long that took.
    async fn turn(
        &self,
        action: &'static str,
        region: &str,
        target: &str,
        longest: Duration,
    ) -> Result<Duration, Error> {
        let turn = self.queue.turn(action, region, longest);
        turn.await.ok_or_else(|| no_turn(action, target, longest))
    }

    /// Counts a call, and slows down where the service asks for it.
    fn heed(&self, action: &'static str, region: &str, error: Option<&Error>) {
        let kind = error.map(Error::kind);
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.count(action, kind);
        if kind == Some(Kind::Throttled) {
            self.queue.throttled(action, region);
        }
    }

    /// Half of it is chance, so that many calls that were throttled together do not come back together.
    fn pause(&self, attempt: u32) -> Duration {
        let longest = self
            .deadlines
            .backoff
            .saturating_mul(1 << attempt.min(8))
            .min(LONGEST_PAUSE)
            / 2;
        longest.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

fn no_turn(action: &'static str, target: &str, longest: Duration) -> Error {
    let message = format!(
        "not asked: its turn did not come within {} s",
        longest.as_secs()
    );
    Error::new(Kind::Throttled, action, target, message)
        .with_hint("lower `--concurrency`, or use a larger share of the rates with `--rate`")
}

async fn logged<T>(
    action: &'static str,
    target: &str,
    until: Instant,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let started = Instant::now();
    let result = match timeout_at(until, call).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(
            Kind::Timeout,
            action,
            target,
            "no answer in time",
        )),
    };
    let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    match &result {
        Ok(_) => tracing::debug!(action, target, millis, "answered"),
        Err(error) => {
            let code = error.code().unwrap_or("none");
            tracing::debug!(
                action,
                target,
                millis,
                code,
                request_id = error.request_id(),
                "failed"
            );
        }
    }
    result
}

fn failed<T, E>(
    action: &'static str,
    target: &str,
    reply: Result<T, SdkError<E, HttpResponse>>,
) -> Result<T, Error>
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    reply.map_err(|error| failure::read(action, target, &error))
}

fn operation(
    action: &'static str,
    target: &str,
    from: Option<aws_sdk_lightsail::types::Operation>,
) -> Result<Operation, Error> {
    let from = from.ok_or_else(|| missing(action, target, "operation"))?;
    convert::operation(from).map_err(|member| missing(action, target, member))
}

/// The operations of a write to tags. A reply without the list leaves open what was done, as one without its operation.
fn operations(
    action: &'static str,
    target: &str,
    from: Option<Vec<aws_sdk_lightsail::types::Operation>>,
) -> Result<Vec<Operation>, Error> {
    let from = from.ok_or_else(|| missing(action, target, "operations"))?;
    from.into_iter()
        .map(|one| operation(action, target, Some(one)))
        .collect()
}

/// Tags that the service refuses by its documents are not sent, so that the refusal has one wording.
fn taggable(
    action: &'static str,
    target: &str,
    is_empty: bool,
    checked: Result<(), TagError>,
) -> Result<(), Error> {
    let invalid = |message: String| Error::new(Kind::InvalidInput, action, target, message);
    if is_empty {
        return Err(invalid("no tag is named".to_owned()));
    }
    checked.map_err(|error| invalid(error.to_string()))
}

fn exceeded(action: &'static str, target: &str, limit: Exceeded) -> Error {
    Error::new(Kind::BadReply, action, target, limit.to_string())
}

fn missing(action: &'static str, target: &str, member: &str) -> Error {
    Error::new(
        Kind::BadReply,
        action,
        target,
        format!("the answer has no `{member}`"),
    )
}

/// A rule without sources might be open to everybody, so it is never sent.
fn named(action: &'static str, target: &str, sources: &Sources) -> Result<(), Error> {
    if sources.is_empty() {
        return Err(Error::new(
            Kind::InvalidInput,
            action,
            target,
            "a rule without sources is never sent",
        ));
    }
    Ok(())
}
