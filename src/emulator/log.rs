//! Logging of the emulator: each request with its result, and each change of rules or tags.
//!
//! Owns the log events, which external measurements read as JSON: the calls of a client, and the open rules over time. Does not
//! log other content of requests or responses.

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use tracing::debug;

use super::service::Delivery;
use super::state::{TagWrite, Write};

/// Logs a request. `status` is the HTTP status, or 0 if no response was sent.
pub(super) fn request(headers: &HeaderMap, delivery: &Delivery) {
    let target = headers.get("x-amz-target").map(HeaderValue::as_bytes);
    // A request without a target is for STS, or not valid.
    let target = String::from_utf8_lossy(target.unwrap_or_default());
    let action = target.rsplit('.').next().unwrap_or_default();
    let status = match delivery {
        Delivery::Response(response, _) => response.status,
        _ => 0,
    };
    debug!(action, status, "request");
}

/// Logs a change of rules, with all open ports after it: `tcp/22-22 udp/7000-7010`.
pub(super) fn write(write: &Write) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let open: Vec<String> = write
        .after
        .iter()
        .map(|rule| format!("{}/{}-{}", rule.protocol, rule.from_port, rule.to_port))
        .collect();
    debug!(
        action = write.action,
        instance = %write.instance,
        open = open.join(" "),
        "rules changed"
    );
}

/// Logs a change of tags, with the keys after it. Values may be sensitive.
pub(super) fn tag_write(write: &TagWrite) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let keys: Vec<&str> = write.after.keys().map(String::as_str).collect();
    debug!(
        action = write.action,
        instance = %write.instance,
        keys = keys.join(" "),
        "tags changed"
    );
}
