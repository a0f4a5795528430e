//! Exploration of the executor under every schedule: one instance, two keys, two sources, and all events between two requests.
//!
//! **Owns** the cases and the schedules: a run, whether it is confirmed, and the run after a killed one. It runs the real executor: the
//! search branches at every request, and every branch is run from the start. **Does not** check invariants except liveness; the others
//! are those of the simulation.

mod choices;
mod world;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portward::apply::{self, Clock as _, Confirmation, Settings, Stop, Tools, Validity};
use portward::emulator::{Faults, Quirks};
use portward::exposure;
use portward::inventory::Inventory;
use portward::model::{
    Absent, Declaration, Desired, DesiredInstance, Expiry, Family, Firewall, Instance, Key, Live,
    LiveFirewall, Mode, Origin, Protocol, Rule, Sources, Strategy,
};
use portward::plan::{self, Call, Outcome, Plan, Verdict};

use super::act::{Notebook, RunRecord};
use super::adapter::RecordedRead;
use super::scene::Scene;
use super::{details, judge};
use world::{Budget, END, Semantics, ServiceModel, instance};

/// The keys, and the sources.
const PORTS: [i32; 2] = [22, 80];
const SOURCES: [&str; 2] = ["203.0.113.1/32", "203.0.113.2/32"];

/// The most requests about an instance that it takes from whatever state a run leaves, once nothing happens any more: the
/// rules for the plan and before the write, the instance, the write, the proof and the question who else wrote, for each
/// key, and a last look.
const REQUESTS: usize = 12;

/// What was explored.
#[derive(Debug, Default)]
pub(crate) struct Explored {
    /// What is and what is wanted, under one reading of the service.
    pub(crate) cases: usize,
    /// Sequences of choices that were run to their end.
    pub(crate) schedules: usize,
    /// States in which there was a choice.
    pub(crate) states: usize,
    /// How the runs ended, and how often.
    pub(crate) outcomes: BTreeMap<String, usize>,
    /// The most requests until all was well again.
    pub(crate) requests: usize,
}

/// In one line.
impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cases,
            schedules,
            states,
            outcomes,
            requests,
        } = self;
        write!(
            f,
            "{cases} cases, {schedules} schedules, {states} states; at most {requests} requests until all was well again; {outcomes:?}"
        )
    }
}

impl Explored {
    pub(crate) fn merge(&mut self, other: Self) {
        self.cases += other.cases;
        self.schedules += other.schedules;
        self.states += other.states;
        self.requests = self.requests.max(other.requests);
        for (outcome, times) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += times;
        }
    }
}

/// Explores part `part` of `of`. In one schedule happen `depth` things at most: of what may come before a request (one less
/// than that), a write that is lost or refused (once), and that nobody confirms the run (once).
///
/// # Errors
/// The first invariant that is broken, and the schedule that breaks it.
pub(crate) fn explore(depth: usize, part: usize, of: usize) -> Result<Explored, String> {
    let mut all = Explored::default();
    let budget = Budget {
        events: depth.saturating_sub(1).max(1),
        faults: 1,
        all: depth,
    };
    for case in cases().into_iter().skip(part).step_by(of) {
        all.merge(case.explore(budget)?);
    }
    Ok(all)
}

/// What is and what is wanted.
struct Case {
    before: Firewall,
    desired: Desired,
    /// What a second writer may do.
    others: Vec<Call>,
}

fn key(port: i32) -> Key {
    Key::new(Protocol::Tcp, port, port).expect("a port")
}

/// Of the two sources those whose bit is set.
fn sources(bits: usize) -> Sources {
    let named = SOURCES.iter().enumerate();
    let named = named.filter(|(place, _)| bits & (1 << place) != 0);
    let nets = named.map(|(_, text)| text.parse().expect("a network"));
    nets.collect()
}

/// The rules with these sources of the two keys.
fn firewall(number: usize) -> Firewall {
    let bits = [number & 3, number >> 2];
    let rules = PORTS.iter().zip(bits);
    rules
        .map(|(port, bits)| (key(*port), sources(bits)))
        .collect()
}

/// The same with the keys exchanged, the sources, or both: what is true of one is true of all.
fn alike(number: usize) -> [usize; 4] {
    let turned = |bits: usize| (bits >> 1) | ((bits & 1) << 1);
    let keys = |number: usize| (number >> 2) | ((number & 3) << 2);
    let nets = |number: usize| turned(number & 3) | (turned(number >> 2) << 2);
    [number, keys(number), nets(number), keys(nets(number))]
}

/// Every change there is, in both modes.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for before in 0..16 {
        for after in 0..16 {
            let (from, to) = (alike(before), alike(after));
            let all = from.iter().zip(to);
            let first = all
                .min()
                .is_some_and(|(from, to)| (*from, to) == (before, after));
            if before == after || !first {
                continue;
            }
            for mode in [Mode::Authoritative, Mode::Additive] {
                cases.push(Case::new(before, after, mode));
            }
        }
    }
    cases
}

impl Case {
    fn new(before: usize, after: usize, mode: Mode) -> Self {
        let (before, after) = (firewall(before), firewall(after));
        let wanted = wanted(&before, &after, mode);
        let desired = Desired {
            instances: [(instance().id, wanted.into())].into(),
            ..Desired::default()
        };
        // Whichever key and source are exchanged, it is the same that may happen.
        let keys = PORTS.map(key);
        let opens = keys.into_iter().flat_map(|key| {
            [1, 2].map(|bits| Call::Open {
                key,
                sources: sources(bits),
            })
        });
        let closes = keys.into_iter().map(|key| Call::Close {
            key,
            sources: sources(3),
        });
        let put = Call::Put {
            firewall: Firewall::new(),
        };
        Self {
            before,
            desired,
            others: opens.chain(closes).chain([put]).collect(),
        }
    }

    /// Every schedule, under every reading of the service. Where nothing that was sent would have done something else under
    /// another reading, that one is the same.
    fn explore(&self, budget: Budget) -> Result<Explored, String> {
        let mut explored = Explored::default();
        let mut same = Vec::new();
        for open_merges in [true, false] {
            for close_subtracts in [true, false] {
                if same.contains(&(open_merges, close_subtracts)) {
                    continue;
                }
                let semantics = Semantics {
                    open_merges,
                    close_subtracts,
                };
                let reading = Reading::new(self, semantics, budget);
                let (one, open_matters, close_matters) = reading.explore()?;
                explored.merge(one);
                if !close_matters {
                    same.push((open_merges, !close_subtracts));
                }
                if !open_matters {
                    same.push((!open_merges, close_subtracts));
                }
            }
        }
        Ok(explored)
    }

    /// The plan for what there is now.
    fn plan(&self, instance: Instance, rules: &Firewall) -> (Live, Plan) {
        let id = instance.id.clone();
        let rules = LiveFirewall::from(rules);
        let live = Live {
            instances: [(id.clone(), instance)].into(),
            firewalls: [(id, Ok(rules))].into(),
            sites_unreadable: BTreeMap::new(),
        };
        let plan = plan::plan(&self.desired, &live, plan::PlanOptions::default());
        (live, plan)
    }
}

/// A case under one reading of the service.
struct Reading<'a> {
    case: &'a Case,
    scene: Scene,
    semantics: Semantics,
    budget: Budget,
    /// The plan that the first run has.
    first: (Live, Plan),
}

impl<'a> Reading<'a> {
    fn new(case: &'a Case, semantics: Semantics, budget: Budget) -> Self {
        let mut quirks = Quirks::default();
        for (on, quirk) in [
            (!semantics.open_merges, "open=replace"),
            (!semantics.close_subtracts, "close=key"),
        ] {
            if on {
                quirks.set(quirk).expect("a value of the catalogue");
            }
        }
        let scene = Scene {
            regions: vec![instance().id.region],
            inventory: Inventory::new(BTreeMap::new()),
            wanted: BTreeMap::new(),
            row: Vec::new(),
            quirks,
            faults: Faults::default(),
            max_failures: None,
            ends: BTreeMap::new(),
            again: false,
            denied: false,
            on_disk: false,
            strict_spelling: false,
        };
        Self {
            case,
            scene,
            semantics,
            budget,
            first: case.plan(instance(), &case.before),
        }
    }

    /// Every schedule; and whether it mattered what Open and what Close do.
    fn explore(&self) -> Result<(Explored, bool, bool), String> {
        let choices = RefCell::default();
        let mut explored = Explored {
            cases: 1,
            ..Explored::default()
        };
        let matters = (Cell::new(false), Cell::new(false));
        // What a run may leave behind, and what it takes to get from there to what is wanted.
        let mut left = BTreeSet::new();
        loop {
            fastrand::seed(0);
            let world = ServiceModel::new(
                &self.case.before,
                self.semantics,
                self.budget,
                &self.case.others,
                &choices,
            );
            let schedule = self.schedule(&world, &mut explored);
            let taken = choices.borrow().taken();
            let broken = |what: String| format!("{what}\nthe choices were {taken:?}");
            left.extend(schedule.map_err(broken)?);
            matters.0.set(matters.0.get() || world.matters.0.get());
            matters.1.set(matters.1.get() || world.matters.1.get());
            if !choices.borrow_mut().next() {
                break;
            }
        }
        for rules in left {
            let requests = self.settles(&rules)?;
            explored.requests = explored.requests.max(requests);
        }
        explored.states = choices.borrow().states();
        Ok((explored, matters.0.get(), matters.1.get()))
    }

    /// One schedule: a run with everything that was chosen, and a second one where the first was killed. Gives the rules
    /// that there were at any moment.
    fn schedule(
        &self,
        world: &ServiceModel<'_>,
        explored: &mut Explored,
    ) -> Result<Vec<Firewall>, String> {
        let mut ended = false;
        while !ended {
            world.revive();
            let (act, whole) = self.run(world);
            if world.is_known() {
                return Ok(Vec::new());
            }
            let checked = if whole {
                judge::ends(&self.scene, &act)
            } else {
                judge::writes(&self.scene, &act)
            };
            checked.map_err(|what| format!("{what}\n{}", details::details(&self.scene, &act)))?;
            let results = act.report.results.iter();
            for result in results {
                let status = result.outcome.status();
                *explored.outcomes.entry(status.to_string()).or_default() += 1;
            }
            if !whole {
                *explored.outcomes.entry("killed".to_owned()).or_default() += 1;
            }
            ended = whole;
        }
        explored.schedules += 1;
        let journal = world.journal();
        let states = journal.iter().map(|write| LiveFirewall::read(&write.after));
        let states = states.map(|live| live.firewall().clone());
        Ok(states.chain([self.case.before.clone()]).collect())
    }

    /// Plans, applies and asks whether to keep it, unless it is killed before; says whether it came to its end.
    fn run(&self, world: &ServiceModel<'_>) -> (RunRecord, bool) {
        let (begin, looked, recognised) = (
            world.journal().len(),
            world.rule_reads().len(),
            world.identity_reads().len(),
        );
        let (first, listed) = (world.inventory(), world.listed());
        let plan_read = RecordedRead {
            id: listed.id.clone(),
            at: begin,
            arn: Some(listed.arn.clone()),
        };
        let (live, plan) = if begin == 0 && listed == instance() {
            self.first.clone()
        } else {
            self.case.plan(listed.clone(), &world.rules())
        };
        let clock = &world.time;
        let ends = clock.now() + END;
        let origin = origin();
        let validity = Validity {
            ends: [(listed.id.clone(), Expiry { at: ends, origin })].into(),
            ..Validity::default()
        };
        let notebook = Notebook::new(false, clock);
        let (applied, bound) = (Cell::new(None), Cell::new(None));
        let denied = Cell::new(false);
        let tools = Tools {
            reader: world,
            writer: world,
            journal: &notebook,
            progress: &(),
            settings: &settings(),
            stop: &world.stop,
            validity: &validity,
            clock,
        };
        let work = async {
            let report = apply::run(&plan, &tools).await;
            applied.set(Some(world.journal().len()));
            bound.set(Some(notebook.intents.borrow().len()));
            let wrote = report.results.iter().any(|result| result.writes > 0);
            if !wrote || !world.denies().await {
                return report;
            }
            denied.set(true);
            let no = std::future::ready(Confirmation::Denied("nobody confirmed it".to_owned()));
            apply::confirm(&plan, report, &tools, tools.settings.timeout, no).await
        };
        let report = clock.run_while(work, || world.goes_on());
        let whole = report.is_some();
        let intents = notebook.intents.take();
        let act = RunRecord {
            desired: self.case.desired.clone(),
            live,
            report: report.unwrap_or_default(),
            denied: denied.get(),
            again: false,
            receipt: None,
            first,
            last: world.inventory(),
            journal: world.journal(),
            begin,
            planned: begin,
            applied: applied.get().unwrap_or(world.journal().len()),
            plan_reads: vec![plan_read],
            rule_reads: world.rule_reads().split_off(looked),
            identity_reads: world.identity_reads().split_off(recognised),
            ends: [(listed.id, ends)].into(),
            bound: bound.get().unwrap_or(intents.len()),
            intents,
            plan,
        };
        (act, whole)
    }

    /// Once nothing happens any more, the next run gets there. Says how many requests it took.
    fn settles(&self, rules: &Firewall) -> Result<usize, String> {
        let choices = RefCell::default();
        let world = ServiceModel::new(rules, self.semantics, NOTHING, &[], &choices);
        for rule_reads in 1..=2 {
            let (_, plan) = self.case.plan(world.listed(), &world.rules());
            match plan.instances[0].verdict {
                Verdict::InSync
                | Verdict::Incomplete
                | Verdict::StillOpen
                | Verdict::Refused { .. } => {
                    let requests = world.requests() + rule_reads;
                    if requests <= REQUESTS {
                        return Ok(requests);
                    }
                    return Err(format!("it gets there: {requests} requests from {rules:?}"));
                }
                Verdict::Change | Verdict::Observed => {}
            }
            let tools = Tools {
                reader: &world,
                writer: &world,
                journal: &(),
                progress: &(),
                settings: &settings(),
                stop: &Stop::new(),
                validity: Validity::UNLIMITED,
                clock: &world.time,
            };
            let report = world.time.run(apply::run(&plan, &tools));
            let applied = matches!(
                report.results[0].outcome,
                Outcome::Applied { repaired: None }
            );
            if !applied {
                return Err(format!("it gets there: {report:?} from {rules:?}"));
            }
        }
        Err(format!("it gets there: not from {rules:?}"))
    }
}

/// Patience for two or three looks at whatever may pass: more of them would only be more of the same.
fn settings() -> Settings {
    let short = Duration::from_secs(1);
    Settings {
        timeout: short,
        operation_timeout: short,
        proof_timeout: short,
        ..Settings::default()
    }
}

/// Nothing happens.
const NOTHING: Budget = Budget {
    events: 0,
    faults: 0,
    all: 0,
};

/// What makes the second of the first. In additive mode the rules that stay are left to others.
fn wanted(before: &Firewall, after: &Firewall, mode: Mode) -> DesiredInstance {
    let (mut rules, mut absent) = (Vec::new(), Vec::new());
    let none = Sources::new();
    for key in PORTS.map(key) {
        let (was, is) = (
            before.get(key).unwrap_or(&none),
            after.get(key).unwrap_or(&none),
        );
        let wanted = if mode == Mode::Additive {
            exposure::subtract(is, was, Family::default())
        } else {
            is.clone()
        };
        if !wanted.is_empty() {
            rules.push(rule(key, wanted));
        }
        let gone = exposure::subtract(was, is, Family::default());
        if mode == Mode::Additive && !gone.is_empty() {
            absent.push(Absent {
                key,
                sources: (!is.is_empty()).then_some(gone),
                origin: origin(),
                why: None,
                owner: None,
            });
        }
    }
    DesiredInstance {
        mode,
        strategy: Strategy::Auto,
        rules,
        absent,
        expired: Vec::new(),
        notes: Vec::new(),
    }
}

fn rule(key: Key, sources: Sources) -> Rule {
    Rule {
        key,
        sources,
        declared: Arc::new(Declaration {
            allow: key.to_string().into(),
            from: [].into(),
            origin: origin(),
            why: None,
            owner: None,
            until: None,
        }),
    }
}

fn origin() -> Origin {
    Origin {
        file: "firewall.toml".into(),
        line: 3,
        column: 1,
    }
}
