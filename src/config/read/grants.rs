//! Reader of `[grants]`: what may be granted, to whom, and for how long.
//!
//! Owns the keys of the table. Does not resolve names, which `link` does, or check a lease, which `lease` does.

use std::time::Duration;

use toml::de::DeTable;

use super::super::definitions::GrantsDef;
use super::super::keys;
use super::super::source::{Span, SpannedString, quote};
use super::super::tree::{FileReader, Value};
use super::policy::{read_prefix_lengths, rule_of};
use super::selector::read_selector;
use crate::model::Code;

const REASONS: &[(&str, bool)] = &[("required", true), ("optional", false)];

pub(super) fn read(
    reader: &mut FileReader<'_>,
    span: Span,
    value: &Value<'_>,
) -> Option<GrantsDef> {
    let table = reader.read_table(value, "`[grants]`", keys::GRANTS)?;
    let services = if let Some(value) = table.get("services") {
        let hint = "name a service or a port, as in `services = [\"ssh\", \"tcp/8080\"]`";
        reader.read_nonempty_strings(value, "`services`", hint)
    } else {
        let hint = "name what may be granted, as in `services = [\"ssh\"]`";
        reader.report_missing(span, "`[grants]` has no `services`", hint);
        Vec::new()
    };
    let max_sources = table.get("max-sources");
    let max_sources =
        max_sources.and_then(|value| reader.read_table(value, "`max-sources`", keys::MAX_SOURCES));
    let (ipv4, ipv6) = max_sources
        .map(|limits| read_prefix_lengths(reader, limits))
        .unwrap_or_default();
    Some(GrantsDef {
        span,
        services: rule_of(span, Some(services), None),
        max: read_max(reader, span, table),
        ipv4,
        ipv6,
        selector: table
            .get("match")
            .map(|value| read_selector(reader, value).0),
        reason_required: table
            .get("reason")
            .and_then(|value| reader.read_choice(value, "`reason`", REASONS))
            .is_some_and(|(required, _)| required),
        whoami: read_whoami(reader, table),
    })
}

fn read_max(reader: &mut FileReader<'_>, span: Span, table: &DeTable<'_>) -> Option<Duration> {
    let Some(value) = table.get("max") else {
        let hint = "say for how long at most, as in `max = \"8h\"`";
        reader.report_missing(span, "`[grants]` has no `max`", hint);
        return None;
    };
    let SpannedString { text, span } = reader.read_string(value, "`max`")?;
    let duration = humantime::parse_duration(&text).ok();
    let duration = duration.filter(|duration| !duration.is_zero());
    if duration.is_none() {
        let message = format!("`max` cannot be {}", quote(&text));
        reader
            .error(Code::InvalidValue, span, message)
            .hint("write a length of time, as in \"30m\", \"8h\" or \"2d\"");
    }
    duration
}

/// Reads the servers that `--from me` asks for the user's address. Somebody who could answer in place of such a server could have any
/// address granted.
fn read_whoami(reader: &mut FileReader<'_>, table: &DeTable<'_>) -> Vec<String> {
    let Some(value) = table.get("whoami") else {
        return Vec::new();
    };
    let hint = "name an address that answers with that of whoever asks";
    let mut urls = Vec::new();
    for SpannedString { text, span } in reader.read_nonempty_strings(value, "`whoami`", hint) {
        if is_trusted(&text) {
            urls.push(text);
        } else {
            let message = format!("`whoami` cannot be {}", quote(&text));
            reader
                .error(Code::InvalidValue, span, message)
                .hint("write an `https://` address; `http://` is taken on loopback only");
        }
    }
    urls
}

fn is_trusted(url: &str) -> bool {
    let is_https = url.len() > "https://".len() && url.starts_with("https://");
    let mut loopback = ["http://127.0.0.1", "http://[::1]"].into_iter();
    // After the address comes the end, a port or a path, and not the rest of another name.
    let is_loopback = loopback
        .find_map(|address| url.strip_prefix(address))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']));
    (is_https || is_loopback) && url.chars().all(|c| c.is_ascii_graphic()) && !url.contains('@')
}
