//! Messages that nobody signed, whatever they are: each gets an error, and none gets through.

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use proptest::prelude::*;

use crate::inventory::Inventory;

use super::super::faults::Faults;
use super::super::quirks::Quirks;
use super::*;

fn front() -> Front {
    let inventory = Inventory::new(BTreeMap::new());
    let service = Service::new(inventory, Quirks::default(), Faults::default());
    Front::new(service, Options::default())
}

fn ask(front: &mut Front, headers: &HeaderMap, method: &str, path: &str, body: &[u8]) -> Reply {
    let message = Message {
        method,
        path,
        query: "",
        headers,
        body,
    };
    let mut keep = |_: &Inventory, _| Ok(());
    match front.answer(message, OffsetDateTime::UNIX_EPOCH, &mut keep) {
        Outcome::Reply(reply, _) => reply,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_protocol_refuses_in_its_own_words() {
    let mut front = front();
    let mut headers = HeaderMap::new();
    headers.insert(
        "x-amz-target",
        HeaderValue::from_static("Lightsail_20161128.GetInstances"),
    );
    let reply = ask(&mut front, &headers, "POST", "/", b"{}");
    assert_eq!(
        (reply.status, reply.content_type),
        (400, "application/x-amz-json-1.1")
    );
    assert_eq!(
        reply.body,
        r#"{"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"}"#
    );
    let reply = ask(&mut front, &headers, "GET", "/", b"");
    assert!(reply.body.contains("UnknownOperationException"));

    let mut headers = HeaderMap::new();
    headers.insert(
        "content-type",
        HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"),
    );
    let body = b"Action=GetCallerIdentity&Version=2011-06-15";
    let reply = ask(&mut front, &headers, "POST", "/", body);
    assert_eq!((reply.status, reply.content_type), (403, "text/xml"));
    assert!(
        reply
            .body
            .contains("<Code>MissingAuthenticationToken</Code>")
    );
    assert!(reply.body.contains(&reply.request_id));
    assert_eq!(
        front.requests(),
        [
            ("GetCallerIdentity".to_owned(), 1),
            ("GetInstances".to_owned(), 2)
        ]
        .into()
    );
}

#[test]
fn ids_differ() {
    let mut front = front();
    let now = OffsetDateTime::UNIX_EPOCH;
    assert_ne!(front.request_id(now), front.request_id(now));
}

proptest! {
    #[test]
    fn nothing_unsigned_gets_through(
        method in "(GET|POST|PUT|X)",
        path in "/[ -~]{0,10}",
        target in "(Lightsail_20161128\\.)?(GetInstances|PutInstancePublicPorts|[ -~]{0,20})",
        kind in "(application/x-www-form-urlencoded|application/x-amz-json-1[.]1|[ -~]{0,20})",
        authorization in prop::option::of("(AWS4-HMAC-SHA256 )?(Credential=test/[0-9]{8}/r/lightsail/aws4_request,)?[ -~]{0,60}"),
        body in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-amz-target", Some(target)), ("content-type", Some(kind)), ("authorization", authorization)] {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_str(&value).expect("visible characters"));
            }
        }
        let mut front = front();
        let reply = ask(&mut front, &headers, &method, &path, &body);
        prop_assert!(reply.status >= 400);
        prop_assert!(front.service.state.journal().is_empty());
    }
}
