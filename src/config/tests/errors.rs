//! Tests of errors and warnings: the place, the message and the hint of each kind.

use super::problems;

/// Line 1 is `version = 1`, so the text begins on line 2.
pub(super) fn check(cases: &[(&str, &[&str])]) {
    for (text, expected) in cases {
        assert_eq!(problems(text), *expected, "in\n{text}");
    }
}

const USED: &str = "[instances.ab]\nrules = [{ allow = \"ssh\", from = \"x\" }]\n";

#[test]
fn keys_of_other_tools_get_a_hint() {
    check(&[
        (
            "[instances.ab]\nrules = [{ \"fromPort\": 22, \"toPort\": 22, \"protocol\": \"tcp\", \"cidrs\": [\"0.0.0.0/0\"] }]",
            &[
                "3:22: error[PW-102]: expected `=`, found `:` (TOML writes `key = value`; where this is a part of what the AWS CLI prints, `portward import` writes it as a configuration)",
            ],
        ),
        (
            "[instances.ab]\nregion = \"eu-central-1\"\nrules = [{ allow = \"ssh\", cidr = \"x\", from = \"203.0.113.7\", name = \"x\" }]",
            &[
                "3:1: error[PW-103]: unknown key `region` in instance `ab` (the name of the table has it, as in `[instances.\"eu-central-1/web-1\"]`)",
                "4:27: error[PW-103]: unknown key `cidr` in a rule (`from` names who gets in, as in `from = \"203.0.113.7\"`)",
                "4:61: error[PW-103]: unknown key `name` in a rule (`why` says what a rule is for)",
            ],
        ),
    ]);
}

#[test]
fn unknown_keys_and_wrong_types_are_reported() {
    check(&[
        (
            "colour = 1",
            &[
                "2:1: error[PW-103]: unknown key `colour` in the file (the keys here are `version`, `include`, `defaults`, `accounts`, `addresses`, `services`, `rulesets`, `groups`, `instances`, `guard`, `grants`, `policy`)",
            ],
        ),
        (
            "[default]",
            &["2:2: error[PW-103]: unknown key `default` in the file (did you mean `defaults`?)"],
        ),
        (
            "[defaults]\nregoin = \"eu-west-1\"",
            &["3:1: error[PW-103]: unknown key `regoin` in `[defaults]` (did you mean `region`?)"],
        ),
        (
            "[defaults]\nregion = 1",
            &["3:10: error[PW-104]: `region` must be a string, found an integer"],
        ),
        (
            "[defaults]\nregions = []",
            &["3:11: error[PW-104]: `regions` is empty (name a region, as in [\"eu-central-1\"])"],
        ),
        (
            "[defaults]\nregion = \"EU-west-1\"",
            &["3:10: error[PW-109]: `EU-west-1` is not a valid region (did you mean `eu-west-1`?)"],
        ),
        (
            "[defaults]\nregion = \"eu-wset-1\"",
            &[
                "3:10: warning[PW-152]: `eu-wset-1` is not among the regions known to have Lightsail (did you mean `eu-west-1`?)",
            ],
        ),
        (
            "[defaults]\nmode = \"aditive\"",
            &[
                "3:8: error[PW-105]: `mode` cannot be `aditive`: it is one of `authoritative`, `additive`, `observe` (did you mean `additive`?)",
            ],
        ),
        (
            "[defaults]\nstrategy = true",
            &["3:12: error[PW-104]: `strategy` must be a string, found a boolean"],
        ),
        (
            "addresses = 3",
            &["2:13: error[PW-104]: `[addresses]` must be a table, found an integer"],
        ),
        (
            "[instances.ab]\nrules = \"ssh\"",
            &["3:9: error[PW-104]: `rules` must be a list of rules, found a string"],
        ),
        (
            "[instances.ab]\nrules = [1]",
            &["3:10: error[PW-104]: a rule must be a table, found an integer"],
        ),
        (
            "[instances.ab]\nuse = 1979-05-27",
            &[
                "3:7: error[PW-104]: `use` must be a string or a list of strings, found a date or time",
            ],
        ),
        (
            "[instances.ab]\nuse = [1.5]",
            &["3:8: error[PW-104]: each element of `use` must be a string, found a float"],
        ),
        (
            "[instances.mainnet.0.1]\nrules = []",
            &[
                "2:20: error[PW-103]: instance `mainnet` has an unknown table (a name with dots is quoted, as in `[instances.\"mainnet.0.1\"]`)",
            ],
        ),
        (
            "[[instances]]\nname = \"ab\"",
            &[
                "2:1: error[PW-104]: `[instances]` must be a table, found a list (each has a table of its own, as in `[instances.NAME]`)",
            ],
        ),
        (
            "[instances.ab]\nrules = [{ allow = 22, from = \"anywhere\" }]",
            &[
                "3:20: error[PW-104]: `allow` must be a string or a list of strings, found an integer (write `tcp/22` or `udp/22`)",
            ],
        ),
        (
            "[instances.ab]\nmatch = {}",
            &[
                "3:1: error[PW-103]: unknown key `match` in instance `ab` (the keys here are `use`, `rules`, `absent`, `mode`, `strategy`)",
            ],
        ),
    ]);
}

#[test]
fn invalid_groups_are_reported() {
    check(&[
        (
            "[groups.gg]",
            &[
                "2:9: error[PW-104]: group `gg` has no `match` (say which instances it takes, as in `match = { name = \"web-*\" }`)",
                "2:9: warning[PW-151]: group `gg` declares instances, and neither rules nor settings",
            ],
        ),
        (
            "[groups.gg]\nmode = \"observe\"\nmatch = {}",
            &[
                "4:9: error[PW-104]: `match` has no condition (to take every instance, write `match = { name = \"*\" }`)",
            ],
        ),
        (
            "[groups.gg]\nmode = \"observe\"\nmatch = { name = \"a***\" }",
            &[
                "4:18: error[PW-105]: `a***` is not a valid pattern: wildcards are either regular `*` or recursive `**` (`*` is any text, `?` one character, `[ab]` one of these)",
            ],
        ),
        (
            "[groups.gg]\nmode = \"observe\"\nmatch = { name = \"a\" }",
            &[
                "4:18: error[PW-108]: `a` cannot be the name of an instance (an instance name has at least two characters)",
            ],
        ),
        (
            "[groups.gg]\nmode = \"observe\"\nmatch = { region = \"eu-*\" }",
            &[
                "4:20: error[PW-104]: a pattern of regions needs the list of regions to look at (add it, as in `[defaults] regions = [\"eu-central-1\"]`)",
            ],
        ),
        (
            "[groups.gg]\nmode = \"observe\"\nexpect = \"9..1\"\nmatch = { name = \"*\" }",
            &[
                "4:10: error[PW-105]: `expect` cannot be `9..1` (write a number as in \"3\", or a range as in \"1..200\" or \"1..\")",
            ],
        ),
        (
            "[groups.gg]\nmode = \"observe\"\nexpect = 3\nmatch = { name = \"*\" }",
            &[],
        ),
    ]);
}

#[test]
fn invalid_addresses_and_ports_are_reported() {
    let address = |text: &str| problems(&format!("{USED}[addresses]\nx = [\"{text}\"]"));
    for (text, expected) in [
        (
            "203.0.113.7/24",
            "5:6: error[PW-107]: `203.0.113.7/24` has host bits set (the network is `203.0.113.0/24`; for the one address write `203.0.113.7`)",
        ),
        (
            "010.0.0.1",
            "5:6: error[PW-107]: `010.0.0.1` is not a valid address (a leading zero is read as octal by some programs: write `10.0.0.1`)",
        ),
        (
            "10.0.0.0/08",
            "5:6: error[PW-107]: `10.0.0.0/08` has no prefix length that is possible (write `10.0.0.0/8`)",
        ),
        (
            "::/129",
            "5:6: error[PW-107]: `::/129` has no prefix length that is possible (it is a number from 0 to 128, without leading zeros, as in `::/128`)",
        ),
    ] {
        assert_eq!(address(text), [expected]);
    }
    for good in [
        "192.0.2.1",
        "0.0.0.0/1",
        "2001:DB8::/32",
        "0.0.0.0/0",
        "::/0",
        "anywhere",
        "lightsail-connect",
    ] {
        assert_eq!(address(good), [""; 0], "{good}");
    }
    let allow = |text: &str| {
        problems(&format!(
            "[instances.ab]\nrules = [{{ allow = \"{text}\", from = \"anywhere\" }}]"
        ))
    };
    for (text, expected) in [
        (
            "all/22",
            "3:20: error[PW-106]: `all/22` gives ports beside `all` (`all` is every port of every protocol: write `all`, or name the protocol as in `tcp/443`)",
        ),
        (
            "tcp/65536",
            "3:20: error[PW-106]: port 65536 is not within 0-65535",
        ),
        (
            "tcp/9-8",
            "3:20: error[PW-106]: the range 9-8 ends before it starts (write `tcp/8-9`)",
        ),
        (
            "icmp/8:256",
            "3:20: error[PW-106]: ICMP type or code 256 is not within -1-255",
        ),
        (
            "tcp",
            "3:20: error[PW-106]: `tcp` names no port (write `tcp/443`, or `tcp/0-65535` for every port)",
        ),
    ] {
        assert_eq!(allow(text), [expected]);
    }
}

#[test]
fn invalid_rules_are_reported() {
    let rule = |text: &str| problems(&format!("[instances.ab]\nrules = [{{ {text} }}]"));
    for (text, expected) in [
        (
            "from = \"anywhere\"",
            "3:10: error[PW-104]: the rule has no `allow` (add what it opens, as in `allow = \"ssh\"`)",
        ),
        (
            "allow = \"ssh\"",
            "3:10: error[PW-104]: the rule has no `from` (name who gets in, or write `from = \"anywhere\"` for everyone)",
        ),
        (
            "from = [], allow = \"ssh\"",
            "3:19: error[PW-104]: `from` is empty (a rule without sources would open the port to everyone: name one, or write \"anywhere\")",
        ),
        (
            "allow = [], from = \"anywhere\"",
            "3:20: error[PW-104]: `allow` is empty (name a service or a port, as in `allow = \"ssh\"` or `allow = \"tcp/8080\"`)",
        ),
        (
            "allow = \"icmp\", from = \"2001:db8::1\"",
            "3:35: error[PW-107]: `2001:db8::1` is an IPv6 address, which `icmp` does not take (the protocol for IPv6 is `icmpv6`; `ping` is both)",
        ),
        (
            "allow = \"icmp\", from = \"anywhere\", any-family = \"yes\"",
            "3:60: error[PW-104]: `any-family` must be a boolean, found a string",
        ),
        (
            "allow = [\"ssh\", \"icmpv6/1\"], from = \"192.0.2.1\"",
            "3:48: error[PW-107]: `192.0.2.1` is an IPv4 address, which `icmpv6/1` does not take (the protocol for IPv4 is `icmp`; `ping` is both)",
        ),
        (
            "allow = \"ssh\", from = \"anywhere\", why = \"a\\nb\"",
            "3:52: error[PW-116]: `why` holds a line break or an invisible character, U+000A (reports show it on one line: write plain text)",
        ),
        (
            "allow = \"ssh\", from = \"anywhere\", until = \"2031-12-31\"",
            "3:54: error[PW-104]: `until` must be a date or a date-time, found a string (write it without quotes, as in `until = 2031-12-31`)",
        ),
        (
            "allow = \"ssh\", from = \"anywhere\", until = 12:00:00",
            "3:54: error[PW-105]: `until` is a time without a date (write a date, as in `until = 2031-12-31`)",
        ),
        (
            "allow = \"ssh\", from = \"anywhere\", until = 2031-12-31T12:00:00",
            "3:54: error[PW-105]: `until` has a time but no offset (add the offset, as in `2031-12-31T18:00:00Z` or `2031-12-31T18:00:00+01:00`, or write only the date)",
        ),
        (
            "allow = \"ssh\", from = \"anywhere\", owner = \"o\", waive = \"all-open-to-world\"",
            "3:67: error[PW-104]: `waive` needs `why` and `until` (an exception needs a reason, an owner and an end)",
        ),
    ] {
        assert_eq!(rule(text), [expected]);
    }
    for good in [
        "allow = \"ping\", from = \"2001:db8::1\"",
        "allow = \"ping\", from = \"192.0.2.1\"",
        "allow = \"all\", from = \"anywhere-v6\"",
    ] {
        assert_eq!(rule(good), [""; 0], "{good}");
    }
    let absent = "absent = [{ allow = \"ssh\" }]";
    let hint = "(in additive mode (`mode = \"additive\"`) it names access to close; in authoritative mode remove it, because rules that are not declared are closed)";
    check(&[
        (
            &format!("[instances.ab]\n{absent}"),
            &[&format!(
                "3:11: error[PW-114]: `absent` has no meaning in this mode {hint}"
            )],
        ),
        (
            &format!("[instances.ab]\nmode = \"observe\"\n{absent}"),
            &[&format!(
                "4:11: error[PW-114]: `absent` has no meaning in observe mode {hint}"
            )],
        ),
        (
            &format!("[instances.ab]\nmode = \"additive\"\n{absent}"),
            &[],
        ),
        (
            &format!("[defaults]\nmode = \"additive\"\n[instances.ab]\n{absent}"),
            &[],
        ),
        (
            "[instances.ab]\nmode = \"additive\"\nabsent = [{ allow = \"ssh\", until = 2031-12-31 }]",
            &[
                "4:28: error[PW-103]: unknown key `until` in a rule of `absent` (the keys here are `allow`, `from`, `owner`, `why`)",
            ],
        ),
    ]);
}

#[test]
fn unreachable_sources_are_reported() {
    let warning = |at: &str, text: &str, what: &str| {
        format!(
            "{at}: warning[PW-152]: nobody arrives at a public address from `{text}`, which is {what} (name the public addresses that they come from)"
        )
    };
    // In rules, sets, `keep` and `require`.
    let rule = |from: &str| {
        problems(&format!(
            "[instances.ab]\nrules = [{{ allow = \"all\", from = \"{from}\" }}]"
        ))
    };
    for (text, what) in [
        ("172.31.0.0/16", "private (RFC 1918)"),
        ("127.0.0.1", "loopback (RFC 1122)"),
        ("169.254.1.1", "link-local (RFC 3927)"),
        (
            "100.64.0.0/10",
            "shared behind carrier-grade NAT (RFC 6598)",
        ),
        ("0.0.0.0/32", "unspecified (\"this network\") (RFC 791)"),
        ("224.0.0.0/3", "multicast (RFC 1112)"),
        ("::1", "loopback (RFC 4291)"),
        ("::/128", "unspecified (RFC 4291)"),
        ("::ffff:203.0.113.7", "IPv4-mapped (RFC 4291)"),
        ("fd00::/8", "unique local (RFC 4193)"),
    ] {
        assert_eq!(rule(text), [warning("3:34", text, what)], "{text}");
    }
    for text in [
        "anywhere",
        "0.0.0.0/0",
        "::/0",
        "10.0.0.0/7",
        "203.0.113.0/24",
        "2001:db8::/32",
        "3fff::/20",
    ] {
        assert_eq!(rule(text), [""; 0], "{text}");
    }
    let private = |at: &str| warning(at, "10.0.0.1", "private (RFC 1918)");
    let table = "[instances.ab]\nrules = [{ allow = \"ssh\", from = \"anywhere\" }]\n";
    for (text, at) in [
        (format!("[addresses]\nx = [\"10.0.0.1\"]\n{USED}"), "3:6"),
        (
            format!("{table}[guard]\nkeep = [{{ allow = \"ssh\", from = \"10.0.0.1\" }}]"),
            "5:33",
        ),
        (
            format!(
                "{table}[[policy]]\nid = \"p\"\nrequire = {{ allow = \"ssh\", from = \"10.0.0.1\" }}"
            ),
            "6:35",
        ),
        (
            format!("{table}[[policy]]\nid = \"p\"\nservices = \"ssh\"\nonly-from = \"10.0.0.1\""),
            "7:13",
        ),
    ] {
        assert_eq!(problems(&text), [private(at)], "{text}");
    }
    // `absent` has no warning.
    let absent =
        "[instances.ab]\nmode = \"additive\"\nabsent = [{ allow = \"ssh\", from = \"10.0.0.1\" }]";
    assert_eq!(problems(absent), [""; 0]);
    // A list has one warning.
    let many = |table: &str| {
        problems(&format!(
            "{table}[\"10.0.0.1\", \"203.0.113.7\", \"127.0.0.1\", \"fe80::1\"]"
        ))
    };
    let more = "private (RFC 1918), nor from 2 more sources of this list";
    assert_eq!(
        many(&format!("{USED}[addresses]\nx = ")),
        [warning("5:6", "10.0.0.1", more)]
    );
    // Every rule has its own warning.
    let twice = "[instances.ab]\nrules = [{ allow = \"ssh\", from = \"10.0.0.1\" },\n  { allow = \"http\", from = \"10.0.0.1\" }]";
    assert_eq!(problems(twice), [private("3:34"), private("4:28")]);
    for (text, word) in [("0.0.0.0", "anywhere-v4"), ("::", "anywhere-v6")] {
        assert_eq!(
            rule(text),
            [format!(
                "3:34: error[PW-107]: `{text}` is not the address of anybody (to let everyone in, write `anywhere` or `{word}`)"
            )]
        );
    }
}

#[test]
fn long_lists_of_problems_are_truncated() {
    let rule = |at| format!("  {{ allow = \"tcp/{at}\", from = \"10.0.0.7\" }},\n");
    let rules: String = (0..3000).map(rule).collect();
    let text = |last| format!("[instances.ab]\nrules = [\n{rules}{last}]\n");
    let failed = problems(&text("  { allow = \"tcp/80000\", from = \"anywhere\" },\n"));
    assert_eq!(failed.len(), 202);
    assert!(
        failed[200].starts_with("3004:13: error[PW-106]: "),
        "{}",
        failed[200]
    );
    let last = "0:0: warning[PW-149]: and 2800 more warnings, which are not shown";
    assert_eq!(failed[201], last);
    let valid = problems(&text(""));
    assert_eq!((valid.len(), valid[200].as_str()), (201, last));
}

#[test]
fn instance_name_as_source_and_cli_output_have_hints() {
    check(&[
        (
            "[instances.\"eu-central-1/web-2\"]\nrules = [{ allow = \"ssh\", from = [\"web-2\"] }]",
            &[
                "3:35: error[PW-109]: there is no address set `web-2` (`web-2` is an instance, and sources are addresses or sets: name the public address that it comes from; private traffic between instances does not pass this firewall)",
            ],
        ),
        (
            "[groups.web]\nmatch = { name = \"*\" }\nrules = [{ allow = \"ssh\", from = [\"web\"] }]",
            &[
                "4:35: error[PW-109]: there is no address set `web` (`web` is a group of instances, and sources are addresses or sets: name the public addresses that they come from)",
            ],
        ),
    ]);
    let import = "this looks like output of the AWS CLI: `portward import` writes a configuration from what is live";
    for pasted in [
        "PORTSTATES\t22\ttcp\topen\t22\nCIDRS\t0.0.0.0/0",
        "{\n    \"portStates\": [\n        {\n            \"fromPort\": 22,\n",
        "portStates:\n- cidrs:\n  - 0.0.0.0/0\n  fromPort: 22",
        "-----------\n|  GetInstancePortStates  |\n+---------+",
    ] {
        let found = problems(&format!("[defaults]\nregion = \"eu-central-1\"\n{pasted}"));
        let hints = found.iter().filter(|problem| problem.contains(import));
        assert_eq!(hints.count(), 1, "{pasted}: {found:#?}");
    }
    // Other syntax errors do not have this hint.
    let found = problems("[defaults]\nregion = = 1\n");
    assert!(
        !found.iter().any(|problem| problem.contains(import)),
        "{found:#?}"
    );
}
