"""Damage to files: of their bytes, of their tokens, and of what they say.

Owns the ways in which a file can be wrong. Does not know which of them the program must refuse.
"""

import hashlib
import json
import re

TOKEN = re.compile(rb'[A-Za-z0-9_.:/-]+|"(?:[^"\\\n]|\\.)*"|\s+|.', re.S)

QUOTED, NUMBER, NAME = re.compile(rb'"[^"]*"'), re.compile(rb"-?[0-9]+"), re.compile(rb"[a-z][a-z-]*")

WORDS = [
    b"0", b"-1", b"1", b"65535", b"65536", b"2147483647", b"-2147483648", b"9223372036854775808", b"1e999", b"0x10", b"1_000",
    b"nan", b"inf", b"true", b"null", b"{}", b"[]", b'""', b'"*"', b'"[a-"', b'"**"', b'"/"', b'"a/b/c/d"', b'"all"', b'"-1"',
    b'"tcp/0-65535"', b'"tcp/65535-0"', b'"icmp/255:255"', b'"icmp"', b'"anywhere"', b'"0.0.0.0"', b'"::"', b'"0.0.0.0/0"',
    b'"::/0"', b'"::ffff:1.2.3.4/96"', b'"255.255.255.255/32"', b'"1.2.3.4/33"', b'"lightsail-connect"', b'"\\u0000"',
    b'"\\u202e"', b'"\\ud800"', "\"\u202eabc\"".encode(), "\"\u2066\u200b\U000e0041\"".encode(), b'"\x1b[2J"', b"\xff\xfe", b"\xc3\x28",
    b"\xef\xbb\xbf", b"2031-12-31", b"0000-01-01", b"9999-12-31T23:59:60Z", b"2031-12-31T00:00:00+25:00", b"'''", b'"""', b"#",
    b"[", b"]", b"[[", b"{", b"}", b",", b"=", b":", b"\r", b"\r\n", b"\n", b"\t", b"\x00", b"::error::x", b"##[error]x",
]


def mutate(dice, name, text, others):
    """The text, damaged once or a few times."""
    is_json, is_lines = name.endswith(".json"), name.endswith(".jsonl")
    for _ in range(dice.choice([1, 1, 1, 1, 2, 3, 6])):
        if (is_json or is_lines) and dice.random() < 0.6:
            text = restated(dice, name, text)
        else:
            text = dice.choice(DAMAGE)(dice, text, others)
        text = text[: 2 << 20]
    return text


# Bytes and tokens


def spot(dice, text):
    return dice.randrange(len(text) + 1)


def flip(dice, text, _):
    if not text:
        return text
    at = dice.randrange(len(text))
    return text[:at] + bytes([dice.choice([text[at] ^ 1 << dice.randrange(8), dice.randrange(256)])]) + text[at + 1 :]


def cut(dice, text, _):
    a, b = sorted((spot(dice, text), spot(dice, text)))
    return dice.choice([text[:a], text[:a] + text[b:], text[b:]])


def insert(dice, text, _):
    at = spot(dice, text)
    return text[:at] + dice.choice(WORDS) + text[at:]


def token(dice, text, _):
    """Another word in place of one."""
    tokens = TOKEN.findall(text)
    if tokens:
        tokens[dice.randrange(len(tokens))] = dice.choice(WORDS + [dice.choice(tokens)])
    return b"".join(tokens)


def alike(dice, text, _):
    """Another word of the same kind in place of one: such a file is often still valid, and says something else."""
    tokens = TOKEN.findall(text)
    kinds = [kind for kind in (QUOTED, NUMBER, NAME) if any(kind.fullmatch(word) for word in tokens)]
    if not kinds:
        return text
    kind = dice.choice(kinds)
    places = [at for at, word in enumerate(tokens) if kind.fullmatch(word)]
    known = [word for word in WORDS if kind.fullmatch(word)]
    tokens[dice.choice(places)] = dice.choice([*known, *(tokens[at] for at in places)])
    return b"".join(tokens)


def swap(dice, text, _):
    tokens = TOKEN.findall(text)
    if tokens:
        a, b = dice.randrange(len(tokens)), dice.randrange(len(tokens))
        tokens[a], tokens[b] = tokens[b], tokens[a]
    return b"".join(tokens)


def lines(dice, text, others):
    """A line less, twice, elsewhere, or of another file."""
    all_lines = text.splitlines(keepends=True)
    if not all_lines:
        return text
    at, to = dice.randrange(len(all_lines)), dice.randrange(len(all_lines))
    kind = dice.randrange(5)
    if kind == 0:
        del all_lines[at]
    elif kind == 1:
        all_lines.insert(to, all_lines[at])
    elif kind == 2:
        all_lines.insert(to, all_lines.pop(at))
    elif kind == 3:
        all_lines.insert(to, all_lines[at] * dice.choice([2, 50, 500]))
    else:
        all_lines.insert(to, dice.choice(dice.choice(others).splitlines(keepends=True) or [b""]))
    return b"".join(all_lines)


def nest(dice, text, _):
    at, depth = spot(dice, text), dice.choice([5, 100, 2000, 100_000])
    one, other = dice.choice([(b"[", b"]"), (b"{", b"}"), (b'{"a":', b"}"), (b"[[", b"]]"), (b"a.", b"")])
    return text[:at] + one * depth + dice.choice([b"", b"1"]) + other * depth + text[at:]


def long(dice, text, _):
    at = spot(dice, text)
    return text[:at] + dice.choice([b"a", b"1", b"*", b"?*", b" ", b"\xf0\x9f\x98\x80", b"/", b"-"]) * dice.choice([100, 5000, 60_000]) + text[at:]


def other(dice, _, others):
    """Another file in its place, or nothing."""
    return dice.choice([b"", b"\n", b"\xef\xbb\xbf", *others])


DAMAGE = [flip, cut, insert, token, token, token, swap, lines, lines, lines, nest, long, other, *[alike] * 12]


# What a document in JSON says


def restated(dice, name, text):
    """A document that says something else and is written as the program writes it; a plan has the right digest."""
    try:
        if name.endswith(".jsonl"):
            parts = text.decode().splitlines()
            at = dice.randrange(len(parts))
            parts[at] = compact(change(dice, json.loads(parts[at])))
            return "".join(part + "\n" for part in parts).encode()
        document = change(dice, json.loads(text))
        if isinstance(document, dict) and document.get("format") == "portward.plan" and dice.random() < 0.9:
            return sealed(document)
        return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "replace")
    except (ValueError, RecursionError, IndexError):
        return text


def compact(document):
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def sealed(plan):
    """With the digest of what it says, in its place."""
    rest = {name: value for name, value in plan.items() if name != "digest"}
    digest = "sha256:" + hashlib.sha256(compact(rest).encode("utf-8", "replace")).hexdigest()
    plan = {name: digest if name == "digest" else value for name, value in plan.items()}
    return (json.dumps(plan, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "replace")


VALUES = [
    None, True, 0, -1, 1, 22, 255, 256, 65535, 65536, 2**31 - 1, -(2**31), 2**63, 2**64, 1.5, 1e300, "", "all", "ALL", "-1", "tcp",
    "icmp6", "gre", "closed", "0.0.0.0/0", "::/0", "0.0.0.0", "10.1.2.3/8", "::ffff:1.2.3.4", "1.2.3.4/33", "lightsail-connect",
    "a/b", "../x", "\u202e", "\x1b[2J", "\u0000", "::error::x", "x" * 3000, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z",
    "-9999-01-01T00:00:00Z", "web-1", "eu-central-1", "running", "pending", "ipv6", "additive", "observe", "change", "in-sync",
    "refused", [], {}, [[]], [None], ["0.0.0.0/0"] * 70, {"a": {}},
]


def places(value, found, path=()):
    found.append(path)
    if isinstance(value, dict):
        for name, part in value.items():
            places(part, found, (*path, name))
    elif isinstance(value, list):
        for at, part in enumerate(value):
            places(part, found, (*path, at))
    return found


def change(dice, document):
    """One value, member or element changed."""
    path = dice.choice(places(document, []))
    if not path:
        return document if dice.random() < 0.9 else dice.choice(VALUES)
    owner = document
    for step in path[:-1]:
        owner = owner[step]
    last = path[-1]
    kind = dice.randrange(6)
    if kind <= 1:
        owner[last] = dice.choice(VALUES)
    elif kind == 2:
        del owner[last]
    elif kind == 3 and isinstance(owner, list):
        owner.insert(dice.randrange(len(owner) + 1), json.loads(json.dumps(owner[last])))
    elif kind == 3:
        owner[dice.choice(["name", "x", "", last + "x"])] = owner[last]
    elif kind == 4:
        source = document
        for step in dice.choice(places(document, [])):
            source = source[step]
        owner[last] = json.loads(json.dumps(source))
    elif isinstance(owner[last], int) and not isinstance(owner[last], bool):
        owner[last] += dice.choice([-1, 1])
    elif isinstance(owner[last], str) and owner[last]:
        at = dice.randrange(len(owner[last]))
        owner[last] = owner[last][:at] + dice.choice("09az/*\u202e") + owner[last][at + 1 :]
    return document
