//! Responses and lists at their limits and beyond.

use super::super::stub::{StubResponse, StubServer};
use super::super::tests::{aws, web};
use super::*;
use crate::lightsail::{Error, ErrorKind, Reader as _, Writer as _};
use crate::model::{Firewall, Site};

fn rule(ranges: usize) -> PortState {
    PortState {
        cidrs: vec![String::new(); ranges],
        ..PortState::default()
    }
}

#[test]
fn limits_are_inclusive() {
    assert_eq!(check_rules(&vec![rule(1); MAX_RULES]), Ok(()));
    assert_eq!(
        check_rules(&vec![rule(1); MAX_RULES + 1]),
        Err(LimitError::Rules)
    );
    assert_eq!(check_rules(&[rule(MAX_RANGES)]), Ok(()));
    assert_eq!(
        check_rules(&[rule(MAX_RANGES), rule(1)]),
        Err(LimitError::Ranges)
    );

    let mut size = ListSize::default();
    assert_eq!(size.add_page(MAX_ENTRIES, true), Ok(()));
    assert_eq!(size.add_page(1, true), Err(LimitError::Entries));

    let mut size = ListSize::default();
    for _ in 1..MAX_PAGES {
        assert_eq!(size.add_page(1, true), Ok(()));
    }
    assert_eq!(size.add_page(1, false), Ok(()));
    assert_eq!(size.add_page(1, true), Err(LimitError::Pages));

    let mut size = ListSize::default();
    size.bytes.0.store(MAX_LIST, Ordering::Relaxed);
    assert_eq!(size.add_page(1, true), Ok(()));
    size.bytes.0.store(MAX_LIST + 1, Ordering::Relaxed);
    assert_eq!(size.add_page(1, false), Err(LimitError::List));
}

#[test]
fn threat_model_names_the_limits() {
    let text = include_str!("../../../../docs/src/threat-model.md");
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    let limits = format!(
        "A reply is read up to {} MiB and {},000 values, the rules of an instance up to {},000 rules and {},000 address \
         ranges, and a list up to {},000 pages, {},000 entries and {} MiB.",
        MAX_BODY >> 20,
        MAX_VALUES / 1_000,
        MAX_RULES / 1_000,
        MAX_RANGES / 1_000,
        MAX_PAGES / 1_000,
        MAX_ENTRIES / 1_000,
        MAX_LIST >> 20
    );
    assert!(text.contains(&limits), "{limits}");
}

#[test]
fn values_are_counted_outside_of_strings() {
    for (text, count) in [
        ("", 0),
        ("{}", 1),
        (r#"{"a":[1,2,{}]}"#, 5),
        (r#"{"a,[{":"\",{","b\\":"[\\"}"#, 2),
        (r#"["\\\"",","]"#, 2),
        (r#"["open"#, 1),
    ] {
        assert_eq!(count_values(text.as_bytes()), count, "{text}");
    }
}

/// The error of reading the rules of an instance from a server with this response, after one request.
async fn read_error(response: StubResponse) -> Error {
    let stub = StubServer::serve(move |_| response.clone());
    let rules = aws(&stub.url).await.reader().port_states(&web()).await;
    let error = rules.map(|rules| rules.len()).expect_err("a limit");
    assert_eq!(
        stub.requests().len(),
        1,
        "a response that is too large is not requested again"
    );
    error
}

#[tokio::test(flavor = "current_thread")]
async fn response_beyond_a_limit_is_an_error() {
    let repeated = |part: &str, count: usize| vec![part; count].join(",");
    let json = |body: String| StubResponse::json(200, body);
    let entry = r#"{"fromPort":1,"toPort":1,"protocol":"tcp"}"#;
    let ranges = format!(
        r#"{{"portStates":[{{"fromPort":1,"toPort":1,"protocol":"tcp","cidrs":[{}]}}]}}"#,
        repeated(r#""192.0.2.1/32""#, MAX_RANGES + 1)
    );
    let large = " ".repeat(MAX_BODY);
    let declared = vec![("content-length", (1_u64 << 40).to_string())];
    for (response, limit) in [
        (StubResponse::Endless(200, " "), LimitError::Body),
        (
            StubResponse::Endless(200, r#"{"portStates":["#),
            LimitError::Body,
        ),
        // An error is read too, for its code.
        (
            StubResponse::Endless(500, r#"{"__type":"x","message":""#),
            LimitError::Body,
        ),
        (StubResponse::Head(200, declared), LimitError::Body),
        (json(format!("{{{large}")), LimitError::Body),
        (
            json(format!(
                "{{\"portStates\":[{}]}}",
                repeated("{}", MAX_VALUES)
            )),
            LimitError::Values,
        ),
        (
            json(format!("{{\"x\":{}", "[".repeat(MAX_VALUES))),
            LimitError::Values,
        ),
        (
            json(format!(
                "{{\"portStates\":[{}]}}",
                repeated(entry, MAX_RULES + 1)
            )),
            LimitError::Rules,
        ),
        (json(ranges), LimitError::Ranges),
    ] {
        let error = read_error(response).await;
        assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{error}");
        assert!(error.message().contains(&limit.to_string()), "{error}");
    }
    // The parsers limit the depth of nesting.
    let nested = json(format!("{{\"x\":{}", "[".repeat(MAX_VALUES - 10)));
    assert_eq!(read_error(nested).await.kind(), ErrorKind::InvalidResponse);
}

#[tokio::test(flavor = "current_thread")]
async fn response_at_the_limits_is_read() {
    let entries = vec![r#"{"fromPort":1,"toPort":1,"protocol":"tcp"}"#; MAX_RULES].join(",");
    let body = format!(r#"{{"portStates":[{entries}]}}"#);
    let padding = " ".repeat(MAX_BODY - body.len());
    let stub = StubServer::serve(move |_| StubResponse::json(200, format!("{body}{padding}")));
    let rules = aws(&stub.url).await.reader().port_states(&web()).await;
    assert_eq!(rules.map(|rules| rules.len()), Ok(MAX_RULES));
}

#[tokio::test(flavor = "current_thread")]
async fn endless_response_leaves_the_outcome_of_a_write_unknown() {
    let stub = StubServer::serve(|_| StubResponse::Endless(200, " "));
    let writer = aws(&stub.url).await.writer();
    let error = writer
        .put(&web(), &Firewall::new())
        .await
        .expect_err("a limit");
    assert_eq!(error.kind(), ErrorKind::InvalidResponse);
    assert!(error.is_outcome_unknown());
    assert_eq!(stub.requests().len(), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn list_of_too_many_pages_is_an_error() {
    let page = AtomicUsize::new(0);
    let stub = StubServer::serve(move |_| {
        let page = page.fetch_add(1, Ordering::Relaxed);
        StubResponse::json(
            200,
            format!(r#"{{"instances":[],"nextPageToken":"{page}"}}"#),
        )
    });
    let reader = aws(&stub.url).await.reader();
    let site = Site::of_region("eu-central-1");
    let error = reader.instances(&site).await.expect_err("a limit");
    assert_eq!(error.kind(), ErrorKind::InvalidResponse);
    assert_eq!(error.message(), LimitError::Pages.to_string());
    assert_eq!(stub.requests().len(), MAX_PAGES);
}

#[tokio::test(flavor = "current_thread")]
async fn too_many_listed_rules_are_left_out() {
    let port = r#"{"fromPort":1,"toPort":1,"protocol":"tcp","cidrs":["192.0.2.1/32"]}"#;
    for (count, is_listed) in [(MAX_RULES, true), (MAX_RULES + 1, false)] {
        let ports = vec![port; count].join(",");
        let body = format!(
            r#"{{"instances":[{{"name":"web-1","arn":"a","networking":{{"ports":[{ports}]}}}}]}}"#
        );
        let stub = StubServer::serve(move |_| StubResponse::json(200, body.clone()));
        let reader = aws(&stub.url).await.reader();
        let listed = reader
            .instances_with_rules(&Site::of_region("eu-central-1"))
            .await;
        let listed = listed.expect("a list");
        assert_eq!(listed[0].rules.is_some(), is_listed, "{count}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn long_message_is_truncated() {
    let long = "é".repeat(100_000);
    let body = format!(r#"{{"__type":"Odd{long}","message":"{long}"}}"#);
    let stub = StubServer::serve(move |_| StubResponse::json(400, body.clone()));
    let rules = aws(&stub.url).await.reader().port_states(&web()).await;
    let error = rules.expect_err("refused");
    assert!(
        error.to_string().len() < 4_000,
        "{} bytes",
        error.to_string().len()
    );
    assert!(error.message().ends_with('…'));
}

#[test]
fn page_of_a_hundred_full_firewalls_is_within_the_limits() {
    let ranges = |count: usize, text: &str| vec![text; count].join(",");
    let port = format!(
        r#"{{"fromPort":10000,"toPort":20000,"protocol":"icmpv6","accessFrom":"Custom","accessType":"public","commonName":"","accessDirection":"inbound","cidrs":[{}],"ipv6Cidrs":[{}],"cidrListAliases":["lightsail-connect"]}}"#,
        ranges(1, r#""198.51.100.100/32""#),
        ranges(1, r#""2001:0db8:0000:0000:0000:0000:0000:0001/128""#),
    );
    let tags = ranges(
        50,
        r#"{"key":"a-key-of-some-length","value":"a-value-of-some-length"}"#,
    );
    let instance = format!(
        r#"{{"name":"web-1","tags":[{tags}],"networking":{{"ports":[{}]}},"more":[{}]}}"#,
        ranges(60, &port),
        ranges(60, "0")
    );
    let page = ranges(100, &instance);
    assert!(page.len() < MAX_BODY / 2, "{} bytes", page.len());
    assert!(
        count_values(page.as_bytes()) < MAX_VALUES * 2 / 3,
        "{} values",
        count_values(page.as_bytes())
    );
}
