//! What cannot be read for certain, and the browser client: what every verb says of them.

use std::fs;

use crate::stage::{Done, Stage, fleet, instance, rule};

const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[instances.web-1]
rules = [{ allow = ["https", "mysql"], from = "anywhere" }]
"#;

/// An instance with https open, and an entry of ssh that names no source.
fn stage() -> Stage {
    let rules = vec![
        rule("tcp", 22, 22, &[]),
        rule("tcp", 443, 443, &["0.0.0.0/0", "::/0"]),
    ];
    Stage::new(CONFIG, &fleet(vec![instance("web-1", rules)]))
}

fn diff(stage: &Stage, args: &[&str]) -> Done {
    stage.run(&[&["diff"], args].concat())
}

#[track_caller]
fn json(stage: &Stage, args: &[&str], code: i32) -> serde_json::Value {
    let done = stage.run(&[args, &["--format", "json"]].concat());
    assert_eq!(done.code, Some(code), "{}", done.shown());
    serde_json::from_str(&done.stdout).expect("JSON")
}

fn write(stage: &Stage, name: &str, text: &str) {
    fs::write(stage.path(name), text).expect("a file");
}

/// Rules in a file, in the spelling of a reply, of a request or as a bare list.
fn rules(stage: &Stage, name: &str, member: &str, rules: &[&str]) {
    let list = rules.join(", ");
    let text = match member {
        "" => format!("[{list}]"),
        _ => format!("{{\"{member}\": [{list}]}}"),
    };
    write(stage, name, &text);
}

const ODD: [&str; 2] = [
    r#"{"fromPort": 22, "toPort": 22, "protocol": "tcp"}"#,
    r#"{"fromPort": 53, "toPort": 53, "protocol": "udp"}"#,
];
const MYSQL: &str = r#"{"fromPort": 3306, "toPort": 3306, "protocol": "tcp", "cidrs": ["0.0.0.0/0"], "ipv6Cidrs": ["::/0"]}"#;
const TUNNEL: &str =
    r#"{"fromPort": 0, "toPort": 0, "protocol": "gre", "cidrs": ["203.0.113.0/24"]}"#;

#[test]
fn doubt_is_limited_to_its_ports() {
    let stage = stage();
    rules(&stage, "odd.json", "", &ODD);
    rules(&stage, "mysql.json", "", &[MYSQL]);
    let done = diff(&stage, &["odd.json", "mysql.json"]);
    insta::assert_snapshot!(done.shown(), @r"
    the firewall: in doubt
      + tcp/3306 (mysql) from everyone
      ? tcp/22 (ssh) from everyone  `tcp 22-22` on the old side: it names no source
      ? udp/53 (dns) from everyone  `udp 53-53` on the old side: it names no source
    Diff: 1 of 1 instance in doubt.
    --- stderr
    error[PW-601]: the firewall cannot be compared for certain: on the old side,
                   `tcp 22-22` is in doubt: it names no source
    error[PW-601]: the firewall cannot be compared for certain: on the old side,
                   `udp 53-53` is in doubt: it names no source
    --- exit code 6
    ");
    let back = diff(&stage, &["mysql.json", "odd.json"]);
    insta::assert_snapshot!(back.shown(), @r"
    the firewall: in doubt
      - tcp/3306 (mysql) from everyone
      ? tcp/22 (ssh) from everyone  `tcp 22-22` on the new side: it names no source
      ? udp/53 (dns) from everyone  `udp 53-53` on the new side: it names no source
    Diff: 1 of 1 instance in doubt.
    --- stderr
    error[PW-601]: the firewall cannot be compared for certain: on the new side,
                   `tcp 22-22` is in doubt: it names no source
    error[PW-601]: the firewall cannot be compared for certain: on the new side,
                   `udp 53-53` is in doubt: it names no source
    --- exit code 6
    ");
    let found = json(&stage, &["diff", "odd.json", "mysql.json"], 6);
    let one = &found["instances"][0];
    assert_eq!(one["equal"], serde_json::Value::Null, "{found}");
    assert_eq!(one["gained"][0]["from"], 3306, "{found}");
    assert_eq!(one["lost"], serde_json::json!([]), "{found}");
    assert_eq!(one["doubts"].as_array().map(Vec::len), Some(2), "{found}");
    assert_eq!(
        one["doubts"][0],
        serde_json::json!({"side": "old", "entry": "tcp 22-22", "reason": "it names no source", "access": [
            {"protocol": "tcp", "from": 22, "to": 22, "cidrs": ["0.0.0.0/0"], "ipv6Cidrs": ["::/0"], "cidrListAliases": []}
        ]})
    );
}

#[test]
fn comparison_with_doubt_is_undecided() {
    let stage = stage();
    rules(&stage, "none.json", "", &[]);
    rules(&stage, "odd.json", "portStates", &ODD[..1]);
    rules(&stage, "tunnel.json", "", &[TUNNEL]);
    rules(&stage, "both.json", "", &[ODD[0], MYSQL]);
    let doubtful = ["odd.json", "tunnel.json", "both.json"];
    for one in doubtful {
        for other in ["none.json", one] {
            for [old, new] in [[one, other], [other, one]] {
                let done = diff(&stage, &[old, new]);
                assert_eq!(done.code, Some(6), "{old} {new} {}", done.shown());
                for word in ["equal", "wider", "narrower", "no difference"] {
                    assert!(!done.stdout.contains(word), "{old} {new} {}", done.shown());
                }
                assert!(
                    done.stdout.contains("in doubt"),
                    "{old} {new} {}",
                    done.shown()
                );
                assert!(
                    done.stderr.contains("is in doubt"),
                    "{old} {new} {}",
                    done.shown()
                );
            }
        }
    }
}

#[test]
fn request_rule_without_sources_is_open_to_everyone() {
    let stage = stage();
    rules(&stage, "asked.json", "portInfos", &ODD[..1]);
    rules(&stage, "none.json", "", &[]);
    let done = diff(&stage, &["none.json", "asked.json"]);
    insta::assert_snapshot!(done.shown(), @r"
    the firewall is wider: tcp/22 (ssh) opens to everyone.
    --- exit code 2
    ");
}

#[test]
fn browser_client_is_shown_only_if_its_access_changes() {
    let stage = stage();
    let ssh = |lists: &str| {
        format!("{{\"fromPort\": 22, \"toPort\": 22, \"protocol\": \"tcp\", {lists}}}")
    };
    let alias = "\"cidrListAliases\": [\"lightsail-connect\"]";
    let world = "\"cidrs\": [\"0.0.0.0/0\"]";
    let office = "\"cidrs\": [\"203.0.113.0/24\"]";
    let all = [
        ("alias", ssh(alias)),
        ("world", ssh(world)),
        ("both", ssh(&format!("{world}, {alias}"))),
        ("office", ssh(office)),
        ("desk", ssh(&format!("{office}, {alias}"))),
    ];
    for (name, rule) in &all {
        rules(&stage, &format!("{name}.json"), "", &[rule]);
    }
    for (old, new, words) in [
        (
            "world",
            "both",
            "equal: the firewall\nDiff: no difference in meaning on 1 instance.",
        ),
        (
            "alias",
            "world",
            "the firewall is wider: tcp/22 (ssh) opens to everyone (IPv4).",
        ),
        (
            "both",
            "desk",
            "the firewall is narrower: tcp/22 (ssh) closes to everyone (IPv4) but 203.0.113.0/24, lightsail-connect.",
        ),
        (
            "world",
            "office",
            "the firewall is narrower: tcp/22 (ssh) closes to everyone (IPv4) but 203.0.113.0/24.",
        ),
        (
            "desk",
            "office",
            "the firewall is narrower: tcp/22 (ssh) closes to lightsail-connect.",
        ),
    ] {
        let done = diff(&stage, &[&format!("{old}.json"), &format!("{new}.json")]);
        let told = done.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(told, words.replace('\n', " ").trim_end(), "{old} {new}");
    }
}

#[test]
fn plan_compares_with_certain_access_and_names_the_doubt() {
    let stage = stage();
    let done = stage.on_fleet(&["plan"]);
    insta::assert_snapshot!(done.shown(), @r#"
    web-1 (eu-central-1)                                                 1 call: put
      + tcp 3306     from anywhere                      firewall.toml:5
      - tcp 22-22     uncertain live entry: it names no source
      access: + tcp/3306 from everyone
              ? tcp/22 from everyone, perhaps open now

    Plan: 1 of 1 instance to change, 1 call.
    warning: against policy `database-open-to-world` (introduced by this plan)
             [PW-305]: tcp/3306 is open to the whole IPv4 internet; the limit is a
             /8
      on web-1 (eu-central-1)
      open: tcp/3306 from everyone
      hint: narrow firewall.toml:5, or except a rule with
            `waive = ["database-open-to-world"]`, `why`, `owner` and `until`
    --- exit code 0
    "#);
    stage.configure(&CONFIG.replace("region", "mode = \"additive\"\nregion"));
    let done = stage.on_fleet(&["plan"]);
    insta::assert_snapshot!(done.shown(), @r#"
    web-1 (eu-central-1)                                     1 call: open (additive)
      not fully readable: the live entry `tcp 22-22` cannot be read for certain: it
        names no source
      + tcp 3306     from anywhere                      firewall.toml:6
      access: + tcp/3306 from everyone
              ? tcp/22 from everyone, perhaps open now

    Plan: 1 of 1 instance to change, 1 call; 1 not fully readable.
    warning: against policy `database-open-to-world` (introduced by this plan)
             [PW-305]: tcp/3306 is open to the whole IPv4 internet; the limit is a
             /8
      on web-1 (eu-central-1)
      open: tcp/3306 from everyone
      hint: narrow firewall.toml:6, or except a rule with
            `waive = ["database-open-to-world"]`, `why`, `owner` and `until`
    warning: against policy `admin-open-to-world` (existing, not made worse)
             [PW-305]: tcp/22 may be open to the whole IPv4 internet; the limit is a
             /8
      on web-1 (eu-central-1)
      perhaps open: tcp/22 from everyone
      hint: a live entry cannot be read for certain: give it certain sources and
            ports, or close it, in the console
    --- exit code 6
    "#);
    // Where nothing else is to be done, it is not in sync.
    stage.configure(
        &CONFIG
            .replace("region", "mode = \"additive\"\nregion")
            .replace("\"https\", \"mysql\"", "\"https\""),
    );
    for verb in ["plan", "drift"] {
        let done = stage.on_fleet(&[verb]);
        assert_eq!(done.code, Some(6), "{}", done.shown());
        assert!(!done.says("in sync"), "{}", done.shown());
    }
}

#[test]
fn answer_separates_certain_from_possible_access() {
    let stage = stage();
    let done = stage.on_fleet(&["explain", "web-1"]);
    insta::assert_snapshot!(done.shown(), @r#"
    eu-central-1/web-1: who gets in
      live:
        tcp/443 (https) from everyone, by rule tcp/443
        perhaps tcp/22 (ssh) from everyone, by `tcp 22-22`: it names no source
      desired:
        tcp/443 (https) from everyone, by firewall.toml:5
        tcp/3306 (mysql) from everyone, by firewall.toml:5
    --- exit code 0
    "#);
    let asked = [
        "explain",
        "web-1",
        "--to",
        "ssh",
        "--inventory",
        "fleet.json",
    ];
    let found = json(&stage, &asked, 0);
    let live = &found["instances"][0]["live"];
    assert_eq!(live["allowed"], "perhaps", "{found}");
    assert_eq!(live["access"], serde_json::json!([]), "{found}");
    assert_eq!(live["perhaps"][0]["entry"], "tcp 22-22", "{found}");
}

#[test]
fn browser_client_counts_as_part_of_its_whole_family() {
    let stage = stage();
    let asked = |kind: &str, from: &str| {
        let mut fleet = stage.fleet();
        for entry in fleet.regions.values_mut().flatten() {
            entry.ip_address_type = kind.to_owned();
            entry.port_states = Some([rule("tcp", 22, 22, &[from])].into());
        }
        stage.populate(&fleet);
        let args = [
            "explain",
            "web-1",
            "--from",
            "lightsail-connect",
            "--to",
            "ssh",
        ];
        let args = [&args[..], &["--inventory", "fleet.json"]].concat();
        json(&stage, &args, 0)["instances"][0]["live"]["allowed"].clone()
    };
    for (kind, from, allowed) in [
        ("dualstack", "0.0.0.0/0", "yes"),
        ("dualstack", "::/0", "no"),
        ("dualstack", "lightsail-connect", "yes"),
        ("dualstack", "0.0.0.0/1", "no"),
        ("ipv4", "0.0.0.0/0", "yes"),
        ("ipv6", "::/0", "yes"),
        ("ipv6", "8000::/1", "no"),
    ] {
        assert_eq!(asked(kind, from), allowed, "{kind} {from}");
    }
}
