//! Tests of complete imported files.

use super::*;

#[test]
fn imported_file_looks_handwritten() {
    let entry = |protocol: &str, from_port, to_port, cidrs: &[&str], ipv6: &[&str]| PortState {
        from_port,
        to_port,
        protocol: protocol.to_owned(),
        cidrs: cidrs.iter().map(ToString::to_string).collect(),
        ipv6_cidrs: ipv6.iter().map(ToString::to_string).collect(),
        ..PortState::default()
    };
    let web = [
        entry("tcp", 443, 443, &["0.0.0.0/0"], &["::/0"]),
        entry("tcp", 80, 80, &["0.0.0.0/0"], &["::/0"]),
        entry("icmp", 8, -1, &["0.0.0.0/0"], &[]),
        entry("icmpv6", 128, 0, &[], &["::/0"]),
        entry("tcp", 22, 22, &["203.0.113.0/24", "198.51.100.7"], &[]),
    ];
    let db = [
        entry("tcp", 5432, 5432, &["203.0.113.0/24"], &[]),
        entry("tcp", 53, 53, &["10.0.0.0/8"], &[]),
        entry("udp", 53, 53, &["10.0.0.0/8"], &[]),
        PortState {
            cidr_list_aliases: vec!["partners".to_owned()],
            ..entry("tcp", 8080, 8089, &["0.0.0.0/0"], &[])
        },
        entry("tcp", 21, 21, &[], &[]),
    ];
    let mut live = Live::default();
    add(
        &mut live,
        id("eu-central-1", "web-1"),
        "dualstack",
        Some(&web),
    );
    add(
        &mut live,
        id("eu-central-1", "web-2"),
        "dualstack",
        Some(&web),
    );
    add(&mut live, id("eu-central-1", "db-1"), "ipv4", Some(&db));
    add(&mut live, id("eu-central-1", "old-1"), "ipv4", Some(&[]));
    add(&mut live, id("eu-central-1", "blind-1"), "ipv4", None);
    let imported = import(&live, &["eu-central-1".to_owned()].into());
    insta::assert_snapshot!(imported.text, @r#"
    # Made by `portward import` from what was live.
    version = 1

    [defaults]
    region = "eu-central-1"
    mode = "authoritative" # what is not declared is closed

    # Not declared below, and so not touched:
    # eu-central-1/blind-1: its rules could not be read: no\u{a}rules = []

    [rulesets]
    web = [
      { allow = "ssh", from = ["198.51.100.7", "203.0.113.0/24"] },
      { allow = ["http", "https", "ping"], from = "anywhere" },
    ]

    [instances.db-1]
    # Live and not declared, since the language has no words for it. `plan` shows it as a difference:
    #   tcp/8080-8089 from `partners`: the language has no word for this alias
    #   tcp 21-21: it names no source
    rules = [
      { allow = "dns", from = "10.0.0.0/8" },
      { allow = "postgres", from = "203.0.113.0/24" },
      { allow = "tcp/8080-8089", from = "anywhere-v4" },
    ]

    [instances.old-1]
    rules = []

    [instances.web-1]
    use = ["web"]

    [instances.web-2]
    use = ["web"]
    "#);
    insta::assert_snapshot!(imported.left_out.join("\n"), @r"
    eu-central-1/blind-1: its rules could not be read: no
    rules = []
    eu-central-1/db-1: tcp/8080-8089 from `partners`: the language has no word for this alias
    eu-central-1/db-1: tcp 21-21: it names no source
    ");
}

#[test]
fn repeated_lists_become_address_sets() {
    let rule = |port, sources: &[&str]| {
        let key = Key::new(Protocol::Tcp, port, port).expect("a port");
        PortState::canonical(key, &named(sources))
    };
    let (office, both) = (
        ["203.0.113.0/24", "198.51.100.7/32"],
        ["203.0.113.0/24", "198.51.100.7/32", "lightsail-connect"],
    );
    let vpn = ["192.0.2.0/25", "2001:db8::/48"];
    let mut live = Live::default();
    for (name, rules) in [
        ("app-1", vec![rule(22, &both), rule(443, &["0.0.0.0/0"])]),
        ("db-1", vec![rule(22, &office), rule(5432, &vpn)]),
        ("db-2", vec![rule(22, &office), rule(5432, &vpn)]),
        (
            "log-1",
            vec![rule(514, &vpn), rule(8080, &["10.0.0.0/8", "10.9.9.9/32"])],
        ),
    ] {
        add(
            &mut live,
            id("eu-central-1", name),
            "dualstack",
            Some(&rules),
        );
    }
    let imported = import(&live, &["eu-central-1".to_owned()].into());
    insta::assert_snapshot!(imported.text, @r#"
    # Made by `portward import` from what was live.
    version = 1

    [defaults]
    region = "eu-central-1"
    mode = "authoritative" # what is not declared is closed

    [addresses]
    clients = ["192.0.2.0/25", "2001:db8::/48"]
    ssh-clients = ["198.51.100.7", "203.0.113.0/24"]

    [rulesets]
    db = [
      { allow = "ssh", from = "ssh-clients" },
      { allow = "postgres", from = "clients" },
    ]

    [instances.app-1]
    rules = [
      { allow = "ssh", from = ["ssh-clients", "lightsail-connect"] },
      { allow = "https", from = "anywhere-v4" },
    ]

    [instances.db-1]
    use = ["db"]

    [instances.db-2]
    use = ["db"]

    [instances.log-1]
    rules = [
      { allow = "tcp/514", from = "clients" },
      { allow = "tcp/8080", from = ["10.0.0.0/8", "10.9.9.9"] },
    ]
    "#);
    assert!(
        planned(&imported.text, &live)
            .instances
            .iter()
            .all(|one| one.verdict == Verdict::InSync)
    );
}

/// Some tools ignore the families, and IPv6 sources stay after IPv6 is switched off.
#[test]
fn sources_of_the_wrong_family_are_declared() {
    let entry = |protocol: &str, from_port, to_port, sources: &[&str]| {
        let protocol = Protocol::from_live(protocol).expect("a protocol");
        let key = Key::new(protocol, from_port, to_port).expect("a key");
        PortState::canonical(key, &named(sources))
    };
    let both = ["0.0.0.0/0", "::/0"];
    let mut live = Live::default();
    for (name, kind, rules) in [
        (
            "ping-1",
            "dualstack",
            vec![
                entry("icmp", 8, -1, &both),
                entry("icmpv6", 128, 0, &["::/0"]),
                entry("tcp", 22, 22, &["203.0.113.0/24"]),
            ],
        ),
        (
            "ping-2",
            "dualstack",
            vec![entry("icmp", 8, -1, &both), entry("icmpv6", 128, 0, &both)],
        ),
        (
            "old-1",
            "ipv4",
            vec![
                entry("tcp", 443, 443, &both),
                entry("tcp", 80, 80, &["0.0.0.0/0"]),
                entry("icmpv6", 128, 0, &["lightsail-connect"]),
            ],
        ),
    ] {
        add(&mut live, id("eu-central-1", name), kind, Some(&rules));
    }
    let imported = import(&live, &["eu-central-1".to_owned()].into());
    assert_eq!((imported.left_out.len(), imported.differs), (0, false));
    insta::assert_snapshot!(imported.text, @r#"
    # Made by `portward import` from what was live.
    version = 1

    [defaults]
    region = "eu-central-1"
    mode = "authoritative" # what is not declared is closed

    [instances.old-1]
    rules = [
      { allow = "http", from = "anywhere-v4" },
      { allow = "https", from = "anywhere", any-family = true },
      { allow = "icmpv6/128:0", from = "lightsail-connect", any-family = true },
    ]

    [instances.ping-1]
    rules = [
      { allow = "ssh", from = "203.0.113.0/24" },
      { allow = "ping", from = "anywhere-v6" },
      { allow = "icmp/8", from = "anywhere", any-family = true },
    ]

    [instances.ping-2]
    rules = [
      { allow = ["icmp/8", "icmpv6/128:0"], from = "anywhere", any-family = true },
    ]
    "#);
    for one in planned(&imported.text, &live).instances {
        assert_eq!(one.verdict, Verdict::InSync, "{}", one.instance.id);
        assert_eq!((one.mode, one.notes), (Mode::Authoritative, Vec::new()));
    }
}
