//! The flags of `emulate`, as a client of the served emulator sees their effect.

use super::*;

/// A running `portward emulate`, which ends with this value.
struct Served(std::process::Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a client sees of `emulate` with these flags, and how long that took: whether it serves, how a verb ends, what became of
/// the state, and what it said itself.
fn emulated(flags: &str, client: &str) -> (String, Duration) {
    let stage = Stage::new(CONFIG, &live());
    for (name, text) in template() {
        std::fs::write(stage.path(name), text).expect("a file");
    }
    let many = (0..40).map(|n| instance(&format!("n-{n}"), Vec::new()));
    let mut inventory = live();
    inventory
        .regions
        .get_mut(REGION)
        .expect("a region")
        .extend(many);
    std::fs::write(stage.path("many.json"), inventory.to_json()).expect("a file");
    let args = words(&format!("emulate {flags}"));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = stage.command(&args);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut served = Served(child.expect("it starts"));
    let mut url = String::new();
    let stdout = served.0.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut url).expect("a line");
    let Some((_, port)) = url.trim().rsplit_once(':') else {
        return ("it ended".to_owned(), Duration::ZERO);
    };
    // Wherever it listens, it is reached on loopback.
    let url = format!("http://127.0.0.1:{port}");
    let args = words(&format!(
        "{client} --endpoint-url {url} --rate unlimited --report json=report"
    ));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = stage.command(&args);
    command
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test");
    let began = Instant::now();
    let done = Done::of(&mut command);
    let took = began.elapsed();
    let report: serde_json::Value = serde_json::from_str(&stage.read("report")).expect("JSON");
    let calls = report["apiCalls"].as_array().expect("a list");
    let throttled = calls.iter().any(|call| call["throttled"] != 0);
    let _ = served.0.kill();
    let mut said = String::new();
    let mut stderr = served.0.stderr.take().expect("a pipe");
    stderr.read_to_string(&mut said).expect("UTF-8");
    let seen = format!(
        "{:?} throttled {throttled} free {} {said} {}",
        done.code,
        port == FREE,
        stage.read("fleet.json")
    );
    (seen, took)
}

/// A port that nothing else is likely to use; what matters is that it is not the one that would be taken.
const FREE: &str = "47391";

#[test]
fn every_flag_of_emulate_has_an_effect() {
    let mut flags: Vec<String> = table()
        .into_iter()
        .filter(|(.., verbs)| verbs.iter().any(|verb| verb == "emulate"))
        .map(|(flag, ..)| flag)
        .collect();
    // How a run is logged is the same for every verb.
    flags.retain(|flag| !matches!(flag.as_str(), "--verbose" | "--log-format"));
    for flag in flags {
        let (without, more, client) = match flag.as_str() {
            "--state" => ("--state few.json", "", "apply --yes"),
            "--access-key" => ("--state fleet.json", "--access-key other", "drift"),
            "--secret-key" => ("--state fleet.json", "--secret-key other", "drift"),
            "--listen" => ("--state fleet.json", "--listen 127.0.0.1:47391", "drift"),
            "--allow-remote" => (
                "--state fleet.json --listen 0.0.0.0:0",
                "--allow-remote",
                "drift",
            ),
            "--quirk" => (
                "--state fleet.json",
                "--quirk operations=fail",
                "apply --yes",
            ),
            "--in-memory" => ("--state fleet.json", "--in-memory", "apply --yes"),
            "--seed" => ("--state fleet.json", "--seed 7", "drift"),
            "--throttle" => (
                "--state many.json --quirk instances-per-page=1",
                "--throttle",
                "drift",
            ),
            "--latency" => {
                // The list and the rules, one after the other.
                let (_, took) = emulated("--state fleet.json --latency 200ms", "drift");
                assert!(took >= Duration::from_millis(400), "{took:?}");
                continue;
            }
            flag => panic!("no probe for emulate {flag}"),
        };
        let with = match flag.as_str() {
            "--state" => "--state fleet.json".to_owned(),
            _ => format!("{without} {more}"),
        };
        let (quiet, again) = (emulated(without, client).0, emulated(without, client).0);
        assert_eq!(quiet, again, "{without} is not the same twice");
        assert_ne!(quiet, emulated(&with, client).0, "{flag}");
    }
    // Both variables at once; what cannot be served ends.
    for (state, listen, why) in [
        ("fleet.json", "0.0.0.0:0", "0.0.0.0:0 can be reached"),
        ("nowhere.json", "127.0.0.1:0", "nowhere.json"),
    ] {
        let stage = Stage::new(CONFIG, &live());
        let mut command = stage.command(&["emulate"]);
        command
            .env("PORTWARD_STATE", state)
            .env("PORTWARD_LISTEN", listen);
        let done = Done::of(&mut command);
        assert!(done.stderr.contains(why), "{}", done.shown());
    }
}
