"""What must hold of the program's answers, as statements about every packet.

- `diff`: gained and lost are exact. What is gained is open for certain, what is lost is shut for certain, and nothing
  that is in doubt is called equal.
- `plan`: what must result is what the configuration says in its mode, and the exposure is exact.
- The calls of a plan, under all four readings of Open (merge or replace) and Close (subtract or remove): after every call
  what is allowed before and after is allowed, nothing is allowed that neither allows, and the last state is the result.

Owns the statements and the solver that looks for a packet against them. Does not run the program; `meaning` and `texts` say
what rules let in.
"""

import collections

import z3

import texts
from meaning import (
    BROWSER_CLIENT, PACKET, Rules, Union, Without, all_of, any_of, implies, is_alias, none_of, same, shown,
)
from texts import Live, key_of, of_boxes, of_documents, of_rules, sources_of


class Oracle:
    """Looks for packets that contradict statements, and keeps count."""

    def __init__(self):
        self.tally, self.faults, self.open = collections.Counter(), [], []

    def hold(self, subject, statements):
        """Statements are (text, formula that must hold for every packet)."""
        self.tally["statements"] += len(statements)
        self.open += [(f"{subject}: {text}", formula) for text, formula in statements]

    def settle(self, case):
        """Asks for a packet that contradicts any of the statements, and where there is one, for one of the others."""
        # Each case gets a solver of its own: what is learnt of one is of no use for another.
        solver, left = z3.SolverFor("QF_BV"), self.open
        self.open = []
        solver.add(PACKET)
        while left:
            solver.push()
            solver.add(none_of(all_of([formula for _, formula in left])))
            answer = solver.check()
            if answer == z3.unsat:
                return
            if answer == z3.unknown:
                self.fault(case, f"the solver gave up: {solver.reason_unknown()}")
                return
            model, rest = solver.model(), []
            packet, _ = shown(model)
            for text, formula in left:
                if z3.is_false(model.eval(formula, model_completion=True)):
                    self.fault(case, f"{text}: {packet}")
                else:
                    rest.append((text, formula))
            left = rest
            solver.pop()

    def check(self, case, subject, held, text):
        """A statement that needs no solver."""
        self.tally["statements"] += 1
        if not held:
            self.fault(case, f"{subject}: {text}")

    def fault(self, case, text):
        self.faults.append((case.number if case else None, text))


def exact(boxes, family, truth, name):
    """Statements that boxes name exactly these packets. A box that names the whole world may leave the browser client out,
    which is part of it."""
    said = of_boxes(boxes)
    alias = is_alias(BROWSER_CLIENT)
    other = none_of(alias)
    return [
        (f"{name} although it is not so", implies(said.plain, truth)),
        (f"not {name} although it is so", implies(all_of([truth, other]), said.plain)),
        (f"not {name} although it is so", implies(all_of([truth, alias]), any_of([said.plain, said.covers(family)]))),
    ]


def differs(answer, family, before, after, most, name):
    """Statements that an answer is the difference of two sets: gained is what certainly gets in and certainly did not
    before, and lost is what certainly got in and cannot any more. `most` is all that may get in after."""
    was, will, may = before.closed(family), after.closed(family), most.closed(family)
    return [
        *exact(answer["gained"], family, all_of([will, none_of(was)]), f"{name} says gained"),
        *exact(answer["lost"], family, all_of([was, none_of(may)]), f"{name} says lost"),
    ]


def well_formed(oracle, case, subject, answer):
    for boxes in (answer["gained"], answer["lost"]):
        for flaw in texts.flaws_of_form(boxes):
            oracle.fault(case, f"{subject}: {flaw}")
    oracle.tally["boxes"] += len(answer["gained"]) + len(answer["lost"])


def hold_difference(oracle, case, subject, answer, before, after, most, doubtful):
    """What `diff` answers for one instance."""
    well_formed(oracle, case, subject, answer)
    oracle.hold(subject, differs(answer, case.family, before, after, most, "diff"))
    empty = not answer["gained"] and not answer["lost"]
    if doubtful:
        oracle.check(case, subject, answer["equal"] is not True, "called equal in spite of doubt")
    else:
        oracle.check(case, subject, answer["equal"] is empty, "`equal` does not fit gained and lost")


def hold_bounds(oracle, case, subject, answer, live):
    """What `diff` answers of an additive configuration, of which what would result is known only within bounds."""
    well_formed(oracle, case, subject, answer)
    family, before = case.family, live.certain
    declared, least, _ = additive_bounds(case, live)
    most = Union(declared, before)
    doubts = live.after(Rules([]), "additive")
    was, low, high = before.closed(family), least.closed(family), most.closed(family)
    low_may, high_may = Union(least, doubts).closed(family), Union(most, doubts).closed(family)
    gained, lost = of_boxes(answer["gained"]), of_boxes(answer["lost"])
    exactly = [
        *exact(answer["gained"], family, all_of([low, none_of(was)]), "diff says gained")[1:],
        *exact(answer["lost"], family, all_of([was, none_of(high_may)]), "diff says lost")[1:],
    ]
    bounds = [
        ("diff says gained although it is not so", implies(gained.plain, all_of([high, none_of(was)]))),
        ("diff says lost although it is not so", implies(lost.plain, all_of([was, none_of(low_may)]))),
    ]
    oracle.hold(subject, exactly + bounds)


# What must result


def additive_bounds(case, live):
    """The least and the most that may result in additive mode. How far `absent` reaches depends on the calls that are safe;
    what it names through a rule of its own key goes, and what it does not name stays."""
    wanted = case.config
    declared = of_rules(wanted.declared)
    named = [(key, texts.ALL_SOURCES if sources is None else sources) for key, sources in wanted.absent]
    wide = [(key, widened(sources)) for key, sources in named + wanted.expired]
    least = Union(declared, Without(live.certain, of_rules(wide)))
    most = declared
    for key, sources in live.rules:
        own = [(key, absent) for other, absent in named if other == key]
        most = Union(most, Without(of_rules([(key, sources)]), of_rules(own)))
    return declared, least, most


def widened(sources):
    """With the browser client, where half of the world is named: whether it goes too is left open."""
    if any(length <= 1 for _, _, length in sources.networks):
        return texts.Sources(sources.networks, sources.aliases | {BROWSER_CLIENT})
    return sources


def hold_target(oracle, case, subject, plan, live, after):
    """That what would result is what is wanted."""
    family = case.family
    declared = of_rules(case.config.declared)
    verdict = plan["verdict"]
    if case.mode != "additive":
        held = same(after.closed(family), declared.closed(family))
        oracle.hold(subject, [("what would result is not what is declared", held)])
        if verdict == "refused":
            # Several rules that change take one Put, which an unknown entry forbids.
            oracle.check(case, subject, case.strategy == "incremental" or live.unknown, f"refused: {plan['reason']}")
        return
    declared, least, most = additive_bounds(case, live)
    if verdict == "refused" or live.is_doubtful():
        most = Union(declared, live.certain)
    statements = [
        ("declared, or not to be touched, and it would not be open", implies(least.closed(family), after.closed(family))),
        ("neither live nor declared, or absent, and it would be open", implies(after.closed(family), most.closed(family))),
    ]
    if verdict != "refused":
        statements += stays_open(case, plan, live, after, declared)
    oracle.hold(subject, statements)


def stays_open(case, plan, live, after, declared):
    """Statements about access that must go and that a rule which is not ours still gives: all of it is named. What a Put
    may cut is cut, and only `all` cannot be, since no other rule opens every protocol."""
    gone = case.config.expired + [(key, sources or texts.ALL_SOURCES) for key, sources in case.config.absent]
    named = of_boxes([box for part in plan.get("stillOpen", []) for box in part["access"]])
    # Who is behind an alias is not for `absent` to say where the world gets in.
    address = none_of(is_alias(BROWSER_CLIENT))
    open_still = all_of([address, after.plain, of_rules(gone).plain, none_of(declared.closed(case.family))])
    statements = [
        ("absent and still open, and not named", implies(open_still, named.plain)),
        ("said to be still open although it is not so", implies(all_of([address, named.plain]), open_still)),
    ]
    is_cut = case.strategy == "put" and not any(key[0].startswith("icmp") for key, _ in gone)
    if is_cut:
        uncut = of_rules([(key, sources) for key, sources in live.rules if key[0] == "all"])
        statements.append(("absent, and a Put would leave it open", implies(open_still, uncut.plain)))
    return statements


# Calls


READINGS = [(merges, subtracts) for merges in (True, False) for subtracts in (True, False)]


def as_state(rules):
    """Rules as the service is taken to keep them: by key, each source as a text."""
    state = collections.defaultdict(frozenset)
    for rule in rules:
        state[key_of(rule)] |= texts_of(rule)
    return dict(state)


def texts_of(rule):
    names = ("cidrs", "ipv6Cidrs", "cidrListAliases")
    return frozenset((name, text) for name in names for text in rule[name])


def run_call(state, call, merges, subtracts):
    """The rules after a call, under one reading of the service."""
    request = call["request"]
    if call["action"].startswith("Put"):
        return as_state(request["portInfos"])
    info, state = request["portInfo"], dict(state)
    key, named = key_of(info), texts_of(info)
    now = state.pop(key, frozenset())
    if call["action"].startswith("Open"):
        state[key] = now | named if merges else named
    elif subtracts and now - named:
        state[key] = now - named
    return state


def meaning_of(state):
    rules = []
    for key, named in state.items():
        lists = collections.defaultdict(list)
        for name, text in named:
            lists[name].append(text)
        rules.append((key, sources_of(lists)))
    return of_rules(rules)


def hold_calls(oracle, case, subject, plan, live, before, after):
    """Every state on the way, under every reading."""
    family, calls = case.family, plan["calls"]
    ended, passed = set(), set()
    for merges, subtracts in READINGS:
        state = as_state(plan["before"]["rules"])
        for call in calls:
            state = run_call(state, call, merges, subtracts)
            passed.add(frozenset(state.items()))
        ended.add(frozenset(state.items()))
    least = all_of([before.closed(family), after.closed(family)])
    # The browser client is somewhere in the world: a state that lets in all of it, each part before or after, is no more
    # than both together.
    most = Union(before, after).closed(family)
    statements = []
    for state in passed:
        here = meaning_of(dict(state)).closed(family)
        statements.append(("on the way, shut although it is open before and after", implies(least, here)))
        statements.append(("on the way, open although it is shut before and after", implies(here, most)))
    for state in ended:
        held = same(meaning_of(dict(state)).closed(family), after.closed(family))
        statements.append(("the calls do not lead to the result", held))
    oracle.hold(subject, statements)
    oracle.tally["states"] += len(passed)
    for call in calls:
        oracle.tally[call["action"].split("Instance")[0].lower()] += 1
        if call["action"].startswith("Put"):
            oracle.check(case, subject, not live.unknown, "a Put would drop an entry of an unknown protocol")
            continue
        info = call["request"]["portInfo"]
        key = key_of(info)
        certain = key in live.canonical or key not in as_state(plan["before"]["rules"])
        oracle.check(case, subject, certain, f"a call for {key}, whose live entry is not in its one spelling")
        oracle.check(case, subject, not sources_of(info).is_empty(), f"the call for {key} names no sources")
    fallback = plan["fallback"]
    if fallback is not None:
        other = of_documents(fallback)
        held = same(other.closed(family), after.closed(family))
        oracle.hold(subject, [("the fallback is not the result", held)])


def hold_plan(oracle, case, subject, plan, strict=False):
    """What a plan says of one instance; `strict` is one that also mends the spelling."""
    live = Live(case.live)
    family = case.family
    before, after = of_documents(plan["before"]["rules"]), of_documents(plan["after"])
    verdict, stays = plan["verdict"], plan["incomplete"] is not None
    oracle.tally[f"{case.mode} {verdict}"] += 1
    oracle.hold(subject, [("the rules before are not those that are live", same(before.plain, live.certain.plain))])
    well_formed(oracle, case, subject, plan["exposure"])
    if verdict in ("in-sync", "incomplete"):
        oracle.check(case, subject, not plan["calls"], "in sync, with calls")
        oracle.check(case, subject, not plan.get("stillOpen"), "in sync although what is absent stays open")
        oracle.check(case, subject, not live.is_doubtful() or stays, "in sync in spite of doubt")
        oracle.check(case, subject, stays == (verdict == "incomplete"), f"{verdict}, and the reverse beside it")
        oracle.hold(subject, [("in sync although it is not", same(before.closed(family), after.closed(family)))])
    most = live.after(after, case.mode)
    oracle.hold(subject, differs(plan["exposure"], family, before, after, most, "exposure"))
    hold_target(oracle, case, subject, plan, live, after)
    if verdict == "change":
        hold_calls(oracle, case, subject, plan, live, before, after)
        if not (strict or live.is_doubtful() or plan["exposure"]["gained"] or plan["exposure"]["lost"]):
            oracle.fault(case, f"{subject}: a change that changes nothing")
    must_stay = live.unknown or (case.mode == "additive" and live.uncertain)
    oracle.check(case, subject, stays or not must_stay, "what cannot be read stays, and it is called complete")
