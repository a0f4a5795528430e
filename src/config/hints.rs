//! Hints for texts that are written in the syntax of other tools.
//!
//! Owns the hints how to write them here. Does not accept the other syntax.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net, Ipv4Subnets};

use super::names::looks_like_address;
use super::port_expr;
use super::services::service_keys;
use super::source::quote;
use crate::model::REGIONS;

/// The most networks that a hint lists.
const MAX_NETWORKS: usize = 4;

/// The hint for a text of `allow` that is not a service.
pub(super) fn for_allow(text: &str) -> Option<String> {
    let lower = text.trim().to_ascii_lowercase();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if let "*" | "any" | "-1" | "all traffic" | "all protocols" | "all ports" = lower.as_str() {
        return Some("`all` is every port of every protocol".to_owned());
    }
    let (first, last) = lower.split_once('-').unwrap_or((&lower, &lower));
    if is_number(first) && is_number(last) && lower.len() <= 11 {
        return Some(format!("write `tcp/{lower}` or `udp/{lower}`"));
    }
    if let Some(hint) = service_list(&lower) {
        return Some(hint);
    }
    let (protocol, ports) = lower.split_once([':', ' ', '-'])?;
    let ports = ports.trim();
    (matches!(protocol, "tcp" | "udp") && is_number(ports) && ports.len() <= 5)
        .then(|| format!("write `{protocol}/{ports}`"))
}

/// The hint for several services in one text.
fn service_list(text: &str) -> Option<String> {
    let is_service = |part: &str| {
        service_keys(part).is_some() || port_expr::parse(part).is_some_and(|key| key.is_ok())
    };
    let parts: Vec<&str> = text
        .split([',', ';', ' '])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    if parts.len() < 2 || !parts.iter().all(|part| is_service(part)) {
        return None;
    }
    Some(format!("write a list: [{}]", quoted_list(parts.iter())))
}

/// The hint for the key of another tool, in a table with these keys.
pub(super) fn for_key(key: &str, known: &[&str]) -> Option<&'static str> {
    let is_rule = known.contains(&"allow");
    let is_instance = known.contains(&"rules") && !known.contains(&"match");
    Some(
        match key.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
            "port" | "ports" | "fromport" | "toport" | "protocol" | "proto" | "service"
                if is_rule =>
            {
                "`allow` names protocol and port, as in `allow = \"tcp/22\"`"
            }
            "source" | "sources" | "src" | "cidr" | "cidrs" | "cidrblocks" | "ipv6cidrs"
            | "cidrlistaliases" | "ip" | "address" | "addresses"
                if is_rule =>
            {
                "`from` names who gets in, as in `from = \"203.0.113.7\"`"
            }
            "name" | "description" | "comment" | "reason" if is_rule => {
                "`why` says what a rule is for"
            }
            "expires" | "expiry" | "end" | "ttl" if is_rule => {
                "`until` says when a rule ends, as in `until = 2031-12-31`"
            }
            "region" | "account" if is_instance => {
                "the name of the table has it, as in `[instances.\"eu-central-1/web-1\"]`"
            }
            "port" | "ports" | "allow" | "ingress" | "portinfos" | "portstates" if is_instance => {
                "`rules` is a list, as in `rules = [{ allow = \"ssh\", from = \"203.0.113.7\" }]`"
            }
            _ => return None,
        },
    )
}

/// The hint for a text of `from` that is not an address set.
pub(super) fn for_from(text: &str) -> Option<String> {
    let trimmed = text.trim();
    if trimmed != text && looks_like_address(trimmed) {
        return Some("remove the spaces".to_owned());
    }
    let lower = trimmed.to_ascii_lowercase();
    let hint = match lower.as_str() {
        "*" | "any" | "all" | "everyone" | "everybody" | "everywhere" | "world" | "internet"
        | "public" => "to let everyone in, write `anywhere`",
        "lightsail" | "browser" | "console" => "the browser client is `lightsail-connect`",
        "localhost" | "self" | "vpc" | "private" | "internal" => {
            "this firewall sees public traffic only: name the public address that it comes from"
        }
        "me" | "myself" | "my-ip" | "myip" => "write the address, as in `192.0.2.1`",
        text if text.starts_with("sg-") || text.starts_with("pl-") => {
            "Lightsail has no security groups and no prefix lists: name addresses"
        }
        text => return for_addresses(text),
    };
    Some(hint.to_owned())
}

/// The hint for a range of addresses, a network or a host name in another syntax.
fn for_addresses(text: &str) -> Option<String> {
    if let Some((first, last)) = text.split_once('-')
        && let Ok(first) = first.trim().parse::<Ipv4Addr>()
    {
        let last = last.trim();
        let end = last.parse().ok().or_else(|| {
            let [a, b, c, _] = first.octets();
            last.parse().ok().map(|d| Ipv4Addr::from([a, b, c, d]))
        });
        if let Some(end) = end {
            return Some(address_range(first, end));
        }
    }
    if let Some((address, length)) = text.split_once('\\')
        && let Ok(network) = format!("{address}/{length}").parse::<IpNet>()
    {
        return Some(format!("write `{network}`"));
    }
    wildcard(text).or_else(|| host_name(text))
}

/// The hint for the name of an instance as a source.
pub(super) fn for_instance_name(name: &str) -> String {
    format!(
        "{} is an instance, and sources are addresses or sets: name the public address that it comes from; private traffic between \
         instances does not pass this firewall",
        quote(name)
    )
}

/// The hint for the name of a group as a source.
pub(super) fn for_group_name(name: &str) -> String {
    format!(
        "{} is a group of instances, and sources are addresses or sets: name the public addresses that they come from",
        quote(name)
    )
}

/// The hint for several addresses in one text.
pub(super) fn for_address_list(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split([',', ';']).map(str::trim).collect();
    let is_address = |part: &&str| part.parse::<IpNet>().is_ok() || part.parse::<IpAddr>().is_ok();
    if parts.len() < 2 || !parts.iter().all(is_address) {
        return None;
    }
    let rest = parts.get(MAX_NETWORKS).map_or("", |_| ", ...");
    let first = quoted_list(parts.iter().take(MAX_NETWORKS));
    Some(format!("write a list: [{first}{rest}]"))
}

/// The hint for a range of addresses.
fn address_range(first: Ipv4Addr, last: Ipv4Addr) -> String {
    let networks = Ipv4Subnets::new(first, last, 0);
    let networks: Vec<Ipv4Net> = networks.take(MAX_NETWORKS + 1).collect();
    if networks.is_empty() || networks.len() > MAX_NETWORKS {
        "a range of addresses is written as networks, as in `192.0.2.0/28`".to_owned()
    } else {
        format!("write networks: [{}]", quoted_list(networks.iter()))
    }
}

fn quoted_list(items: impl Iterator<Item: fmt::Display>) -> String {
    let items: Vec<String> = items.map(|item| format!("\"{item}\"")).collect();
    items.join(", ")
}

/// The hint for wildcards such as `203.0.113.*` and `203.0.*.*`.
fn wildcard(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('.').collect();
    let numbers: Vec<u8> = parts
        .iter()
        .map_while(|part| part.parse::<u8>().ok())
        .collect();
    let is_rest = |part: &&str| matches!(*part, "*" | "x");
    if parts.len() != 4 || numbers.len() == 4 || !parts[numbers.len()..].iter().all(is_rest) {
        return None;
    }
    let mut octets = [0; 4];
    octets[..numbers.len()].copy_from_slice(&numbers);
    let network = Ipv4Addr::from(octets);
    Some(format!("write `{network}/{}`", numbers.len() * 8))
}

fn host_name(text: &str) -> Option<String> {
    let labels = text.split('.');
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    let is_host = text.contains('.')
        && labels.clone().all(is_label)
        && last.len() > 1
        && last.bytes().all(|b| b.is_ascii_alphabetic());
    is_host.then(|| {
        "a firewall knows addresses only, and host names are not looked up: write its addresses"
            .to_owned()
    })
}

/// The hint for a netmask, or a prefix length with leading zeros.
pub(super) fn for_prefix_length(address: IpAddr, text: &str) -> Option<String> {
    let length = match text.parse::<Ipv4Addr>() {
        Ok(mask) if address.is_ipv4() => {
            let length = u32::from(mask).leading_ones();
            (u32::from(mask).count_ones() == length).then_some(length)?
        }
        Ok(_) => return None,
        Err(_) => {
            let is_number = text.len() <= 8 && text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|_| is_number)?
        }
    };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    (length <= longest).then(|| format!("write `{address}/{length}`"))
}

/// The hint for the display name of a region in the Lightsail console.
pub(super) fn for_region(text: &str) -> Option<String> {
    let name = text.trim();
    let mut regions = REGIONS.iter();
    let region = regions.find(|region| region.display.eq_ignore_ascii_case(name))?;
    Some(format!("{} is {}", region.display, quote(region.name)))
}

/// The hint for a part of a file in JSON or YAML.
pub(super) const FOR_COLON: &str = "TOML writes `key = value`; where this is a part of what the AWS CLI prints, `portward import` writes it \
                                as a configuration";

/// The number of lines that are searched for output of the AWS CLI.
const MAX_LINES_SEARCHED: usize = 20;

/// The hint for a text that is not TOML.
pub(super) fn for_file(text: &str) -> Option<&'static str> {
    let start = text.trim_start();
    // A JSON list of objects. Other brackets begin a table of TOML or a section of an INI file.
    let list = start.strip_prefix('[').map(str::trim_start);
    let is_json = start.starts_with('{') || list.is_some_and(|list| list.starts_with('{'));
    let json = is_json.then_some(
        "this looks like JSON: `portward import` writes a configuration from what is live",
    );
    json.or_else(|| for_cli_output(text))
}

/// The hint for output of the AWS CLI about ports, in any of its formats.
pub(super) fn for_cli_output(text: &str) -> Option<&'static str> {
    let is_printed = |line: &str| {
        let word = line.trim_start_matches(['|', ' ', '-', '"', '\t']);
        let word = word.split(|c: char| !c.is_ascii_alphanumeric()).next();
        matches!(
            word.unwrap_or_default(),
            "PORTSTATES"
                | "PORTS"
                | "GetInstancePortStates"
                | "portStates"
                | "portInfos"
                | "fromPort"
        )
    };
    let mut lines = text.lines().take(MAX_LINES_SEARCHED);
    lines.any(is_printed).then_some(
        "this looks like output of the AWS CLI: `portward import` writes a configuration from what is live",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn syntax_of_other_tools_has_a_hint() {
        for (text, hint) in [
            ("22", Some("write `tcp/22` or `udp/22`")),
            (
                "8000-8080",
                Some("write `tcp/8000-8080` or `udp/8000-8080`"),
            ),
            ("tcp:22", Some("write `tcp/22`")),
            ("TCP 22", Some("write `tcp/22`")),
            ("any", Some("`all` is every port of every protocol")),
            ("All traffic", Some("`all` is every port of every protocol")),
            ("http, https", Some("write a list: [\"http\", \"https\"]")),
            (
                "ssh tcp/8080",
                Some("write a list: [\"ssh\", \"tcp/8080\"]"),
            ),
            ("webserver", None),
            ("tcp:", None),
            ("-", None),
        ] {
            assert_eq!(for_allow(text).as_deref(), hint, "{text}");
        }
        let hosts = "a firewall knows addresses only, and host names are not looked up: write its addresses";
        let groups = "Lightsail has no security groups and no prefix lists: name addresses";
        for (text, hint) in [
            ("*", Some("to let everyone in, write `anywhere`")),
            ("Any", Some("to let everyone in, write `anywhere`")),
            ("203.0.113.*", Some("write `203.0.113.0/24`")),
            ("203.0.x.x", Some("write `203.0.0.0/16`")),
            ("*.*.*.*", Some("write `0.0.0.0/0`")),
            ("203.*.113.1", None),
            (
                "203.0.113.0-203.0.113.9",
                Some("write networks: [\"203.0.113.0/29\", \"203.0.113.8/31\"]"),
            ),
            (
                "203.0.113.0-9",
                Some("write networks: [\"203.0.113.0/29\", \"203.0.113.8/31\"]"),
            ),
            ("203.0.113.0\\24", Some("write `203.0.113.0/24`")),
            (
                "lightsail",
                Some("the browser client is `lightsail-connect`"),
            ),
            (
                "203.0.113.1 - 203.0.113.254",
                Some("a range of addresses is written as networks, as in `192.0.2.0/28`"),
            ),
            (
                "203.0.113.9-203.0.113.1",
                Some("a range of addresses is written as networks, as in `192.0.2.0/28`"),
            ),
            ("home.example.com", Some(hosts)),
            ("sg-0123456789abcdef0", Some(groups)),
            ("\u{a0}203.0.113.1", Some("remove the spaces")),
            ("office", None),
            ("v1.2", None),
        ] {
            assert_eq!(for_from(text).as_deref(), hint, "{text}");
        }
        let network = IpAddr::from([203, 0, 113, 0]);
        for (text, hint) in [
            ("255.255.255.0", Some("write `203.0.113.0/24`")),
            ("0.0.0.0", Some("write `203.0.113.0/0`")),
            ("255.0.255.0", None),
            ("024", Some("write `203.0.113.0/24`")),
            ("00", Some("write `203.0.113.0/0`")),
            ("33", None),
            ("", None),
        ] {
            assert_eq!(for_prefix_length(network, text).as_deref(), hint, "{text}");
        }
        assert_eq!(
            for_address_list("0.0.0.0/0, ::/0").as_deref(),
            Some("write a list: [\"0.0.0.0/0\", \"::/0\"]")
        );
        assert_eq!(for_address_list("0.0.0.0/0"), None);
        assert_eq!(for_address_list("0.0.0.0/0, office"), None);
        assert_eq!(
            for_region("frankfurt").as_deref(),
            Some("Frankfurt is `eu-central-1`")
        );
        assert_eq!(for_region("Atlantis"), None);
        for (text, has_hint) in [
            ("{\"portStates\": []}", true),
            ("PORTSTATES\t22\ttcp\topen\t22\nCIDRS\t0.0.0.0/0", true),
            (
                "-----------\n|  GetInstancePortStates  |\n+---------+",
                true,
            ),
            ("portStates:\n- cidrs: []\n  fromPort: 22", true),
            (" [\n  {\"fromPort\": 22}]", true),
            ("[default]\nuser = x y", false),
            ("[[instances]]", false),
            ("", false),
        ] {
            assert_eq!(for_file(text).is_some(), has_hint, "{text}");
        }
    }

    proptest! {
        #[test]
        fn hints_do_not_panic(text in "\\PC{0,40}") {
            let _ = (for_allow(&text), for_from(&text), for_address_list(&text));
            let _ = (for_region(&text), for_file(&text), for_cli_output(&text));
            let _ = for_prefix_length(IpAddr::from([0, 0, 0, 0]), &text);
        }
    }
}
