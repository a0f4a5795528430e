//! The command on a terminal that a test plays: what it asks there, and what is typed.
//!
//! Every wait is for something that the command says or does, under a deadline that only a failure reaches.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::stage::Done;

/// Longer than anything takes on a busy machine.
const DEADLINE: Duration = Duration::from_mins(2);

/// A terminal, seen from the side of who sits before it.
pub(crate) struct Terminal {
    master: File,
    slave: File,
    shown: String,
}

/// The command on its terminal.
pub(crate) struct Session {
    child: Child,
    terminal: Terminal,
}

impl Terminal {
    pub(crate) fn open() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).expect("a terminal that is ours");
        unlockpt(&master).expect("a terminal that can be opened");
        let name = ptsname(&master, Vec::new()).expect("a name");
        let path = std::ffi::OsStr::from_bytes(name.to_bytes());
        let slave = OpenOptions::new().read(true).write(true).open(path);
        Self {
            master: File::from(master),
            slave: slave.expect("the other end"),
            shown: String::new(),
        }
    }

    /// Types, whether or not anybody asks.
    pub(crate) fn types(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).expect("a terminal");
    }

    /// Runs a command whose stdin and stderr are here.
    pub(crate) fn run(self, mut command: Command) -> Session {
        let end = || Stdio::from(self.slave.try_clone().expect("another handle"));
        let child = command.stdin(end()).stderr(end()).stdout(Stdio::piped());
        Session {
            child: child.spawn().expect("the command runs"),
            terminal: self,
        }
    }

    /// Reads what is shown until it has this text.
    fn read_until(&mut self, text: &str) {
        let until = Instant::now() + DEADLINE;
        while !self.shown.contains(text) {
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).expect("a short time");
            let mut ready = [PollFd::new(&self.master, PollFlags::IN)];
            let count = poll(&mut ready, Some(&left)).expect("a terminal");
            assert!(count > 0, "no `{text}` in time: {}", self.shown);
            let mut bytes = [0; 4096];
            let read = self.master.read(&mut bytes).expect("a terminal");
            self.shown
                .push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    }
}

impl Session {
    /// Waits until the command has shown this text.
    pub(crate) fn sees(&mut self, text: &str) {
        self.terminal.read_until(text);
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.terminal.types(text);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(pid(&self.child), signal).expect("it runs");
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// The terminal goes away, and with it everything that would have been shown or typed.
    pub(crate) fn hangs_up(self) -> Done {
        let Self { child, terminal } = self;
        drop(terminal);
        kill_process(pid(&child), Signal::HUP).expect("it runs");
        end(child, String::new())
    }

    /// Waits for the end.
    pub(crate) fn ends(self) -> Done {
        let Self { child, terminal } = self;
        end(child, terminal.shown)
    }
}

fn pid(child: &Child) -> Pid {
    let id = i32::try_from(child.id()).expect("a small number");
    Pid::from_raw(id).expect("not 0")
}

fn end(child: Child, stderr: String) -> Done {
    let output = child.wait_with_output().expect("it ends");
    Done {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr,
    }
}
