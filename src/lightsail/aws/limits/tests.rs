//! Replies and lists at their limits and beyond.

use super::super::stub::{Reply, Stub};
use super::super::tests::{aws, web};
use super::*;
use crate::lightsail::{Error, Kind, Reader as _, Writer as _};
use crate::model::{Firewall, Site};

fn rule(ranges: usize) -> PortState {
    PortState {
        cidrs: vec![String::new(); ranges],
        ..PortState::default()
    }
}

#[test]
fn limits_are_met_to_the_number() {
    assert_eq!(check_rules(&vec![rule(1); RULES]), Ok(()));
    assert_eq!(check_rules(&vec![rule(1); RULES + 1]), Err(Exceeded::Rules));
    assert_eq!(check_rules(&[rule(RANGES)]), Ok(()));
    assert_eq!(check_rules(&[rule(RANGES), rule(1)]), Err(Exceeded::Ranges));

    let mut taken = Taken::default();
    assert_eq!(taken.add(ENTRIES, true), Ok(()));
    assert_eq!(taken.add(1, true), Err(Exceeded::Entries));

    let mut taken = Taken::default();
    for _ in 1..PAGES {
        assert_eq!(taken.add(1, true), Ok(()));
    }
    assert_eq!(taken.add(1, false), Ok(()));
    assert_eq!(taken.add(1, true), Err(Exceeded::Pages));

    let mut taken = Taken::default();
    taken.size().0.store(LIST, Ordering::Relaxed);
    assert_eq!(taken.add(1, true), Ok(()));
    taken.size().0.store(LIST + 1, Ordering::Relaxed);
    assert_eq!(taken.add(1, false), Err(Exceeded::List));
}

#[test]
fn the_threat_model_names_the_limits() {
    let text = include_str!("../../../../docs/src/threat-model.md");
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    let limits = format!(
        "A reply is read up to {} MiB and {},000 values, the rules of an instance up to {},000 rules and {},000 address \
         ranges, and a list up to {},000 pages, {},000 entries and {} MiB.",
        BODY >> 20,
        VALUES / 1_000,
        RULES / 1_000,
        RANGES / 1_000,
        PAGES / 1_000,
        ENTRIES / 1_000,
        LIST >> 20
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
        assert_eq!(values(text.as_bytes()), count, "{text}");
    }
}

/// The failure to read the rules of an instance from a server that answers like this, after one request.
async fn unreadable(reply: Reply) -> Error {
    let stub = Stub::serve(move |_| reply.clone());
    let rules = aws(&stub.url).await.reader().port_states(&web()).await;
    let error = rules.map(|rules| rules.len()).expect_err("a limit");
    assert_eq!(
        stub.requests().len(),
        1,
        "what is too large is not asked for again"
    );
    error
}

#[tokio::test(flavor = "current_thread")]
async fn a_reply_beyond_a_limit_is_unreadable() {
    let repeated = |part: &str, count: usize| vec![part; count].join(",");
    let json = |body: String| Reply::json(200, body);
    let entry = r#"{"fromPort":1,"toPort":1,"protocol":"tcp"}"#;
    let ranges = format!(
        r#"{{"portStates":[{{"fromPort":1,"toPort":1,"protocol":"tcp","cidrs":[{}]}}]}}"#,
        repeated(r#""192.0.2.1/32""#, RANGES + 1)
    );
    let large = " ".repeat(BODY);
    let declared = vec![("content-length", (1_u64 << 40).to_string())];
    for (reply, limit) in [
        (Reply::Endless(200, " "), Exceeded::Body),
        (Reply::Endless(200, r#"{"portStates":["#), Exceeded::Body),
        // An error is read too, for its code.
        (
            Reply::Endless(500, r#"{"__type":"x","message":""#),
            Exceeded::Body,
        ),
        (Reply::Head(200, declared), Exceeded::Body),
        (json(format!("{{{large}")), Exceeded::Body),
        (
            json(format!("{{\"portStates\":[{}]}}", repeated("{}", VALUES))),
            Exceeded::Values,
        ),
        (
            json(format!("{{\"x\":{}", "[".repeat(VALUES))),
            Exceeded::Values,
        ),
        (
            json(format!(
                "{{\"portStates\":[{}]}}",
                repeated(entry, RULES + 1)
            )),
            Exceeded::Rules,
        ),
        (json(ranges), Exceeded::Ranges),
    ] {
        let error = unreadable(reply).await;
        assert_eq!(error.kind(), Kind::BadReply, "{error}");
        assert!(error.message().contains(&limit.to_string()), "{error}");
    }
    // Nesting is no value of its own where it is skipped, and is limited by the parsers.
    let nested = json(format!("{{\"x\":{}", "[".repeat(VALUES - 10)));
    assert_eq!(unreadable(nested).await.kind(), Kind::BadReply);
}

#[tokio::test(flavor = "current_thread")]
async fn a_reply_at_the_limits_is_read() {
    let entries = vec![r#"{"fromPort":1,"toPort":1,"protocol":"tcp"}"#; RULES].join(",");
    let body = format!(r#"{{"portStates":[{entries}]}}"#);
    let filling = " ".repeat(BODY - body.len());
    let stub = Stub::serve(move |_| Reply::json(200, format!("{body}{filling}")));
    let rules = aws(&stub.url).await.reader().port_states(&web()).await;
    assert_eq!(rules.map(|rules| rules.len()), Ok(RULES));
}

#[tokio::test(flavor = "current_thread")]
async fn whether_a_write_with_an_endless_reply_was_carried_out_is_not_known() {
    let stub = Stub::serve(|_| Reply::Endless(200, " "));
    let writer = aws(&stub.url).await.writer();
    let error = writer
        .put(&web(), &Firewall::new())
        .await
        .expect_err("a limit");
    assert_eq!(error.kind(), Kind::BadReply);
    assert!(error.is_outcome_unknown());
    assert_eq!(stub.requests().len(), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn ever_new_page_tokens_end_at_the_limit() {
    let page = AtomicUsize::new(0);
    let stub = Stub::serve(move |_| {
        let page = page.fetch_add(1, Ordering::Relaxed);
        Reply::json(
            200,
            format!(r#"{{"instances":[],"nextPageToken":"{page}"}}"#),
        )
    });
    let reader = aws(&stub.url).await.reader();
    let site = Site::of_region("eu-central-1");
    let error = reader.instances(&site).await.expect_err("a limit");
    assert_eq!(error.kind(), Kind::BadReply);
    assert_eq!(error.message(), Exceeded::Pages.to_string());
    assert_eq!(stub.requests().len(), PAGES);
}

#[tokio::test(flavor = "current_thread")]
async fn an_instance_with_too_many_listed_rules_is_asked_by_itself() {
    let port = r#"{"fromPort":1,"toPort":1,"protocol":"tcp","cidrs":["192.0.2.1/32"]}"#;
    for (count, shown) in [(RULES, true), (RULES + 1, false)] {
        let ports = vec![port; count].join(",");
        let body = format!(
            r#"{{"instances":[{{"name":"web-1","arn":"a","networking":{{"ports":[{ports}]}}}}]}}"#
        );
        let stub = Stub::serve(move |_| Reply::json(200, body.clone()));
        let reader = aws(&stub.url).await.reader();
        let listed = reader.listed(&Site::of_region("eu-central-1")).await;
        let listed = listed.expect("a list");
        assert_eq!(listed[0].rules.is_some(), shown, "{count}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_long_message_is_cut() {
    let long = "é".repeat(100_000);
    let body = format!(r#"{{"__type":"Odd{long}","message":"{long}"}}"#);
    let stub = Stub::serve(move |_| Reply::json(400, body.clone()));
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
fn a_page_of_a_hundred_full_firewalls_fits() {
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
    assert!(page.len() < BODY / 2, "{} bytes", page.len());
    assert!(
        values(page.as_bytes()) < VALUES * 2 / 3,
        "{} values",
        values(page.as_bytes())
    );
}
