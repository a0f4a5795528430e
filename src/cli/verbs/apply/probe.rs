//! `--probe`: a shell command that confirms a run by succeeding.
//!
//! **Owns** what the command is given and that it ends with the run, with everything that it started. **Does not** decide
//! how often it is tried.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::process::Stdio;

use tokio::process::Command;

/// A probe does not get what begins with one of these: the credentials of the service and where they come from, where
/// notifications go, and the tokens that a job of GitHub Actions or GitLab has for its repository and its identity.
const SECRET_PREFIXES: [&str; 6] = [
    "AWS_",
    "PORTWARD_",
    "ACTIONS_",
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "CI_JOB_",
];

/// Runs the command and says whether it succeeded. Nothing of it is left when this returns, or is no longer waited for.
pub(super) async fn run(command: &str) -> io::Result<bool> {
    let mut shell = shell(command);
    shell
        .stdin(Stdio::null())
        // What it prints is for people; stdout is for data.
        .stdout(Stdio::null())
        .kill_on_drop(true);
    for (name, _) in env::vars_os() {
        if is_secret(&name) {
            shell.env_remove(name);
        }
    }
    #[cfg(unix)]
    shell.process_group(0);
    let mut child = shell.spawn()?;
    let _group = group::ProcessGroup::new(&child);
    let status = child.wait().await?;
    Ok(status.success())
}

/// Ends the probe that is running, where the process is about to end without further ado.
pub(super) fn kill() {
    group::kill();
}

fn is_secret(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    SECRET_PREFIXES
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

#[cfg(windows)]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    shell.arg("/C").arg(command);
    shell
}

#[cfg(not(windows))]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command);
    shell
}

#[cfg(unix)]
mod group {
    use std::sync::atomic::{AtomicI32, Ordering};

    use rustix::process::{Pid, Signal, kill_process_group};
    use tokio::process::Child;

    /// The group of the probe that is running, for a process that ends at once; there is one at a time. 0 is none.
    static RUNNING: AtomicI32 = AtomicI32::new(0);

    /// The processes of a probe. They end when this is dropped.
    pub(super) struct ProcessGroup;

    impl ProcessGroup {
        pub(super) fn new(leader: &Child) -> Self {
            let id = leader.id().and_then(|id| i32::try_from(id).ok());
            RUNNING.store(id.unwrap_or(0), Ordering::SeqCst);
            Self
        }
    }

    impl Drop for ProcessGroup {
        fn drop(&mut self) {
            kill();
        }
    }

    pub(super) fn kill() {
        if let Some(group) = Pid::from_raw(RUNNING.swap(0, Ordering::SeqCst)) {
            // None of them may be left, which is what is wanted.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(not(unix))]
mod group {
    use tokio::process::Child;

    /// There are no groups of processes here.
    pub(super) struct ProcessGroup;

    impl ProcessGroup {
        pub(super) fn new(_: &Child) -> Self {
            Self
        }
    }

    pub(super) fn kill() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_variables_are_recognised_by_name() {
        for (name, ours) in [
            ("AWS_SECRET_ACCESS_KEY", true),
            ("AWS_SESSION_TOKEN", true),
            ("AWS_PROFILE", true),
            ("PORTWARD_NOTIFY_TOKEN", true),
            ("PORTWARD_NOTIFY_URL", true),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", true),
            ("ACTIONS_RUNTIME_TOKEN", true),
            ("GITHUB_TOKEN", true),
            ("GH_TOKEN", true),
            ("CI_JOB_TOKEN", true),
            ("CI_JOB_JWT_V2", true),
            ("GITHUB_SHA", false),
            ("PATH", false),
            ("SSH_AUTH_SOCK", false),
            ("MY_AWS_HOST", false),
        ] {
            assert_eq!(is_secret(name.as_ref()), ours, "{name}");
        }
    }
}
