//! A server that answers with more than any client could keep, and `portward` under a limit of memory.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

/// Address space of the program in KiB: the limits keep it far below, and a body without an end would not.
const MEMORY: u32 = 1 << 20;

const CONFIG: &str =
    "version = 1\ndefaults = { region = \"eu-central-1\" }\n[instances.web-1]\nrules = []\n";

/// What floods.
#[derive(Clone, Copy, Debug)]
struct Flood {
    /// The action that is answered so; every other one is answered as usual.
    action: &'static str,
    status: u16,
    /// The beginning of the body, and what comes after it again and again.
    body: (&'static str, &'static str),
}

/// Serves until the process ends.
fn serve(flood: Flood) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(&stream, flood));
        }
    });
    url
}

/// Answers one request. Whoever hangs up is not asked why.
fn answer(mut stream: &TcpStream, flood: Flood) {
    let mut reader = BufReader::new(stream);
    let (mut action, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) <= 2 {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if lower.starts_with("x-amz-target:") {
            let name = line.trim().rsplit('.').next();
            name.unwrap_or_default().clone_into(&mut action);
        } else if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    let head = "content-type: application/x-amz-json-1.1\r\nconnection: close\r\n\r\n";
    if action != flood.action {
        let body = r#"{"instances":[{"name":"web-1","arn":"arn:aws:lightsail:eu-central-1:123456789012:Instance/1","state":{"name":"running"},"ipAddressType":"dualstack"}],"portStates":[]}"#;
        let _ = write!(stream, "HTTP/1.1 200 X\r\n{head}{body}");
        return;
    }
    let (start, repeated) = flood.body;
    let _ = write!(stream, "HTTP/1.1 {} X\r\n{head}{start}", flood.status);
    let part = repeated.repeat((1 << 16) / repeated.len());
    while stream.write_all(part.as_bytes()).is_ok() {}
}

fn run(directory: &Path, url: &str, args: &[&str]) -> Output {
    Command::new("sh")
        .args(["-c", &format!("ulimit -v {MEMORY} && exec \"$0\" \"$@\"")])
        .arg(env!("CARGO_BIN_EXE_portward"))
        .args(args)
        .args(["--endpoint-url", url])
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs([
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ])
        .output()
        .expect("it runs")
}

#[test]
fn endless_reply_is_cut_off_and_the_run_is_incomplete() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("firewall.toml"), CONFIG).expect("written");
    let mut runs = Vec::new();
    for action in ["GetInstances", "GetInstancePortStates"] {
        for (status, body, why) in [
            (200, ("", " "), "the response is larger than 8 MiB"),
            (
                200,
                ("{\"x\":\"", "xxxxxxxx"),
                "the response is larger than 8 MiB",
            ),
            (
                500,
                ("{\"message\":\"", "xxxxxxxx"),
                "the response is larger than 8 MiB",
            ),
            (
                200,
                ("{\"portStates\":[{}", ",{}"),
                "the response is larger than 8 MiB",
            ),
        ] {
            runs.push((
                Flood {
                    action,
                    status,
                    body,
                },
                why,
            ));
        }
    }
    let ask = |(flood, why): (Flood, &'static str), args: &[&str]| {
        let output = run(directory.path(), &serve(flood), args);
        let told =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        let told = told
            .join("\n")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert_eq!(output.status.code(), Some(6), "{flood:?} {args:?}: {told}");
        assert!(told.contains(why), "{flood:?} {args:?}: {told}");
    };
    for flooded in runs.iter().copied() {
        ask(flooded, &["drift"]);
    }
    for args in [
        &["plan"][..],
        &["apply", "--yes"],
        &["drift", "--read", "bulk"],
    ] {
        ask(runs[0], args);
    }
}
