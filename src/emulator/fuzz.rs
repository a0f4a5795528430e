//! The entry point for fuzzing: arbitrary bytes as a request.
//!
//! Owns the parsing of the bytes into a message. Does not panic.

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use strum::VariantArray as _;
use time::OffsetDateTime;

use crate::inventory::Inventory;

use super::context::StateChange;
use super::endpoint::Endpoint;
use super::request::Action;
use super::service::Service;
use super::signature::SignedRequest;
use super::{EmulatorOptions, Faults, Quirks};

const INVENTORY: &str = r#"{"format": "portward.inventory", "version": 1, "regions": {"r": [
    {"name": "web-1", "arn": "arn:aws:lightsail:r:123456789012:Instance/1", "state": "running",
     "ipAddressType": "dualstack", "portStates": [{"fromPort": 22, "toPort": 22, "protocol": "tcp"}]}]}}"#;

/// Handles the bytes as a request: the lines before the first empty one are headers (`:path` is the path), or quirks, and the rest is the
/// body. Then handles the body for each action without a signature.
pub fn fuzz_request(bytes: &[u8]) {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = end.map_or((&[][..], bytes), |end| (&bytes[..end], &bytes[end + 2..]));
    let mut headers = HeaderMap::new();
    let mut path = "/".to_owned();
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().skip(1).position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = (&line[..=colon], line[colon + 2..].trim_ascii());
        if name == b":path" {
            path = String::from_utf8_lossy(value).into_owned();
        } else if let (Ok(name), Ok(value)) = (
            hyper::header::HeaderName::from_bytes(name),
            HeaderValue::from_bytes(value),
        ) {
            headers.append(name, value);
        }
    }
    let Ok(inventory) = Inventory::parse(INVENTORY) else {
        return;
    };
    let mut quirks = Quirks::default();
    for text in String::from_utf8_lossy(head).lines() {
        // Other lines are headers.
        let _ = quirks.set(text);
    }
    let service = Service::new(inventory, quirks, Faults::default());
    let mut endpoint = Endpoint::new(service, EmulatorOptions::default());
    let mut persist = |_: StateChange<'_>| Ok(());
    let now = OffsetDateTime::UNIX_EPOCH;
    let (path, query) = path.split_once('?').unwrap_or((&path, ""));
    let message = SignedRequest {
        method: "POST",
        path,
        query,
        headers: &headers,
        body,
    };
    endpoint.handle(message, now, &mut persist);
    for action in Action::VARIANTS {
        endpoint.call("r", *action, body, now, &mut persist);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn emulator_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            fuzz_request(&bytes);
        }

        #[test]
        fn request_like_input_does_not_panic(
            headers in prop::collection::vec(prop_oneof![
                "(authorization|x-amz-date|content-type|x-amz-target|:path|host): ?[ -~]{0,40}",
                "x-amz-date: [0-9]{8}T[0-9]{6}Z",
                "authorization: AWS4-HMAC-SHA256 Credential=test/[0-9]{8}/r/lightsail/aws4_request, SignedHeaders=[a-z;-]{0,20}, Signature=[0-9a-f]{0,64}",
                "(keys=twice|put=two-steps|ipv6=upper|port-states=truncated)",
            ], 0..6),
            body in "[{](\"(instanceName|portInfos?|pageToken|operationId|resourceName|tags|tagKeys)\": ?(\\[[{]\"key\": ?\"[ -~]{0,8}\"[}]\\]|\\[\"[a-z]{1,4}\"\\]|\"web-1\"|\"[ -~]{0,8}\"|[0-9]{1,3}|\\[\\]|[{]\"fromPort\": ?-?[0-9]{1,6},\"toPort\": ?[0-9]{1,6},\"protocol\": ?\"(tcp|all|icmp)\"[}]),?){0,4}[}]",
        ) {
            fuzz_request(format!("{}\n\n{body}", headers.join("\n")).as_bytes());
        }
    }
}
