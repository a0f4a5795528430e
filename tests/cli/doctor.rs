//! `doctor`: each thing that can be wrong is found, with what to do about it.

use std::net::TcpListener;

use crate::stage::{Stage, fleet, instance, rule};

const CONFIG: &str =
    "version = 1\n[defaults]\nregion = \"eu-central-1\"\n[instances.web-1]\nmode = \"observe\"\n";

fn stage(config: &str) -> Stage {
    let web = instance("web-1", vec![rule("tcp", 22, 22, &["10.0.0.0/8"])]);
    Stage::new(config, &fleet(vec![web]))
}

#[test]
fn healthy_setup_passes_every_check() {
    let doctor = stage(CONFIG).on_fleet(&["doctor"]);
    let expected = "\
ok    configuration  `firewall.toml` is valid
ok    credentials    from keys given to this program, key test
ok    clock          agrees with the service's
ok    regions        eu-central-1: 1 instance
ok    permissions    GetInstances and GetInstancePortStates are allowed; writes
                     are not tried
ok    rate budget    all of the documented rates: a plan of 1 instance never has
                     to wait
Doctor: 6 checks, 0 to look at, 0 failed.
--- exit code 0
";
    assert_eq!(doctor.shown(), expected);
}

#[test]
fn accounts_are_reported_separately() {
    let accounts =
        "[accounts.prod]\nid = \"123456789012\"\n[accounts.other]\nid = \"222222222222\"\n";
    let config = CONFIG.replacen("[instances", &format!("{accounts}[instances"), 1);
    let stage = stage(&config);
    let doctor = stage.on_fleet(&["doctor"]);
    assert_eq!(doctor.code, Some(1), "{}", doctor.shown());
    let out = &doctor.stdout;
    assert!(
        doctor.says("ok    account        prod: 123456789012, as arn:aws:iam"),
        "{out}"
    );
    assert!(
        doctor.says("fail  account        other: the credentials are of 123456789012"),
        "{out}"
    );
    assert!(
        doctor.says("fix: give `[accounts.other]` the `role`"),
        "{out}"
    );
    assert!(
        doctor.says("ok    regions        prod: eu-central-1: 1 instance"),
        "{out}"
    );
    assert!(!doctor.says("regions        other"), "{out}");
    let json = stage.json(&["doctor"]);
    assert_eq!(json["exitCode"], 1);
    let checks = json["checks"].as_array().expect("checks");
    let failed: Vec<_> = checks
        .iter()
        .filter(|check| check["status"] == "fail")
        .collect();
    assert_eq!(
        (failed.len(), &failed[0]["account"]),
        (1, &"other".into()),
        "{json}"
    );
}

#[test]
fn invalid_configuration_exits_with_65() {
    let doctor = stage("version = 1\nx = 1\n").on_fleet(&["doctor"]);
    assert_eq!(doctor.code, Some(65), "{}", doctor.shown());
    assert!(
        doctor
            .stdout
            .contains("fail  configuration  `firewall.toml` is not valid: 1 error")
    );
    assert!(
        doctor
            .stdout
            .contains("fix: `portward check -c firewall.toml`")
    );
}

#[test]
fn iam_policy_needs_no_connection() {
    let stage = Stage::new("", &fleet(vec![]));
    let read = stage.run(&["doctor", "--iam-policy", "read"]);
    assert_eq!((read.code, read.stderr.as_str()), (Some(0), ""));
    let policy: serde_json::Value = serde_json::from_str(&read.stdout).expect("JSON");
    assert_eq!(policy["Version"], "2012-10-17");
    assert!(!read.stdout.contains("PublicPorts"), "{}", read.stdout);
    let write = stage.run(&["doctor", "--iam-policy", "write"]);
    assert!(
        write.stdout.contains("lightsail:PutInstancePublicPorts"),
        "{}",
        write.stdout
    );
    let grant = stage.run(&["doctor", "--iam-policy", "grant"]);
    let policy: serde_json::Value = serde_json::from_str(&grant.stdout).expect("JSON");
    let leases = &policy["Statement"][2];
    assert_eq!(leases["Action"][1], "lightsail:UntagResource");
    let keys = &leases["Condition"]["ForAllValues:StringLike"]["aws:TagKeys"];
    assert_eq!((grant.code, keys), (Some(0), &"portward:*".into()));
}

#[test]
fn unreachable_endpoint_is_reported_for_its_region() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", free.local_addr().expect("an address"));
    drop(free);
    let stage = stage(CONFIG);
    let mut command = stage.command(&["doctor", "--endpoint-url", &url]);
    command
        .env("AWS_ACCESS_KEY_ID", "AKIATEST")
        .env("AWS_SECRET_ACCESS_KEY", "hidden");
    let doctor = crate::stage::Done::of(&mut command);
    assert_eq!(doctor.code, Some(6), "{}", doctor.shown());
    assert!(
        doctor
            .stdout
            .contains("from environment variables, key AKIATEST"),
        "{}",
        doctor.stdout
    );
    assert!(
        doctor
            .stdout
            .contains("fail  regions        eu-central-1: "),
        "{}",
        doctor.stdout
    );
    assert!(!doctor.shown().contains("hidden"));
}

/// A silent metadata service is asked once, or not at all: how long that takes is the SDK's and the machine's matter.
#[test]
fn missing_credentials_fail_at_once() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    silent.set_nonblocking(true).expect("accepts at once");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let stage = stage(CONFIG);
    for verb in ["plan", "doctor"] {
        for disabled in ["true", "false"] {
            let mut command = stage.command(&[verb]);
            command
                .env("AWS_EC2_METADATA_DISABLED", disabled)
                .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url);
            let done = crate::stage::Done::of(&mut command);
            let code = if verb == "plan" { 6 } else { 1 };
            assert_eq!(done.code, Some(code), "{}", done.shown());
            assert!(
                done.stdout.contains("no usable credentials"),
                "{}",
                done.stdout
            );
            let asked = std::iter::from_fn(|| silent.accept().ok()).count();
            assert_eq!(asked, usize::from(disabled == "false"), "{verb}");
        }
    }
}
