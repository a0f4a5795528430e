//! Simulation of leases: processes that grant, revoke and apply at the same time, some of which are killed, while time passes
//! and the service misbehaves.
//!
//! **Owns** the scenes, and the epilogue without faults: after every end, one `apply --only-expired` must leave nothing.
//! **Does not** check the processes themselves, which `properties` does.

mod properties;
mod scheduler;
mod tasks;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use portward::apply::{Clock as _, Settings, Stop};
use portward::config::{self, Config, Source};
use portward::emulator::{EmulatorOptions, Faults, InProcess, Quirks};
use portward::inventory::{Entry, Inventory};
use portward::lease::LeaseId;
use portward::lightsail::Reader as _;
use portward::model::{InstanceId, Key, Mode, PortState, Protocol, Sources};
use portward::plan::Verdict;

use super::adapter::Service;
use super::cover;
use super::time::Time;
use scheduler::Process;
use tasks::{End, Run, Setup, Task};

/// Quirks that stay at their default, because with another value rules cannot be read or written at all, or no operation ever
/// ends.
const PINNED: [&str; 13] = [
    "empty-put",
    "source-limit",
    "lists",
    "operations-per-page",
    "instances-per-page",
    "pages",
    "port-states",
    "port-states-every",
    "stopped",
    "tag-limit",
    "absent-port",
    // Without an operation of its own, a process must take every recent one for that of another writer.
    "write-reply",
    // In additive mode such rules cannot be changed.
    "keys",
];

/// The most runs of `apply` in the epilogue.
const ROUNDS: usize = 8;

/// The sources of grants; the last is within a declared network.
const ADDRESSES: [&str; 4] = [
    "203.0.113.1/32",
    "203.0.113.2/32",
    "203.0.113.3/32",
    "198.51.100.9/32",
];

/// The processes of one seed, and the service that they meet.
#[derive(Clone, Debug)]
struct Scene {
    mode: Mode,
    quirks: Quirks,
    faults: Faults,
    tasks: Vec<Plan>,
    seed: u64,
}

/// One process.
#[derive(Clone, Debug)]
struct Plan {
    task: Task,
    after: Duration,
    /// The number of requests after which it is killed.
    killed_after: Option<usize>,
    /// When it receives a signal.
    stops: Option<Duration>,
    /// The request before which it stalls, and for how long: not longer than a request may be in flight.
    stall: Option<(usize, Duration)>,
}

impl Scene {
    /// The scene of a seed.
    fn new(seed: u64, rows: &[cover::Row]) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mode = match rng.u8(..12) {
            0 => Mode::Observe,
            1..6 => Mode::Additive,
            _ => Mode::Authoritative,
        };
        let faults = if rng.bool() {
            Faults {
                seed,
                ..Faults::default()
            }
        } else {
            Faults {
                expire_after: None,
                deleted: 0,
                replaced: 0,
                // Grants are too rare to be throttled.
                throttle: false,
                foreign_write: if rng.u8(..3) == 0 { 20 } else { 0 },
                ..Faults::seeded(seed)
            }
        };
        let tasks = (0..rng.usize(2..=6)).map(|_| {
            let task = task(&mut rng);
            // Most start at once; some after the first leases have expired.
            let after = match rng.u8(..6) {
                0..3 => Duration::from_millis(rng.u64(..5)),
                3 => Duration::from_millis(rng.u64(..3_000)),
                4 => Duration::from_millis(rng.u64(58_000..125_000)),
                _ => Duration::from_secs(rng.u64(..400)),
            };
            let (killed_after, stops) = match rng.u8(..8) {
                0 | 1 => (Some(rng.usize(1..30)), None),
                2 => (None, Some(after + Duration::from_millis(rng.u64(..30)))),
                3 => (None, Some(after + Duration::from_millis(rng.u64(..2_000)))),
                _ => (None, None),
            };
            let stall = (rng.u8(..3) == 0).then(|| {
                let length = Duration::from_millis(rng.u64(500..29_000));
                (rng.usize(..14), length)
            });
            Plan {
                task,
                after,
                killed_after,
                stops,
                stall,
            }
        });
        let tasks = tasks.collect();
        Self {
            mode,
            quirks: quirks(&mut rng, seed, rows, mode),
            faults,
            tasks,
            seed,
        }
    }

    /// The configuration.
    fn config(&self) -> Config {
        let mode = match self.mode {
            Mode::Authoritative => "authoritative",
            Mode::Additive => "additive",
            Mode::Observe => "observe",
        };
        let text = format!(
            r#"version = 1
[defaults]
region = "eu-central-1"
[grants]
services = ["ssh", "tcp/8000"]
max = "8h"
[instances.web-1]
mode = "{mode}"
rules = [
  {{ allow = "https", from = "anywhere" }},
  {{ allow = "ssh", from = "198.51.100.0/24" }},
]
"#
        );
        config::parse(vec![Source::new("firewall.toml", text)]).expect("a valid configuration")
    }

    /// The first state: in additive mode with an undeclared rule, and sometimes without a declared one.
    fn inventory(&self) -> Inventory {
        let mut rng = Rng::with_seed(!self.seed);
        let rule = |port: i32, cidrs: &[&str], ipv6_cidrs: &[&str]| PortState {
            from_port: port,
            to_port: port,
            protocol: "tcp".to_owned(),
            state: Some("open".to_owned()),
            cidrs: cidrs.iter().map(ToString::to_string).collect(),
            ipv6_cidrs: ipv6_cidrs.iter().map(ToString::to_string).collect(),
            ..PortState::default()
        };
        let mut rules = Vec::new();
        if rng.u8(..4) > 0 {
            rules.push(rule(443, &["0.0.0.0/0"], &["::/0"]));
        }
        let mut ssh = vec!["198.51.100.0/24"];
        if self.mode == Mode::Additive && rng.bool() {
            ssh.push("192.0.2.0/24");
        }
        if rng.u8(..4) > 0 {
            rules.push(rule(22, &ssh, &[]));
        }
        if self.mode == Mode::Additive {
            rules.push(rule(9000, &["192.0.2.7/32"], &[]));
        }
        let entry = Entry {
            name: "web-1".to_owned(),
            arn: "arn:aws:lightsail:eu-central-1:123456789012:Instance/1".to_owned(),
            tags: BTreeMap::new(),
            state: "running".to_owned(),
            ip_address_type: "dualstack".to_owned(),
            port_states: Some(rules.into()),
        };
        Inventory::new([("eu-central-1".to_owned(), vec![entry])].into())
    }

    fn service(&self, inventory: Inventory, faults: Faults, time: &Rc<Time>) -> Service {
        let options = EmulatorOptions {
            quirks: self.quirks.clone(),
            faults,
            ..EmulatorOptions::default()
        };
        let emulator = InProcess::new(inventory, options, time.now());
        Service::new(emulator, Rc::clone(time))
    }
}

fn task(rng: &mut Rng) -> Task {
    match rng.u8(..10) {
        0..5 => Task::Grant {
            key: key([22, 8000][usize::from(rng.u8(..4) == 0)]),
            from: sources(ADDRESSES[rng.usize(..ADDRESSES.len())]),
            length: Duration::from_secs(rng.u64(60..=240)),
            by: ["alice", "bob"][rng.usize(..2)].to_owned(),
            replace: rng.u8(..5) == 0,
        },
        5 | 6 => Task::Revoke {
            which: rng.usize(..4),
        },
        7 => Task::Expire,
        8 if rng.u8(..4) == 0 => Task::Untag {
            which: rng.usize(..4),
        },
        _ => Task::Apply,
    }
}

fn key(port: i32) -> Key {
    Key::new(Protocol::Tcp, port, port).expect("a port")
}

fn sources(text: &str) -> Sources {
    let net = text.parse().expect("a network");
    [net].into_iter().collect()
}

/// Every other seed takes the readings of Open and Close in turn, and the default of all other quirks; the others take a row
/// of the pairwise cover.
fn quirks(rng: &mut Rng, seed: u64, rows: &[cover::Row], mode: Mode) -> Quirks {
    let mut quirks = Quirks::default();
    if seed.is_multiple_of(2) {
        let mut set = |text: &str| quirks.set(text).expect("a value of the catalogue");
        set(["open=merge", "open=replace"][usize::from(seed & 2 > 0)]);
        set(["close=sources", "close=key"][usize::from(seed & 4 > 0)]);
        return quirks;
    }
    let row = &rows[rng.usize(..rows.len())];
    for (quirk, value) in Quirks::catalogue().iter().zip(row) {
        let text = cover::setting(quirk, *value);
        let endless = quirk.name == "operations" && !text.ends_with("later");
        // In additive mode a refused Open, or a rule that the service spells otherwise, leaves no other call.
        let spelled = ["address", "ipv6"].contains(&quirk.name);
        let stuck = mode == Mode::Additive && (spelled || text == "open=refuse");
        if !PINNED.contains(&quirk.name) && !endless && !stuck {
            quirks.set(&text).expect("a value of the catalogue");
        }
    }
    quirks
}

/// How often each task ended in each way.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    ends: BTreeMap<String, usize>,
}

impl Counts {
    pub(crate) fn merge(&mut self, other: Self) {
        for (end, times) in other.ends {
            *self.ends.entry(end).or_default() += times;
        }
    }

    fn count(&mut self, run: &Run<'_>) {
        let verb = match &run.task {
            Task::Grant { .. } => "grant",
            Task::Revoke { .. } => "revoke",
            Task::Apply => "apply",
            Task::Expire => "expire",
            Task::Untag { .. } => "untag",
        };
        let end = match &*run.end.borrow() {
            None => "dead",
            Some(End::Done) => "done",
            Some(End::Nothing) => "nothing",
            Some(End::Reported(_)) => "told",
        };
        *self.ends.entry(format!("{verb} {end}")).or_default() += 1;
    }

    /// The expected combinations that did not occur.
    pub(crate) fn missing(&self) -> Vec<String> {
        let mut never = Vec::new();
        for verb in ["grant", "revoke", "apply", "expire"] {
            for end in ["dead", "done", "told"] {
                let name = format!("{verb} {end}");
                if !self.ends.contains_key(&name) {
                    never.push(name);
                }
            }
        }
        never
    }
}

/// Runs the scene of a seed.
///
/// # Errors
/// The property that does not hold, and the whole history.
pub(crate) fn play(seed: u64) -> Result<Counts, String> {
    thread_local! {
        static ROWS: Vec<cover::Row> = cover::rows();
    }
    let scene = ROWS.with(|rows| Scene::new(seed, rows));
    let told = |what: String| {
        format!(
            "leases, seed {seed}: {what}\nreplay it with PORTWARD_SEED={seed} cargo test --test simulation leases"
        )
    };
    run_scene(&scene).map_err(told)
}

/// Kills each kind of task after each of its requests, beside a second lease, under all four readings of the service and in
/// both modes that write. Returns the number of runs.
///
/// # Errors
/// The property that does not hold, and the whole history.
pub(crate) fn kill_at_every_request() -> Result<usize, String> {
    let grant = |address: usize, length: u64, replace: bool| Task::Grant {
        key: key(22),
        from: sources(ADDRESSES[address]),
        length: Duration::from_secs(length),
        by: "alice".to_owned(),
        replace,
    };
    let plan = |task, after, killed_after| Plan {
        task,
        after: Duration::from_secs(after),
        killed_after,
        stops: None,
        stall: None,
    };
    let tasks = [
        (grant(1, 100, false), 30),
        (grant(1, 100, true), 30),
        (Task::Revoke { which: 0 }, 30),
        (Task::Apply, 130),
        (Task::Expire, 130),
    ];
    let mut all = 0;
    // The lowest bits of a seed select the reading; the other bits select the first state.
    for (mode, reading) in [Mode::Authoritative, Mode::Additive]
        .into_iter()
        .flat_map(|mode| [0, 2, 4, 6].map(|reading| (mode, reading)))
    {
        for (task, after) in &tasks {
            for step in 1.. {
                let scene = Scene {
                    mode,
                    quirks: quirks(&mut Rng::with_seed(0), reading, &[], mode),
                    faults: Faults::default(),
                    tasks: vec![
                        plan(grant(0, 120, false), 0, None),
                        plan(grant(3, 200, false), 10, None),
                        plan(task.clone(), *after, Some(step)),
                    ],
                    seed: reading,
                };
                let counts = run_scene(&scene);
                let counts = counts.map_err(|what| {
                    format!(
                        "leases, reading {reading}, {task:?} is killed after {step} requests: {what}"
                    )
                })?;
                if !counts.ends.keys().any(|end| end.ends_with("dead")) {
                    break;
                }
                all += 1;
            }
        }
    }
    Ok(all)
}

/// Stalls a process before each of its requests while another task runs from beginning to end. Returns the number of runs.
///
/// # Errors
/// The property that does not hold, and the whole history.
pub(crate) fn stall_before_every_request() -> Result<usize, String> {
    const MOST: usize = 16;
    let grant = |address: usize, replace: bool| Task::Grant {
        key: key(22),
        from: sources(ADDRESSES[address]),
        length: Duration::from_mins(2),
        by: "alice".to_owned(),
        replace,
    };
    let revoke = |which: usize| Task::Revoke { which };
    let pairs = [
        (grant(1, false), revoke(0)),
        (grant(1, false), revoke(1)),
        (grant(1, false), grant(2, true)),
        (grant(1, true), Task::Apply),
        (revoke(0), grant(2, false)),
        (revoke(0), Task::Apply),
        (Task::Apply, revoke(0)),
        (Task::Apply, grant(2, false)),
    ];
    let mut all = 0;
    for mode in [Mode::Authoritative, Mode::Additive] {
        for (first, second) in &pairs {
            for before in 0..MOST {
                let reading = [0, 2, 4, 6][all % 4];
                let plan = |task: &Task, after: u64, stall| Plan {
                    task: task.clone(),
                    after: Duration::from_secs(after),
                    killed_after: None,
                    stops: None,
                    stall,
                };
                let stall = Some((before, Duration::from_secs(20)));
                let seed = 8 * u64::try_from(all).unwrap_or_default() + reading;
                let scene = Scene {
                    mode,
                    quirks: quirks(&mut Rng::with_seed(0), reading, &[], mode),
                    faults: Faults::default(),
                    tasks: vec![
                        plan(&grant(0, false), 0, None),
                        plan(first, 10, stall),
                        plan(second, 15, None),
                    ],
                    seed,
                };
                run_scene(&scene).map_err(|what| {
                    format!("leases, {first:?} stalls before request {before}, and {second:?} runs: {what}")
                })?;
                all += 1;
            }
        }
    }
    Ok(all)
}

/// Runs the processes of a scene to their end, and then the epilogue.
fn run_scene(scene: &Scene) -> Result<Counts, String> {
    let mut counts = Counts::default();
    let time = Rc::new(Time::new());
    fastrand::seed(scene.seed);
    let mut rng = Rng::with_seed(scene.seed.rotate_left(17));
    let config = scene.config();
    let service = scene.service(scene.inventory(), scene.faults.clone(), &time);
    let id = InstanceId {
        account: None,
        region: "eu-central-1".to_owned(),
        name: "web-1".to_owned(),
    };
    let settings = Settings {
        leases: true,
        ..Settings::default()
    };
    let setup = Setup {
        config: &config,
        id: &id,
        time: &time,
        settings: &settings,
    };
    let tags = Cell::new(0);
    let plans = scene.tasks.iter();
    let runs: Vec<Run<'_>> = plans
        .map(|plan| Run::new(plan.task.clone(), &service, &tags, plan.stall))
        .collect();
    let mut processes = Vec::new();
    for (place, (run, plan)) in runs.iter().zip(&scene.tasks).enumerate() {
        let id = LeaseId::from_bits(u64::try_from(place).unwrap_or_default());
        processes.push(Process {
            work: Box::pin(setup.work(run, plan.after, id)),
            killed_after: plan.killed_after.map(|after| (&run.client, after)),
        });
        if let Some(stops) = plan.stops {
            processes.push(Process {
                work: Box::pin(stop(&time, stops, &run.stop)),
                killed_after: None,
            });
        }
    }
    scheduler::run(&time, &mut rng, processes);
    for run in &runs {
        counts.count(run);
    }
    let history = properties::History {
        scene,
        id: &id,
        config: &config,
        runs: &runs,
        rules: service.emulator.emulator().journal(),
        tags: service.emulator.emulator().tag_journal(),
        first: scene.inventory(),
    };
    let told = |what: String| format!("{what}\n{history}");
    history.check().map_err(told)?;
    let leftover = service.emulator.emulator().inventory();
    let calm = Faults::default();
    let service = scene.service(leftover, calm, &time);
    let steps = RefCell::default();
    let ended = ends(&setup, scene, &service, &history, &steps);
    ended.map_err(|what| format!("{what}\n{history}{}", steps.borrow()))?;
    Ok(counts)
}

/// Signals a process.
async fn stop(time: &Time, after: Duration, stop: &Stop) {
    time.sleep(after).await;
    stop.set();
}

/// Reads until no stale view is left.
async fn catch_up(service: &Service, id: &InstanceId) {
    for _ in 0..4 {
        let _ = service.instance(id).await;
        let _ = service.port_states(id).await;
    }
}

/// The epilogue, without faults: one `apply` opens every live lease, and after each end one `apply --only-expired` leaves
/// neither rule nor tag of it.
fn ends(
    setup: &Setup<'_>,
    scene: &Scene,
    service: &Service,
    history: &properties::History<'_>,
    steps: &RefCell<String>,
) -> Result<(), String> {
    let emulator = service.emulator.emulator();
    let tags = Cell::new(0);
    let go = |task: Task| -> Result<(), String> {
        // This long after the last write, no read is stale.
        if !history.is_fresh() {
            setup.time.run(catch_up(service, setup.id));
        }
        let run = Run::new(task.clone(), service, &tags, None);
        setup
            .time
            .run(setup.work(&run, Duration::ZERO, LeaseId::from_bits(0)));
        let mut steps = steps.borrow_mut();
        let _ = writeln!(steps, "epilogue: {task:?} at {}", setup.time.now());
        for step in run.client.steps() {
            let _ = writeln!(
                steps,
                "    {} {:?} {:?}",
                step.action, step.rules, step.tags
            );
        }
        match run.end.take() {
            Some(End::Done) => Ok(()),
            end => Err(format!("epilogue: {task:?} ends with {end:?}")),
        }
    };
    if scene.mode == Mode::Observe {
        let before = emulator.inventory();
        let _ = (go(Task::Apply), go(Task::Expire));
        if emulator.inventory() != before {
            return Err("what is observed is never written".to_owned());
        }
        return Ok(());
    }
    let started = setup.time.now();
    go(Task::Apply)?;
    properties::live_is_open(&emulator.inventory(), setup.time.now())?;
    history.untagged_is_closed(&emulator.inventory(), started)?;
    let leases = history.leases();
    let ends: BTreeSet<_> = leases.iter().map(|lease| lease.until).collect();
    for end in ends {
        let wait = (end - setup.time.now()).try_into();
        setup.time.pass(wait.unwrap_or_default());
        let started = setup.time.now();
        go(Task::Expire)?;
        let inventory = emulator.inventory();
        history.expired_is_closed(&inventory, started)?;
        properties::live_is_open(&inventory, setup.time.now())?;
    }
    // Differences that have nothing to do with leases may be left.
    for _ in 0..ROUNDS {
        let run = Run::new(Task::Apply, service, &tags, None);
        let plan = setup.time.run(setup.plan(&run, false));
        let (_, plan) = plan.map_err(|error| format!("epilogue: {error}"))?;
        if plan.instances[0].verdict == Verdict::InSync {
            return Ok(());
        }
        go(Task::Apply)?;
    }
    Err("epilogue: it is never in sync".to_owned())
}
