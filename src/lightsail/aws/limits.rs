//! Limits on the size of responses and lists.
//!
//! **Owns** the limits with their reasons, the connector that enforces those of a single response before it is parsed, and the size of a
//! list of many pages. **Does not** parse a response. A response beyond a limit is an error.

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
/// hundred of them, which was never observed, is 3.2 MB.
const MAX_BODY: usize = 8 << 20;

/// JSON values in one body. The same page has 140,000. A parsed value takes more memory than its text: `{}` in a list is three
/// bytes and becomes an instance of several hundred.
const MAX_VALUES: usize = 250_000;

/// Rules of one instance. Each needs a source, of which each family may have 60, or the alias: a firewall with ten times as
/// many could not have been written.
const MAX_RULES: usize = 2_000;

/// Address ranges in the rules of one instance: as many as a configuration may declare for it.
const MAX_RANGES: usize = MAX_PAIRS_PER_INSTANCE;

/// Pages of one list. At the documented rate they take 200 s. With 20 instances each, which is what the emulator has, they
/// hold 20,000 instances of one region.
const MAX_PAGES: usize = 1_000;

/// Instances or operations in one list, over all its pages: five times the above.
const MAX_ENTRIES: usize = 100_000;

/// Bytes of one list, over all its pages. 20,000 instances with ten rules each are 120 MB, of which a tenth is kept.
const MAX_LIST: usize = 256 << 20;

/// A response or a list is beyond a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LimitError {
    #[error("the response is larger than {} MiB", MAX_BODY >> 20)]
    Body,
    #[error("the response has more than {MAX_VALUES} values")]
    Values,
    #[error("the response has more than {MAX_RULES} rules")]
    Rules,
    #[error("the response has more than {MAX_RANGES} address ranges")]
    Ranges,
    #[error("the list does not end: it has more than {MAX_PAGES} pages")]
    Pages,
    #[error("the list has more than {MAX_ENTRIES} entries")]
    Entries,
    #[error("the list is larger than {} MiB", MAX_LIST >> 20)]
    List,
}

/// Checks the number of rules of an instance, and of their sources.
pub(super) fn check_rules(rules: &[PortState]) -> Result<(), LimitError> {
    if rules.len() > MAX_RULES {
        return Err(LimitError::Rules);
    }
    let ranges = rules
        .iter()
        .map(|rule| rule.cidrs.len() + rule.ipv6_cidrs.len() + rule.cidr_list_aliases.len());
    if ranges.sum::<usize>() > MAX_RANGES {
        return Err(LimitError::Ranges);
    }
    Ok(())
}

/// The size of a list so far.
#[derive(Debug, Default)]
pub(super) struct ListSize {
    pages: usize,
    entries: usize,
    bytes: ResponseSizes,
}

impl ListSize {
    /// An interceptor for the request of each page, which measures the response.
    pub(super) fn response_sizes(&self) -> ResponseSizes {
        self.bytes.clone()
    }

    /// Adds a page with this many entries.
    pub(super) fn add_page(&mut self, entries: usize, has_next: bool) -> Result<(), LimitError> {
        self.pages += 1;
        self.entries += entries;
        if self.entries > MAX_ENTRIES {
            return Err(LimitError::Entries);
        }
        if self.bytes.0.load(Ordering::Relaxed) > MAX_LIST {
            return Err(LimitError::List);
        }
        if has_next && self.pages >= MAX_PAGES {
            return Err(LimitError::Pages);
        }
        Ok(())
    }
}

/// The total bytes of the responses to the requests that it was added to.
#[derive(Clone, Debug, Default)]
pub(super) struct ResponseSizes(Arc<AtomicUsize>);

impl Intercept for ResponseSizes {
    fn name(&self) -> &'static str {
        "ResponseSizes"
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

/// A connector that reads the whole response, within the limits, before it is parsed.
#[derive(Debug)]
pub(super) struct LimitedConnector(SharedHttpConnector);

impl LimitedConnector {
    pub(super) fn new(inner: impl HttpConnector + 'static) -> Self {
        Self(SharedHttpConnector::new(inner))
    }
}

impl HttpConnector for LimitedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let response = self.0.call(request);
        HttpConnectorFuture::new(async move { read_body(response.await?).await })
    }
}

async fn read_body(mut response: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    let exceeded = |error: LimitError| ConnectorError::other(error.into(), None);
    let body = response.take_body();
    // Checked before the body is read, if the response has a `Content-Length`.
    let length = body.content_length();
    if length.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(exceeded(LimitError::Body));
    }
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(exceeded(LimitError::Body)),
        Err(error) => return Err(ConnectorError::io(error)),
    };
    // There are fewer values than bytes.
    if body.len() > MAX_VALUES && count_values(&body) > MAX_VALUES {
        return Err(exceeded(LimitError::Values));
    }
    *response.body_mut() = body.into();
    Ok(response)
}

/// The number of values in a JSON text, or somewhat more: it counts opening brackets and commas outside of strings, and does not parse.
fn count_values(text: &[u8]) -> usize {
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
