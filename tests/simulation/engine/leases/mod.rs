//! Access for a time, among people who do not know of each other: they grant, revoke and apply at once, some die on the way,
//! time passes, and the service misbehaves.
//!
//! **Owns** the scenes and how they go on once it is calm: every end comes, one run follows it, and nothing is left. **Does
//! not** know what must hold while people are at work, which is `judge`'s.

mod crowd;
mod judge;
mod people;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use portward::apply::{Clock as _, Settings, Stop};
use portward::config::{self, Config, Source};
use portward::emulator::{Faults, InProcess, Options, Quirks};
use portward::inventory::{Entry, Inventory};
use portward::lease::LeaseId;
use portward::lightsail::Reader as _;
use portward::model::{InstanceId, Key, Mode, PortState, Protocol, Sources};
use portward::plan::Verdict;

use super::adapter::Service;
use super::cover;
use super::time::Time;
use crowd::Person;
use people::{End, Errand, Office, Run};

/// Quirks that keep rules from being read or written at all, or for which nothing that is written ever ends: they stay as
/// usual, since where nothing can be done there is nothing to see.
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
    // Without an operation of our own, every one of the last minutes may be somebody else's.
    "write-reply",
    // In additive mode such rules cannot be changed.
    "keys",
];

/// How often `apply` is tried once it is calm.
const ROUNDS: usize = 8;

/// Who may have access for a time; the last is within what is declared.
const ADDRESSES: [&str; 4] = [
    "203.0.113.1/32",
    "203.0.113.2/32",
    "203.0.113.3/32",
    "198.51.100.9/32",
];

/// One world with people in it.
#[derive(Clone, Debug)]
struct Scene {
    mode: Mode,
    quirks: Quirks,
    faults: Faults,
    errands: Vec<Plan>,
    seed: u64,
}

/// What somebody is to do.
#[derive(Clone, Debug)]
struct Plan {
    errand: Errand,
    after: Duration,
    /// After how many requests they die.
    dies: Option<usize>,
    /// When they wish to stop.
    stops: Option<Duration>,
    /// Before which request they fall asleep, and for how long: not longer than a request may be under way.
    nap: Option<(usize, Duration)>,
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
                // The rates of people are not those of a loop.
                throttle: false,
                second_writer: if rng.u8(..3) == 0 { 20 } else { 0 },
                ..Faults::seeded(seed)
            }
        };
        let errands = (0..rng.usize(2..=6)).map(|_| {
            let errand = errand(&mut rng);
            // Most begin at once; some after the first have ended.
            let after = match rng.u8(..6) {
                0..3 => Duration::from_millis(rng.u64(..5)),
                3 => Duration::from_millis(rng.u64(..3_000)),
                4 => Duration::from_millis(rng.u64(58_000..125_000)),
                _ => Duration::from_secs(rng.u64(..400)),
            };
            let (dies, stops) = match rng.u8(..8) {
                0 | 1 => (Some(rng.usize(1..30)), None),
                2 => (None, Some(after + Duration::from_millis(rng.u64(..30)))),
                3 => (None, Some(after + Duration::from_millis(rng.u64(..2_000)))),
                _ => (None, None),
            };
            let nap = (rng.u8(..3) == 0).then(|| {
                let length = Duration::from_millis(rng.u64(500..29_000));
                (rng.usize(..14), length)
            });
            Plan {
                errand,
                after,
                dies,
                stops,
                nap,
            }
        });
        let errands = errands.collect();
        Self {
            mode,
            quirks: quirks(&mut rng, seed, rows, mode),
            faults,
            errands,
            seed,
        }
    }

    /// What is declared.
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

    /// What there is in the beginning: in additive mode with a rule of somebody else, and sometimes not all that is declared.
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
        let options = Options {
            quirks: self.quirks.clone(),
            faults,
            ..Options::default()
        };
        let emulator = InProcess::new(inventory, options, time.now());
        Service::new(emulator, Rc::clone(time))
    }
}

fn errand(rng: &mut Rng) -> Errand {
    match rng.u8(..10) {
        0..5 => Errand::Grant {
            key: key([22, 8000][usize::from(rng.u8(..4) == 0)]),
            from: sources(ADDRESSES[rng.usize(..ADDRESSES.len())]),
            length: Duration::from_secs(rng.u64(60..=240)),
            by: ["alice", "bob"][rng.usize(..2)].to_owned(),
            replace: rng.u8(..5) == 0,
        },
        5 | 6 => Errand::Revoke {
            which: rng.usize(..4),
        },
        7 => Errand::Expire,
        8 if rng.u8(..4) == 0 => Errand::Untag {
            which: rng.usize(..4),
        },
        _ => Errand::Apply,
    }
}

fn key(port: i32) -> Key {
    Key::new(Protocol::Tcp, port, port).expect("a port")
}

fn sources(text: &str) -> Sources {
    let net = text.parse().expect("a network");
    [net].into_iter().collect()
}

/// Every other seed takes its readings of Open and Close in turn and all else as usual; the others take a row of the cover.
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
        // In additive mode there is no other call where an Open is refused, or where a rule is spelled in a way of its own.
        let spelled = ["address", "ipv6"].contains(&quirk.name);
        let stuck = mode == Mode::Additive && (spelled || text == "open=refuse");
        if !PINNED.contains(&quirk.name) && !endless && !stuck {
            quirks.set(&text).expect("a value of the catalogue");
        }
    }
    quirks
}

/// What was done, and how often each way in which it can end.
#[derive(Debug, Default)]
pub(crate) struct Lived {
    ends: BTreeMap<String, usize>,
}

impl Lived {
    pub(crate) fn merge(&mut self, other: Self) {
        for (end, times) in other.ends {
            *self.ends.entry(end).or_default() += times;
        }
    }

    fn count(&mut self, run: &Run<'_>) {
        let verb = match &run.errand {
            Errand::Grant { .. } => "grant",
            Errand::Revoke { .. } => "revoke",
            Errand::Apply => "apply",
            Errand::Expire => "expire",
            Errand::Untag { .. } => "untag",
        };
        let end = match &*run.end.borrow() {
            None => "dead",
            Some(End::Done) => "done",
            Some(End::Nothing) => "nothing",
            Some(End::Told(_)) => "told",
        };
        *self.ends.entry(format!("{verb} {end}")).or_default() += 1;
    }

    /// What never happened of all that must.
    pub(crate) fn never(&self) -> Vec<String> {
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

/// Plays the scene of a seed.
///
/// # Errors
/// What is broken, and all that happened.
pub(crate) fn play(seed: u64) -> Result<Lived, String> {
    thread_local! {
        static ROWS: Vec<cover::Row> = cover::rows();
    }
    let scene = ROWS.with(|rows| Scene::new(seed, rows));
    let told = |what: String| {
        format!(
            "leases, seed {seed}: {what}\nreplay it with PORTWARD_SEED={seed} cargo test --test simulation leases"
        )
    };
    play_scene(&scene).map_err(told)
}

/// Everything that is done about a lease, by somebody who dies after every request of it, which is before the next one,
/// beside a second lease, under all four readings of the service and in both modes that write. Says how many requests there
/// were.
///
/// # Errors
/// What is broken, and all that happened.
pub(crate) fn die_everywhere() -> Result<usize, String> {
    let grant = |address: usize, length: u64, replace: bool| Errand::Grant {
        key: key(22),
        from: sources(ADDRESSES[address]),
        length: Duration::from_secs(length),
        by: "alice".to_owned(),
        replace,
    };
    let plan = |errand, after, dies| Plan {
        errand,
        after: Duration::from_secs(after),
        dies,
        stops: None,
        nap: None,
    };
    let errands = [
        (grant(1, 100, false), 30),
        (grant(1, 100, true), 30),
        (Errand::Revoke { which: 0 }, 30),
        (Errand::Apply, 130),
        (Errand::Expire, 130),
    ];
    let mut all = 0;
    // The lowest bits of a seed say which reading it is; the others make a difference to where it begins.
    for (mode, reading) in [Mode::Authoritative, Mode::Additive]
        .into_iter()
        .flat_map(|mode| [0, 2, 4, 6].map(|reading| (mode, reading)))
    {
        for (errand, after) in &errands {
            for step in 1.. {
                let scene = Scene {
                    mode,
                    quirks: quirks(&mut Rng::with_seed(0), reading, &[], mode),
                    faults: Faults::default(),
                    errands: vec![
                        plan(grant(0, 120, false), 0, None),
                        plan(grant(3, 200, false), 10, None),
                        plan(errand.clone(), *after, Some(step)),
                    ],
                    seed: reading,
                };
                let lived = play_scene(&scene);
                let lived = lived.map_err(|what| {
                    format!(
                        "leases, reading {reading}, {errand:?} dies after {step} requests: {what}"
                    )
                })?;
                if !lived.ends.keys().any(|end| end.ends_with("dead")) {
                    break;
                }
                all += 1;
            }
        }
    }
    Ok(all)
}

/// Somebody falls asleep before each of their requests, and meanwhile somebody else does something from its beginning to its
/// end. Says how many requests there were.
///
/// # Errors
/// What is broken, and all that happened.
pub(crate) fn sleep_everywhere() -> Result<usize, String> {
    const MOST: usize = 16;
    let grant = |address: usize, replace: bool| Errand::Grant {
        key: key(22),
        from: sources(ADDRESSES[address]),
        length: Duration::from_mins(2),
        by: "alice".to_owned(),
        replace,
    };
    let revoke = |which: usize| Errand::Revoke { which };
    let pairs = [
        (grant(1, false), revoke(0)),
        (grant(1, false), revoke(1)),
        (grant(1, false), grant(2, true)),
        (grant(1, true), Errand::Apply),
        (revoke(0), grant(2, false)),
        (revoke(0), Errand::Apply),
        (Errand::Apply, revoke(0)),
        (Errand::Apply, grant(2, false)),
    ];
    let mut all = 0;
    for mode in [Mode::Authoritative, Mode::Additive] {
        for (first, second) in &pairs {
            for before in 0..MOST {
                let reading = [0, 2, 4, 6][all % 4];
                let plan = |errand: &Errand, after: u64, nap| Plan {
                    errand: errand.clone(),
                    after: Duration::from_secs(after),
                    dies: None,
                    stops: None,
                    nap,
                };
                let nap = Some((before, Duration::from_secs(20)));
                let seed = 8 * u64::try_from(all).unwrap_or_default() + reading;
                let scene = Scene {
                    mode,
                    quirks: quirks(&mut Rng::with_seed(0), reading, &[], mode),
                    faults: Faults::default(),
                    errands: vec![
                        plan(&grant(0, false), 0, None),
                        plan(first, 10, nap),
                        plan(second, 15, None),
                    ],
                    seed,
                };
                play_scene(&scene).map_err(|what| {
                    format!("leases, {first:?} falls asleep before request {before}, and {second:?}: {what}")
                })?;
                all += 1;
            }
        }
    }
    Ok(all)
}

/// Plays a scene to its end, and then lets every end come.
fn play_scene(scene: &Scene) -> Result<Lived, String> {
    let mut lived = Lived::default();
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
    let office = Office {
        config: &config,
        id: &id,
        time: &time,
        settings: &settings,
    };
    let tags = Cell::new(0);
    let plans = scene.errands.iter();
    let runs: Vec<Run<'_>> = plans
        .map(|plan| Run::new(plan.errand.clone(), &service, &tags, plan.nap))
        .collect();
    let mut people = Vec::new();
    for (place, (run, plan)) in runs.iter().zip(&scene.errands).enumerate() {
        let id = LeaseId::from_bits(u64::try_from(place).unwrap_or_default());
        people.push(Person {
            work: Box::pin(office.work(run, plan.after, id)),
            dies: plan.dies.map(|after| (&run.client, after)),
        });
        if let Some(stops) = plan.stops {
            people.push(Person {
                work: Box::pin(stop(&time, stops, &run.stop)),
                dies: None,
            });
        }
    }
    crowd::run(&time, &mut rng, people);
    for run in &runs {
        lived.count(run);
    }
    let history = judge::History {
        scene,
        id: &id,
        config: &config,
        runs: &runs,
        rules: service.emulator.emulator().journal(),
        tags: service.emulator.emulator().tag_journal(),
        first: scene.inventory(),
    };
    let told = |what: String| format!("{what}\n{history}");
    history.judge().map_err(told)?;
    let leftover = service.emulator.emulator().inventory();
    let calm = Faults::default();
    let service = scene.service(leftover, calm, &time);
    let steps = RefCell::default();
    let ended = ends(&office, scene, &service, &history, &steps);
    ended.map_err(|what| format!("{what}\n{history}{}", steps.borrow()))?;
    Ok(lived)
}

/// Somebody wishes to stop what they do.
async fn stop(time: &Time, after: Duration, stop: &Stop) {
    time.sleep(after).await;
    stop.set();
}

/// Reads until old views are used up.
async fn catch_up(service: &Service, id: &InstanceId) {
    for _ in 0..4 {
        let _ = service.instance(id).await;
        let _ = service.port_states(id).await;
    }
}

/// Once it is calm: what is granted is open after one `apply`, and each end is followed by one `apply --only-expired`, after
/// which neither rule nor tag of it is left.
fn ends(
    office: &Office<'_>,
    scene: &Scene,
    service: &Service,
    history: &judge::History<'_>,
    steps: &RefCell<String>,
) -> Result<(), String> {
    let emulator = service.emulator.emulator();
    let tags = Cell::new(0);
    let go = |errand: Errand| -> Result<(), String> {
        // So long after the last write, every read shows what is.
        if !history.is_fresh() {
            office.time.run(catch_up(service, office.id));
        }
        let run = Run::new(errand.clone(), service, &tags, None);
        office
            .time
            .run(office.work(&run, Duration::ZERO, LeaseId::from_bits(0)));
        let mut steps = steps.borrow_mut();
        let _ = writeln!(steps, "calm: {errand:?} at {}", office.time.now());
        for step in run.client.steps() {
            let _ = writeln!(
                steps,
                "    {} {:?} {:?}",
                step.action, step.rules, step.tags
            );
        }
        match run.end.take() {
            Some(End::Done) => Ok(()),
            end => Err(format!("calm: {errand:?} ends with {end:?}")),
        }
    };
    if scene.mode == Mode::Observe {
        let before = emulator.inventory();
        let _ = (go(Errand::Apply), go(Errand::Expire));
        if emulator.inventory() != before {
            return Err("what is observed is never written".to_owned());
        }
        return Ok(());
    }
    let begun = office.time.now();
    go(Errand::Apply)?;
    judge::live_is_open(&emulator.inventory(), office.time.now())?;
    history.untagged_is_closed(&emulator.inventory(), begun)?;
    let leases = history.leases();
    let ends: BTreeSet<_> = leases.iter().map(|lease| lease.until).collect();
    for end in ends {
        let wait = (end - office.time.now()).try_into();
        office.time.pass(wait.unwrap_or_default());
        let begun = office.time.now();
        go(Errand::Expire)?;
        let inventory = emulator.inventory();
        history.ended_is_closed(&inventory, begun)?;
        judge::live_is_open(&inventory, office.time.now())?;
    }
    // Now and then something is left to be done that has nothing to do with leases.
    for _ in 0..ROUNDS {
        let run = Run::new(Errand::Apply, service, &tags, None);
        let plan = office.time.run(office.plan(&run, false));
        let (_, plan) = plan.map_err(|error| format!("calm: {error}"))?;
        if plan.instances[0].verdict == Verdict::InSync {
            return Ok(());
        }
        go(Errand::Apply)?;
    }
    Err("calm: it is never in sync".to_owned())
}
