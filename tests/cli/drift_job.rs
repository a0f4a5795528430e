//! Unattended runs: metrics, notifications, the random wait, who changed the rules last, and no false alarm.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use portward::emulator::{EmulatorOptions, Quirks};
use portward::inventory::Inventory;
use serde_json::Value;

use crate::served_emulator::Server;
use crate::stage::{Done, Stage, fleet, instance, rule};

const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[groups.web]
match = { name = "web-*" }
rules = [
  { allow = "ssh", from = ["203.0.113.7", "203.0.113.0/25", "2001:db8:10::/48", "lightsail-connect"] },
  { allow = "all", from = ["198.51.100.7", "2001:db8::1"] },
  { allow = "ping", from = "anywhere" },
]
"#;

fn in_sync() -> Inventory {
    let rules = vec![
        rule(
            "tcp",
            22,
            22,
            &[
                "203.0.113.0/25",
                "203.0.113.7/32",
                "2001:db8:10::/48",
                "lightsail-connect",
            ],
        ),
        rule("all", 0, 65535, &["198.51.100.7/32", "2001:db8::1/128"]),
        rule("icmp", 8, -1, &["0.0.0.0/0"]),
        rule("icmpv6", 128, 0, &["::/0"]),
    ];
    fleet(vec![instance("web-1", rules)])
}

/// Every way of telling the same rules is in sync: each spelling with each other one.
#[test]
fn spelling_of_the_service_is_not_drift() {
    let mut variants = vec![Quirks::default()];
    let spellings = ["all", "address", "ipv6", "order", "keys"];
    for name in spellings {
        let mut quirks = Quirks::catalogue().iter();
        let quirk = quirks.find(|quirk| quirk.name == name).expect("a quirk");
        let mut more = Vec::new();
        for value in &quirk.values[1..] {
            for variant in &variants {
                let mut variant = variant.clone();
                let set = variant.set(&format!("{name}={value}"));
                set.expect("a quirk of the catalogue");
                more.push(variant);
            }
        }
        variants.extend(more);
    }
    assert!(variants.len() >= 32, "{}", variants.len());
    let stage = Stage::new(CONFIG, &fleet(Vec::new()));
    for quirks in variants {
        assert_in_sync(&stage, quirks, Some(0));
    }
}

/// Every other quirk leaves a fleet in sync, too, but for three that leave something untold.
#[test]
fn no_quirk_of_the_service_is_drift() {
    let stage = Stage::new(CONFIG, &fleet(Vec::new()));
    for quirk in Quirks::catalogue() {
        for value in &quirk.values[1..] {
            let mut quirks = Quirks::default();
            let told = format!("{}={value}", quirk.name);
            quirks.set(&told).expect("a quirk of the catalogue");
            let wanted = match (quirk.name, *value) {
                // Rules without any source may mean everybody or nobody: that is never called in sync.
                ("lists", "absent") => Some(2),
                ("port-states", _) => Some(6),
                _ => Some(0),
            };
            assert_in_sync(&stage, quirks, wanted);
        }
    }
}

fn assert_in_sync(stage: &Stage, quirks: Quirks, wanted: Option<i32>) {
    let told = quirks.changed();
    let options = EmulatorOptions {
        quirks,
        ..EmulatorOptions::default()
    };
    let drift = Server::with(in_sync(), options).run(stage, &["drift"]);
    assert_eq!(drift.code, wanted, "{told:?}: {}", drift.shown());
}

#[test]
fn last_change_is_shown_for_differences() {
    let stage = Stage::new(CONFIG, &fleet(Vec::new()));
    let mut two = vec![instance("web-2", Vec::new()), instance("web-3", Vec::new())];
    two.extend(in_sync().entries().map(|(_, entry)| entry.clone()));
    let server = Server::with(fleet(two), EmulatorOptions::default());
    // Puts web-2 right, and then somebody opens something on it again.
    let apply = server.run(&stage, &["apply", "--yes", "-t", "web-2"]);
    assert_eq!(apply.code, Some(0), "{}", apply.shown());
    stage.configure(&CONFIG.replace("\"198.51.100.7\", ", ""));
    let drift = server.run(&stage, &["drift", "-t", "web-2", "-t", "web-3"]);
    let text = drift.shown();
    let known = "web-2 (eu-central-1): last change: PutInstancePublicPorts at 20";
    assert!(drift.says(known), "{text}");
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    assert!(
        !text.contains("web-3 (eu-central-1): last change"),
        "{text}"
    );
    let json = server.run(&stage, &["drift", "--format", "json"]);
    let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert!(
        json["instances"][2]["lastChange"]["action"].is_null(),
        "{json}"
    );
    let two = &json["instances"][1]["lastChange"];
    assert_eq!(two["action"], "PutInstancePublicPorts", "{json}");
    stage.configure(CONFIG);
    server.run(&stage, &["apply", "--yes"]);
    let drift = server.run(&stage, &["drift", "--jitter", "0"]);
    assert_eq!(drift.code, Some(0), "{}", drift.shown());
    assert!(!drift.says("last change"), "{}", drift.shown());
}

/// Reads the exposition format as strictly as its description: one `HELP` and one `TYPE` before the samples of a family,
/// which stand together, labels quoted and each name once, no sample twice.
fn metrics(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n'), "{text}");
    let mut samples = BTreeMap::new();
    let (mut helped, mut typed, mut family) = (BTreeSet::new(), BTreeSet::new(), String::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help text");
            assert!(helped.insert(name.to_owned()) && !help.is_empty(), "{line}");
            name.clone_into(&mut family);
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert_eq!(rest, format!("{family} gauge"));
            assert!(typed.insert(family.clone()), "{line}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = series.split_once('{').expect("labels");
        assert!(name == family && typed.contains(name), "{line}");
        assert!(
            name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
            "{line}"
        );
        let mut rest = labels.strip_suffix('}').expect("an end");
        let mut seen = BTreeSet::new();
        while !rest.is_empty() {
            let (label, after) = rest.split_once("=\"").expect("a label");
            assert!(
                seen.insert(label) && label.bytes().all(|b| b.is_ascii_lowercase()),
                "{line}"
            );
            let mut escaped = false;
            let end = after.char_indices().find(|(_, c)| {
                let ends = *c == '"' && !escaped;
                escaped = *c == '\\' && !escaped;
                ends
            });
            let end = end.expect("a closing quote").0;
            rest = &after[end + 1..];
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
        let value: f64 = value.parse().expect("a number");
        assert!(value.is_finite(), "{line}");
        assert!(samples.insert(series.to_owned(), value).is_none(), "{line}");
    }
    samples
}

fn named<'a>(samples: &'a BTreeMap<String, f64>, name: &'a str) -> Vec<f64> {
    let of = |series: &&String| series.split('{').next() == Some(name);
    samples
        .keys()
        .filter(of)
        .map(|series| samples[series])
        .collect()
}

#[test]
fn metrics_are_written_for_every_outcome() {
    let stage = Stage::new(CONFIG, &in_sync());
    let drift = [
        "drift",
        "--emulator",
        "fleet.json",
        "--report",
        "prometheus=p.prom",
    ];
    assert_eq!(stage.run(&drift).code, Some(0));
    let good = metrics(&stage.read("p.prom"));
    for (name, value) in [
        ("portward_instances_in_sync", 1.0),
        ("portward_instances_differing", 0.0),
        ("portward_instances_unreadable", 0.0),
        ("portward_instances_missing", 0.0),
        ("portward_run_exit_code", 0.0),
    ] {
        assert_eq!(named(&good, name), [value], "{name}");
    }
    let reads = r#"portward_api_calls{verb="drift",config="firewall.toml",action="GetInstancePortStates",answer="answered"}"#;
    assert_eq!(good.get(reads), Some(&1.0));
    let success = named(&good, "portward_last_success_timestamp_seconds");
    assert!(success[0] > 1.7e9, "{success:?}");
    let old = stage
        .read("p.prom")
        .replace(&format!("{}", success[0]), "1700000000");
    std::fs::write(stage.path("p.prom"), old).expect("a file");

    // A configuration that is not valid, a view that is incomplete, a usage error: the last success stays.
    stage.configure("version = 1\ncolour = 1\n");
    let failing: [(&[&str], i32); 3] = [
        (&drift, 65),
        (&[&drift[..], &["--notify-url", "ftp://x"]].concat(), 64),
        (
            &[
                "drift",
                "--inventory",
                "nowhere",
                "--report",
                "prometheus=p.prom",
            ],
            1,
        ),
    ];
    for (args, code) in failing {
        if code == 1 {
            stage.configure(CONFIG);
        }
        let done = stage.run(args);
        assert_eq!(done.code, Some(code), "{}", done.shown());
        let bad = metrics(&stage.read("p.prom"));
        assert_eq!(named(&bad, "portward_run_exit_code"), [f64::from(code)]);
        assert_eq!(
            named(&bad, "portward_last_success_timestamp_seconds"),
            [1.7e9]
        );
        assert_eq!(
            named(&bad, "portward_instances_in_sync"),
            [0.0; 0],
            "nothing is known"
        );
    }
    let left: Vec<_> = std::fs::read_dir(stage.path(""))
        .expect("a folder")
        .flatten()
        .collect();
    let odd = left
        .iter()
        .filter(|file| file.file_name().to_string_lossy().contains("tmp"));
    assert_eq!(odd.count(), 0, "{left:?}");
    #[cfg(unix)]
    {
        let others = std::fs::metadata(stage.path("p.prom"))
            .expect("a file")
            .permissions();
        let mode = std::os::unix::fs::PermissionsExt::mode(&others);
        assert_eq!(mode & 0o111, 0);
        assert_eq!(mode & 0o600, 0o600);
    }
    let nowhere = stage.on_fleet(&["drift", "--report", "prometheus=no/such/p.prom"]);
    assert_eq!(nowhere.code, Some(1), "{}", nowhere.shown());
}

#[test]
fn metrics_have_differences_expiry_and_remaining_changes() {
    let soon = time::OffsetDateTime::now_utc().date() + time::Duration::days(3);
    let config = format!(
        "{CONFIG}[instances.web-9]\nrules = []\n[instances.web-2]\nrules = [{{ allow = \"http\", from = \"anywhere\", until = {soon} }}]\n"
    );
    let mut all = vec![instance("web-2", Vec::new()), instance("old-1", Vec::new())];
    all.extend(in_sync().entries().map(|(_, entry)| entry.clone()));
    let stage = Stage::new(&config, &fleet(all));
    stage.on_fleet(&["drift", "--report", "prometheus=p.prom"]);
    let told = metrics(&stage.read("p.prom"));
    for (name, value) in [
        ("portward_instances_in_sync", 1.0),
        ("portward_instances_differing", 1.0),
        ("portward_instances_missing", 1.0),
        ("portward_instances_undeclared", 1.0),
        ("portward_rules_expiring", 1.0),
    ] {
        assert_eq!(named(&told, name), [value], "{name}");
    }
    stage.configure(&config.replace("[instances.web-9]\nrules = []\n", ""));
    let done = stage.on_fleet(&["apply", "--yes", "--report", "prometheus=a.prom"]);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    let told = metrics(&stage.read("a.prom"));
    assert_eq!(named(&told, "portward_instances_in_sync"), [2.0]);
    assert_eq!(named(&told, "portward_instances_differing"), [0.0]);
    let shards = ["1/2", "2/2"];
    for (at, shard) in shards.iter().enumerate() {
        let report = format!("json=s{at}.json");
        stage.on_fleet(&["drift", "--shard", shard, "--report", &report]);
    }
    let done = stage.run(&[
        "report",
        "merge",
        "s0.json",
        "s1.json",
        "--format",
        "prometheus",
    ]);
    let told = metrics(&done.stdout);
    assert_eq!(
        named(&told, "portward_instances_in_sync"),
        [2.0],
        "{}",
        done.shown()
    );
    assert_eq!(named(&told, "portward_rules_expiring"), [1.0]);
    stage.assert_in_sync();
}

/// A receiver that answers each request with the next status, and hands over what it got.
fn receiver(statuses: &'static [u16]) -> (String, thread::JoinHandle<Vec<(String, Value)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!(
        "http://{}/services/T0/secret-path",
        listener.local_addr().expect("an address")
    );
    let thread = thread::spawn(move || {
        let mut got = Vec::new();
        for status in statuses {
            let (mut stream, _) = listener.accept().expect("somebody calls");
            let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                assert_ne!(reader.read_line(&mut head).expect("a line"), 0, "{head}");
            }
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.parse().ok())?
            });
            let mut body = vec![0; length.expect("a length")];
            reader.read_exact(&mut body).expect("a body");
            let answer =
                format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).expect("an answer");
            got.push((
                head.to_lowercase(),
                serde_json::from_slice(&body).expect("JSON"),
            ));
        }
        got
    });
    (url, thread)
}

fn notified(stage: &Stage, url: &str, args: &[&str]) -> Done {
    let mut command = stage.command(&[args, &["--emulator", "fleet.json", "-vvv"]].concat());
    command
        .env("PORTWARD_NOTIFY_URL", url)
        .env("PORTWARD_NOTIFY_TOKEN", "the-token");
    let done = Done::of(&mut command);
    let told = format!("{}{}", done.stdout, done.stderr);
    assert!(
        !told.contains("secret-path") && !told.contains("the-token"),
        "{told}"
    );
    done
}

#[test]
fn notification_is_sent_once_and_only_if_needed() {
    let mut all = vec![instance("web-2", Vec::new())];
    all.extend(in_sync().entries().map(|(_, entry)| entry.clone()));
    let stage = Stage::new(CONFIG, &fleet(all));
    let (url, thread) = receiver(&[200]);
    let done = notified(&stage, &url, &["drift"]);
    assert_eq!(done.code, Some(2), "{}", done.shown());
    let (head, body) = thread.join().expect("a receiver").remove(0);
    assert!(
        head.starts_with("post /services/t0/secret-path http/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.contains("authorization: bearer the-token\r\n"),
        "{head}"
    );
    assert!(
        head.contains("content-type: application/json\r\n"),
        "{head}"
    );
    let text = body["text"].as_str().expect("a text");
    assert!(
        text.starts_with("portward drift: 1 of 2 instances differs"),
        "{text}"
    );
    assert!(text.ends_with("Exit code 2.\neu-central-1/web-2"), "{text}");
    assert_eq!(body["summary"]["differing"], 1, "{body}");

    // A server that is busy is asked once more, and what it says then is only a warning.
    let (url, thread) = receiver(&[503, 503]);
    let done = notified(&stage, &url, &["drift"]);
    assert_eq!(done.code, Some(2), "{}", done.shown());
    assert!(
        done.stderr
            .contains("was not taken: the response was HTTP 503"),
        "{}",
        done.shown()
    );
    assert_eq!(thread.join().expect("a receiver").len(), 2);

    let (url, thread) = receiver(&[200]);
    let done = notified(&stage, &url, &["apply", "--yes"]);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert_eq!(
        thread.join().expect("a receiver")[0].1["summary"]["writes"],
        1
    );

    // In sync: nothing is sent, so nobody has to listen, unless it is asked for.
    let nobody = "http://127.0.0.1:1/services/T0/secret-path";
    let done = notified(&stage, nobody, &["drift"]);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    let done = notified(&stage, nobody, &["drift", "--notify", "always"]);
    assert_eq!(done.code, Some(1), "{}", done.shown());
    assert!(
        done.stderr.contains("http://127.0.0.1:1/… was not taken"),
        "{}",
        done.shown()
    );
    let (url, thread) = receiver(&[404]);
    let done = notified(&stage, &url, &["drift", "--notify", "always"]);
    assert_eq!(done.code, Some(1), "{}", done.shown());
    assert_eq!(thread.join().expect("a receiver")[0].1["exitCode"], 0);
    stage.assert_in_sync();
}

#[test]
fn failure_is_notified_and_tokens_are_sent_over_tls_only() {
    let stage = Stage::new("version = 1\ncolour = 1\n", &in_sync());
    let (url, thread) = receiver(&[200]);
    let done = notified(&stage, &url, &["drift"]);
    assert_eq!(done.code, Some(65), "{}", done.shown());
    let body = &thread.join().expect("a receiver")[0].1;
    assert_eq!(
        body["text"],
        "portward drift: the configuration is not valid. Exit code 65."
    );
    assert!(body["summary"].is_null());
    let done = notified(&stage, "http://example.com/secret-path", &["drift"]);
    assert_eq!(done.code, Some(64), "{}", done.shown());
}
