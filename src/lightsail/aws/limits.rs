//! Limits: how much of a reply is read, whoever sends it.
//!
//! **Owns** the limits with their arguments, the connector that enforces those of a single reply before anything reads it,
//! and the account of a list of many pages. **Does not** know what a reply means. A reply beyond a limit is unreadable.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_lightsail::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::model::{MAX_PAIRS_PER_INSTANCE, PortState};

/// Bytes in one body. An instance with the 60 sources that each family may have is 32 KB of JSON in a list, so a page of a
/// hundred of them, which nobody has seen, is 3.2 MB.
const BODY: usize = 8 << 20;

/// Values in one body. The same page has 140,000. What is parsed takes more memory than its text: `{}` in a list is three
/// bytes and becomes an instance of several hundred.
const VALUES: usize = 250_000;

/// Rules of one instance. Each needs a source, of which each family may have 60, or the alias: a firewall with ten times as
/// many could not have been written.
const RULES: usize = 2_000;

/// Address ranges in the rules of one instance: as many as a configuration may declare for it.
const RANGES: usize = MAX_PAIRS_PER_INSTANCE;

/// Pages of one list. At the documented rate they take 200 s. With 20 instances each, which is what the emulator has, they
/// hold 20,000 instances of one region.
const PAGES: usize = 1_000;

/// Instances or operations in one list, over all its pages: five times the above.
const ENTRIES: usize = 100_000;

/// Bytes of one list, over all its pages. 20,000 instances with ten rules each are 120 MB, of which a tenth is kept.
const LIST: usize = 256 << 20;

/// Which limit a reply or a list is beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Exceeded {
    #[error("the reply is larger than {} MiB", BODY >> 20)]
    Body,
    #[error("the reply has more than {VALUES} values")]
    Values,
    #[error("the reply has more than {RULES} rules")]
    Rules,
    #[error("the reply has more than {RANGES} address ranges")]
    Ranges,
    #[error("the list does not end: it has more than {PAGES} pages")]
    Pages,
    #[error("the list has more than {ENTRIES} entries")]
    Entries,
    #[error("the list is larger than {} MiB", LIST >> 20)]
    List,
}

/// Whether the rules of an instance are few enough to be looked at.
pub(super) fn check_rules(rules: &[PortState]) -> Result<(), Exceeded> {
    if rules.len() > RULES {
        return Err(Exceeded::Rules);
    }
    let ranges = rules.iter().map(|rule| {
        let PortState {
            cidrs,
            ipv6_cidrs,
            cidr_list_aliases,
            ..
        } = rule;
        cidrs.len() + ipv6_cidrs.len() + cidr_list_aliases.len()
    });
    if ranges.sum::<usize>() > RANGES {
        return Err(Exceeded::Ranges);
    }
    Ok(())
}

/// What a list has taken so far.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pages: usize,
    entries: usize,
    size: Size,
}

impl Taken {
    /// Measures the pages; an interceptor of each request for one.
    pub(super) fn size(&self) -> Size {
        self.size.clone()
    }

    /// Adds a page with so many entries. `more`: it names a next one.
    pub(super) fn add(&mut self, entries: usize, more: bool) -> Result<(), Exceeded> {
        self.pages += 1;
        self.entries += entries;
        if self.entries > ENTRIES {
            return Err(Exceeded::Entries);
        }
        if self.size.0.load(Ordering::Relaxed) > LIST {
            return Err(Exceeded::List);
        }
        if more && self.pages >= PAGES {
            return Err(Exceeded::Pages);
        }
        Ok(())
    }
}

/// The bytes of all replies that it saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Size(Arc<AtomicUsize>);

impl Intercept for Size {
    fn name(&self) -> &'static str {
        "Size"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().unwrap_or_default();
        self.0.fetch_add(body.len(), Ordering::Relaxed);
        Ok(())
    }
}

/// A connector whose replies are read whole, within the limits, before anybody sees them.
#[derive(Debug)]
pub(super) struct Bounded(SharedHttpConnector);

impl Bounded {
    pub(super) fn new(inner: impl HttpConnector + 'static) -> Self {
        Self(SharedHttpConnector::new(inner))
    }
}

impl HttpConnector for Bounded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let reply = self.0.call(request);
        HttpConnectorFuture::new(async move { whole(reply.await?).await })
    }
}

async fn whole(mut reply: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    let exceeded = |limit: Exceeded| ConnectorError::other(limit.into(), None);
    let body = reply.take_body();
    // A reply that says how large it is need not be read to find out.
    if body
        .content_length()
        .is_some_and(|length| length > BODY as u64)
    {
        return Err(exceeded(Exceeded::Body));
    }
    let body = Limited::new(body, BODY).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            exceeded(Exceeded::Body)
        } else {
            ConnectorError::io(error)
        }
    })?;
    let body = body.to_bytes();
    // There are fewer values than bytes.
    if body.len() > VALUES && values(&body) > VALUES {
        return Err(exceeded(Exceeded::Values));
    }
    *reply.body_mut() = body.into();
    Ok(reply)
}

/// How many values a JSON text has, or somewhat more: what opens a list or an object, and what separates two members.
/// Nothing is parsed for it, so a text that is not JSON gets a number too.
fn values(text: &[u8]) -> usize {
    let (mut count, mut quoted, mut escaped) = (0, false, false);
    for byte in text {
        if quoted {
            quoted = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
        } else {
            quoted = *byte == b'"';
            count += usize::from(matches!(byte, b'{' | b'[' | b','));
        }
    }
    count
}

#[cfg(test)]
mod tests;
