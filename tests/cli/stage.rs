//! What every test stands on: a folder of its own, a fleet, a configuration, and the command with a clean environment.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use portward::inventory::{Entry, Inventory};
use portward::model::PortState;
use tempfile::TempDir;

/// A region that the examples live in.
pub(crate) const REGION: &str = "eu-central-1";

/// A folder with `firewall.toml` and `fleet.json`.
pub(crate) struct Stage {
    folder: TempDir,
}

/// What the command did.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// One rule as the API spells it; sources with a colon are IPv6, those with a letter and no colon aliases.
pub(crate) fn rule(protocol: &str, from_port: i32, to_port: i32, sources: &[&str]) -> PortState {
    let of = |is: fn(&str) -> bool| {
        sources
            .iter()
            .filter(|source| is(source))
            .map(ToString::to_string)
            .collect()
    };
    PortState {
        from_port,
        to_port,
        protocol: protocol.to_owned(),
        state: Some("open".to_owned()),
        cidrs: of(|source| {
            !source.contains(':') && source.starts_with(|c: char| c.is_ascii_digit())
        }),
        ipv6_cidrs: of(|source| source.contains(':')),
        cidr_list_aliases: of(|source| {
            !source.contains(':') && source.starts_with(char::is_alphabetic)
        }),
    }
}

/// A running dual-stack instance.
pub(crate) fn instance(name: &str, rules: Vec<PortState>) -> Entry {
    Entry {
        name: name.to_owned(),
        arn: format!("arn:aws:lightsail:{REGION}:123456789012:Instance/{name}"),
        tags: std::collections::BTreeMap::new(),
        state: "running".to_owned(),
        ip_address_type: "dualstack".to_owned(),
        port_states: Some(rules.into()),
    }
}

/// An inventory of one region.
pub(crate) fn fleet(entries: Vec<Entry>) -> Inventory {
    Inventory::new([(REGION.to_owned(), entries)].into())
}

impl Stage {
    pub(crate) fn new(config: &str, fleet: &Inventory) -> Self {
        let stage = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        stage.configure(config);
        stage.populate(fleet);
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn configure(&self, config: &str) {
        fs::write(self.path("firewall.toml"), config).expect("a file");
    }

    pub(crate) fn populate(&self, fleet: &Inventory) {
        fs::write(self.path("fleet.json"), fleet.to_json()).expect("a file");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("a file")
    }

    /// The fleet as it is in the file now.
    pub(crate) fn fleet(&self) -> Inventory {
        Inventory::parse(&self.read("fleet.json")).expect("an inventory")
    }

    /// The command in this folder, with nothing of the caller's environment but the path.
    ///
    /// Before an `apply` the emulator forgets what was done to it: how long ago that was depends on how busy the machine is,
    /// and a run takes what was written within one round trip of its read for somebody else's.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        if args.first() == Some(&"apply") {
            let _ = fs::remove_file(self.path("fleet.json.operations"));
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_portward"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Done {
        Done::of(&mut self.command(args))
    }

    /// A verb against the embedded emulator on `fleet.json`.
    pub(crate) fn on_fleet(&self, verb: &[&str]) -> Done {
        self.run(&[verb, &["--emulator", "fleet.json"]].concat())
    }

    /// The JSON document of a verb against the embedded emulator.
    pub(crate) fn json(&self, verb: &[&str]) -> serde_json::Value {
        let done = self.on_fleet(&[verb, &["--format", "json"]].concat());
        serde_json::from_str(&done.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr))
    }

    /// Nothing is left to do.
    pub(crate) fn assert_in_sync(&self) {
        let drift = self.on_fleet(&["drift"]);
        assert_eq!(drift.code, Some(0), "{}{}", drift.stdout, drift.stderr);
        let plan = self.json(&["plan"]);
        assert_eq!(plan["summary"]["calls"], 0, "{plan}");
    }
}

impl Done {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().expect("the command runs");
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// Whether stdout or stderr has this text, wherever its lines are broken.
    pub(crate) fn says(&self, text: &str) -> bool {
        let joined = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = joined(text);
        joined(&self.stdout).contains(&text) || joined(&self.stderr).contains(&text)
    }

    /// Stdout, stderr and the exit code in one text.
    pub(crate) fn shown(&self) -> String {
        let stderr = if self.stderr.is_empty() {
            String::new()
        } else {
            format!("--- stderr\n{}", self.stderr)
        };
        let code = self
            .code
            .map_or_else(|| "none".to_owned(), |code| code.to_string());
        format!("{}{stderr}--- exit code {code}\n", self.stdout)
    }
}
