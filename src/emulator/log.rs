//! What the emulator logs: each request with what became of it, and each change of rules or tags.
//!
//! Owns the events, at the level of single calls. Whoever measures a client from outside reads them as JSON: which calls it
//! made, and which rules were open from when on. Does not log what a request or a reply holds besides.

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use tracing::debug;

use super::front::Outcome;
use super::state::{TagWrite, Write};

/// One request. `status` is the HTTP status, or 0 where no reply was sent.
pub(super) fn request(headers: &HeaderMap, outcome: &Outcome) {
    let target = headers.get("x-amz-target").map(HeaderValue::as_bytes);
    // Without a target it is a request to STS, or to nobody.
    let target = String::from_utf8_lossy(target.unwrap_or_default());
    let action = target.rsplit('.').next().unwrap_or_default();
    let status = match outcome {
        Outcome::Reply(reply, _) => reply.status,
        Outcome::Gone | Outcome::Silence => 0,
    };
    debug!(action, status, "request");
}

/// One change of rules, with every port that is open after it: `tcp/22-22 udp/7000-7010`.
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

/// One change of tags, with the keys of all that are there after it. Values may say more than a log should.
pub(super) fn tags(write: &TagWrite) {
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
