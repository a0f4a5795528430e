//! Random sequences of grants, revokes and applies, held to a model.

use super::{CONFIG, declared, state};
use crate::stage::{Done, Stage};
use std::collections::BTreeSet;
use time::format_description::well_known::Rfc3339;

/// A grant of the model; times are minutes since the beginning.
#[derive(Clone, Debug)]
struct Granted {
    address: String,
    until: i64,
}

/// Random grants, revokes, both kinds of `apply` and a clock, beside a model of the expected access.
struct Sequence {
    stage: Stage,
    random: fastrand::Rng,
    minute: i64,
    granted: Vec<Granted>,
    /// The commands so far, for the message of a failure.
    commands: Vec<String>,
}

impl Sequence {
    fn run(&mut self, args: &[&str]) -> Done {
        let start = time::macros::datetime!(2031-01-01 00:00 UTC);
        let now = start + time::Duration::minutes(self.minute);
        let now = now.format(&Rfc3339).expect("an instant");
        self.commands.push(format!("{now} {}", args.join(" ")));
        self.stage.on_fleet(&[args, &["--as-of", &now]].concat())
    }

    fn succeed(&mut self, args: &[&str]) {
        let done = self.run(args);
        assert_eq!(done.code, Some(0), "{:#?}\n{}", self.commands, done.shown());
    }

    fn step(&mut self) {
        let address = format!("203.0.113.{}", self.random.u8(1..=3));
        match self.random.u8(0..8) {
            0..3 => {
                let minutes = self.random.i64(5..=60);
                let length = format!("{minutes}m");
                self.succeed(&[
                    "grant", "web-1", "ssh", "--from", &address, "--for", &length,
                ]);
                let until = self.minute + minutes;
                self.granted.push(Granted { address, until });
            }
            3 => {
                self.succeed(&["revoke", "web-1", "ssh", "--from", &address]);
                self.granted.retain(|one| one.address != address);
            }
            4 | 5 => self.minute += self.random.i64(1..=40),
            kind => {
                let only = ["apply", "--yes", "--only-expired"];
                self.succeed(if kind == 6 { &only } else { &only[..2] });
                let now = self.minute;
                self.granted.retain(|one| one.until > now);
                self.check(true);
            }
        }
        self.check(false);
    }

    /// Declared and live access is open, and nothing but expired grants beside it; `exactly`: not those either.
    fn check(&mut self, exactly: bool) {
        let (open, tags) = state(&self.stage.fleet());
        let commands = &self.commands;
        assert_eq!(tags.len(), self.granted.len(), "{commands:#?}");
        let net = |one: &Granted| format!("{}/32", one.address);
        let now = self.minute;
        let live = self.granted.iter().filter(|one| one.until > now).map(net);
        let live: BTreeSet<String> = live.chain(["198.51.100.0/24".to_owned()]).collect();
        assert!(open.is_superset(&live), "{open:?}: {commands:#?}");
        let all: BTreeSet<String> = live
            .iter()
            .cloned()
            .chain(self.granted.iter().map(net))
            .collect();
        assert!(all.is_superset(&open), "{open:?}: {commands:#?}");
        assert!(!exactly || open == live, "{open:?}: {commands:#?}");
    }
}

#[test]
fn random_sequences_of_grants_match_a_model() {
    for seed in 1..=4_u64 {
        let additive = CONFIG.replace("rules = [\n", "mode = \"additive\"\nrules = [\n");
        let config = if seed % 2 == 0 { CONFIG } else { &additive };
        let mut sequence = Sequence {
            stage: Stage::new(config, &declared()),
            random: fastrand::Rng::with_seed(seed),
            minute: 0,
            granted: Vec::new(),
            commands: vec![format!("seed {seed}")],
        };
        for _ in 0..18 {
            sequence.step();
        }
        sequence.minute += 100;
        sequence.succeed(&["apply", "--yes", "--only-expired"]);
        sequence.granted.clear();
        sequence.check(true);
        sequence.stage.assert_in_sync();
    }
}
