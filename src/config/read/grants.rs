//! Reader of `[grants]`: what may be granted, to whom, and for how long.
//!
//! Owns the keys of the table. Does not follow names, and does not judge a grant, which `lease` does.

use std::time::Duration;

use toml::de::DeTable;

use super::super::definitions::GrantsDef;
use super::super::keys;
use super::super::source::{Span, quote};
use super::super::tree::{Cx, Text, Value};
use super::matching;
use super::policy::{prefix, rule_of};
use crate::model::Code;

const REASONS: &[(&str, bool)] = &[("required", true), ("optional", false)];

pub(super) fn read(cx: &mut Cx<'_>, span: Span, value: &Value<'_>) -> Option<GrantsDef> {
    let table = cx.table(value, "`[grants]`", keys::GRANTS)?;
    let services = if let Some(value) = table.get("services") {
        let hint = "name a service or a port, as in `services = [\"ssh\", \"tcp/8080\"]`";
        cx.some_texts(value, "`services`", hint).unwrap_or_default()
    } else {
        let hint = "name what may be granted, as in `services = [\"ssh\"]`";
        cx.missing(span, "`[grants]` has no `services`", hint);
        Vec::new()
    };
    let (ipv4, ipv6) = max_sources(cx, table);
    Some(GrantsDef {
        span,
        services: rule_of(span, Some(services), None),
        max: max(cx, span, table),
        ipv4,
        ipv6,
        selector: table
            .get("match")
            .map(|value| matching::selector(cx, value).0),
        reason_required: table
            .get("reason")
            .and_then(|value| cx.choice(value, "`reason`", REASONS))
            .is_some_and(|(required, _)| required),
        whoami: whoami(cx, table),
    })
}

fn max(cx: &mut Cx<'_>, span: Span, table: &DeTable<'_>) -> Option<Duration> {
    let Some(value) = table.get("max") else {
        let hint = "say for how long at most, as in `max = \"8h\"`";
        cx.missing(span, "`[grants]` has no `max`", hint);
        return None;
    };
    let Text { text, span } = cx.text(value, "`max`")?;
    let read = humantime::parse_duration(&text).ok();
    let read = read.filter(|length| !length.is_zero());
    if read.is_none() {
        cx.report
            .error(
                Code::InvalidValue,
                span,
                format!("`max` cannot be {}", quote(&text)),
            )
            .hint("write a length of time, as in \"30m\", \"8h\" or \"2d\"");
    }
    read
}

fn max_sources(cx: &mut Cx<'_>, table: &DeTable<'_>) -> (Option<u8>, Option<u8>) {
    let Some(value) = table.get("max-sources") else {
        return (None, None);
    };
    let Some(limits) = cx.table(value, "`max-sources`", keys::MAX_SOURCES) else {
        return (None, None);
    };
    let ipv4 = limits.get("ipv4");
    let ipv6 = limits.get("ipv6");
    (
        ipv4.and_then(|value| prefix(cx, value, "`ipv4`", 32)),
        ipv6.and_then(|value| prefix(cx, value, "`ipv6`", 128)),
    )
}

/// Where `--from me` asks. Somebody who could answer in place of such a server could have any address granted.
fn whoami(cx: &mut Cx<'_>, table: &DeTable<'_>) -> Vec<String> {
    let Some(value) = table.get("whoami") else {
        return Vec::new();
    };
    let hint = "name an address that answers with that of whoever asks";
    let texts = cx.some_texts(value, "`whoami`", hint).unwrap_or_default();
    let mut urls = Vec::new();
    for Text { text, span } in texts {
        if is_trusted(&text) {
            urls.push(text);
        } else {
            cx.report
                .error(
                    Code::InvalidValue,
                    span,
                    format!("`whoami` cannot be {}", quote(&text)),
                )
                .hint("write an `https://` address; `http://` is taken on loopback only");
        }
    }
    urls
}

fn is_trusted(url: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic();
    let rest = url.strip_prefix("https://").or_else(|| {
        ["http://127.0.0.1", "http://[::1]"]
            .iter()
            .find_map(|on| url.strip_prefix(on))
            .filter(|rest| {
                // Behind the address comes its end, a port or a path, and not the rest of another name.
                rest.is_empty() || rest.starts_with([':', '/'])
            })
            .map(|_| "loopback")
    });
    rest.is_some_and(|rest| !rest.is_empty()) && url.chars().all(plain) && !url.contains('@')
}
