#!/usr/bin/env python3
"""The animated terminal session of the README: docs/src/session.svg, from what the program really prints.

usage: docs/make-session.py PORTWARD [--check]
  --check  compares the picture with the file and writes nothing

The scenes are played in a temporary folder against the embedded emulator: a plan, a plan that locks everybody out and is
refused, the right one applied, and drift after somebody else opened a port. Output is shown as it is, with these exceptions:
standard output stands before standard error, lines longer than the terminal are broken at a space, and what differs from
run to run (the name of a receipt, the time of the last change) is replaced by the same text each time. So the script
prints the same bytes whenever it is run with the same program.

The picture is CSS only, for light and dark. Where it cannot move or shall not (prefers-reduced-motion), it shows the scene
that is refused.
"""

import html
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

COLUMNS = 80
CELL, LINE, SIZE, MARGIN = 8.4, 20, 14, 20  # pixels: a column, a row, the letters, and around them
TYPED = 0.03  # seconds for a letter
HERE = pathlib.Path(__file__).resolve().parent

CONFIG = """version = 1
defaults = { region = "eu-central-1" }

[instances.web-1]
rules = [
  { allow = ["http", "https"], from = "anywhere" },
  { allow = "ssh", from = "203.0.113.7", why = "my desk" },
]
"""
BY_HAND = 3306
# What the last scene begins with, out of sight: another rule, as if somebody had made it in the console. Without the operations
# that the emulator remembers, the run does not take its own write of a moment ago for somebody else's.
SOMEBODY = f"""version = 1
defaults = {{ region = "eu-central-1", mode = "additive" }}
policy = [{{ id = "database-open-to-world", severity = "off" }}]
instances.web-1.rules = [{{ allow = "tcp/{BY_HAND}", from = "anywhere" }}]
"""
ASKED = "; echo exit code $?"


def rule(port, cidrs, ipv6=()):
    return {
        "fromPort": port,
        "toPort": port,
        "protocol": "tcp",
        "state": "open",
        "cidrs": list(cidrs),
        "ipv6Cidrs": list(ipv6),
        "cidrListAliases": [],
    }


def fleet():
    instance = {
        "name": "web-1",
        "arn": "arn:aws:lightsail:eu-central-1:123456789012:Instance/0f8b6a3c-5d1e-4c57-9a40-000000000001",
        "tags": {},
        "state": "running",
        "ipAddressType": "dualstack",
        "portStates": [
            rule(22, ["203.0.113.7/32"]),
            rule(80, ["0.0.0.0/0"], ["::/0"]),
            rule(8080, ["0.0.0.0/0"], ["::/0"]),
        ],
    }
    return {"format": "portward.inventory", "version": 1, "regions": {"eu-central-1": [instance]}}


# Each scene: what is typed, the code that it must end with, and how long the reader has (seconds). A line that begins with
# `#` is a comment and is not run.
SCENES = [
    (["cat firewall.toml", "portward plan --emulator fleet.json"], [0, 0], 6),
    (
        [
            "sed -i s/203.0.113.7/203.0.113.70/ firewall.toml   # a slip of the finger",
            f"portward apply --emulator fleet.json --yes{ASKED}",
        ],
        [0, 3],
        8,
    ),
    (
        [
            "sed -i s/203.0.113.70/203.0.113.7/ firewall.toml",
            f"portward apply --emulator fleet.json --yes{ASKED}",
        ],
        [0, 0],
        6,
    ),
    ([f"# somebody opens tcp/{BY_HAND} in the console", f"portward drift --emulator fleet.json{ASKED}"], [2], 8),
]
# The scene that stands still: the one that is refused.
STILL = 1


def run(portward, folder, line, code):
    """The output of a line, standard output first."""
    line, asked, _ = line.partition(ASKED)
    environment = {
        "PATH": f"{portward.parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "CLICOLOR_FORCE": "1",
        "COLUMNS": str(COLUMNS),
    }
    done = subprocess.run(
        ["sh", "-c", line], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != code:
        sys.exit(f"`{line}` ended with {done.returncode} and not with {code}:\n{done.stdout}{done.stderr}")
    said = done.stdout + done.stderr
    said = re.sub(r"receipts/\d{8}T\d{6}Z-\d+\.jsonl", "receipts/20310401T091500Z-4711.jsonl", said)
    said = re.sub(r" at \d{4}-\d\d-\d\d \d\d:\d\d(\s+)UTC", r" at 2031-04-01 09:15\1UTC", said)
    return said.splitlines() + ([f"exit code {code}"] if asked else [])


def segments(line):
    """The line as (text, classes): SGR sequences become classes."""
    names = {"1": "b", "2": "d", "31": "r", "32": "g", "33": "y", "34": "c", "36": "c"}
    classes, found = [], []
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if not part.startswith("\x1b"):
            if part:
                found.append((part, " ".join(sorted(classes))))
            continue
        for code in part[2:-1].split(";"):
            if code in ("", "0"):
                classes = []
            elif code in names:
                classes.append(names[code])
            else:
                sys.exit(f"unknown colour {code!r}")
    return found


def wrapped(found):
    """Lines of at most COLUMNS cells, broken at the last space that fits."""
    cells = [(letter, classes) for text, classes in found for letter in text]
    lines = []
    while len(cells) > COLUMNS:
        space = max((at for at, (letter, _) in enumerate(cells[: COLUMNS + 1]) if letter == " "), default=0)
        cut = space or COLUMNS
        lines.append(cells[:cut])
        cells = cells[cut + 1 if space else cut :]
    return [*lines, cells]


def drawn(cells, row):
    """The text elements of one row: a piece for each run of one class, at its column, so that the font does not matter."""
    pieces, at = [], 0
    while at < len(cells):
        end = at
        while end < len(cells) and cells[end][1] == cells[at][1]:
            end += 1
        text = "".join(letter for letter, _ in cells[at:end])
        # Two spaces or more separate columns, and the pieces between them are placed one by one.
        for match in re.finditer(r"\S+(?: \S+)*", text):
            column, shown = at + match.start(), match.group()
            style = f' class="{cells[at][1]}"' if cells[at][1] else ""
            pieces.append(
                f'<text{style} x="{column * CELL:.1f}" y="{row * LINE + SIZE}" '
                f'textLength="{len(shown) * CELL:.1f}">{html.escape(shown, quote=False)}</text>'
            )
        at = end
    return "".join(pieces)


class Timeline:
    """The keyframes, whose times are shares of the whole."""

    def __init__(self, total):
        self.total, self.rules, self.count = total, [], 0

    def share(self, seconds):
        return f"{100 * seconds / self.total:.3f}%"

    def name(self):
        self.count += 1
        return f"k{self.count}"

    def between(self, start, end):
        """Shown from the one time to the other."""
        name, edge = self.name(), 0.001
        frames = [f"0%,{self.share(start)}{{opacity:0}}"] if start else []
        frames.append(f"{self.share(start + edge) if start else '0%'},{self.share(end - edge)}{{opacity:1}}")
        frames.append(f"{self.share(end)},100%{{opacity:{0 if end < self.total else 1}}}")
        self.rules.append(f"@keyframes {name}{{{''.join(frames)}}}")
        return name

    def typing(self, start, letters):
        """Uncovers so many letters from a time on, one after the other."""
        name, width = self.name(), letters * CELL
        end = start + letters * TYPED
        self.rules.append(
            f"@keyframes {name}{{0%{{transform:none}}{self.share(start)}{{transform:none;animation-timing-function:steps({letters})}}"
            f"{self.share(end)},100%{{transform:translateX({width:.1f}px)}}}}"
        )
        return name, end


def picture(played):
    total, starts = 0.0, []
    for typed, _, seconds in SCENES:
        starts.append(total)
        total += seconds + sum(0.8 if line.startswith("#") else len(line) * TYPED + 0.8 for line in typed)
    timeline, scenes, rows = Timeline(total), [], 0
    for number, ((typed, _, _), outputs) in enumerate(zip(SCENES, played)):
        now = starts[number] + 0.1
        end = starts[number + 1] if number + 1 < len(starts) else total
        row, parts = 0, []

        def shown(content):
            parts.append(f'<g class="s" style="animation-name:{timeline.between(now, end)}">{content}</g>')

        for line, output in zip(typed, outputs):
            if len(line) + 2 > COLUMNS:
                sys.exit(f"too wide: {line}")
            if line.startswith("#"):
                shown(drawn([(letter, "d") for letter in line], row))
                now += 0.7
            else:
                command, mark, note = line.partition("   #")
                cells = [("$", "d"), (" ", "")] + [(c, "b") for c in command] + [(c, "d") for c in mark + note]
                name, done = timeline.typing(now + 0.3, len(line))
                cover = f'<rect class="bg" x="{2 * CELL:.1f}" y="{row * LINE - 2}" width="{COLUMNS * CELL:.1f}" height="{LINE}"/>'
                shown(f'{drawn(cells, row)}<g class="m" style="animation-name:{name}">{cover}</g>')
                now = done + 0.3
            row += 1
            said = [cells for text in output for cells in wrapped(segments(text))]
            if said:
                shown("".join(drawn(cells, row + at) for at, cells in enumerate(said)))
                row += len(said)
            now += 0.2
        rows = max(rows, row)
        still = "" if number == STILL else " off"
        name = timeline.between(starts[number], end)
        scenes.append(f'<g class="s{still}" style="animation-name:{name}">\n' + "\n".join(parts) + "\n</g>")
    width, height = COLUMNS * CELL + 2 * MARGIN, rows * LINE + 2 * MARGIN
    style = f"""
svg{{--bg:#fff;--edge:#d0d7de;--fg:#1f2328;--dim:#59636e;--red:#b31d28;--green:#116329;--yellow:#7d4e00;--blue:#0550ae}}
@media(prefers-color-scheme:dark){{svg{{--bg:#0d1117;--edge:#3d444d;--fg:#f0f6fc;--dim:#9198a1;--red:#ff7b72;--green:#56d364;--yellow:#e3b341;--blue:#79c0ff}}}}
text{{font:{SIZE}px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:var(--fg)}}
.bg{{fill:var(--bg)}}.b{{font-weight:600}}.d{{fill:var(--dim)}}.r{{fill:var(--red)}}.g{{fill:var(--green)}}.y{{fill:var(--yellow)}}.c{{fill:var(--blue)}}
.off,.m{{opacity:0}}
@media(prefers-reduced-motion:no-preference){{.m{{opacity:1}}.s,.m{{animation:{total:.2f}s linear infinite}}{"".join(timeline.rules)}}}
"""
    alternative = "A terminal session: a plan, a plan that is refused because it locks everybody out, an apply, and drift."
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}" role="img" aria-labelledby="title">
<title id="title">{alternative}</title>
<style>{style}</style>
<rect x=".5" y=".5" width="{width - 1:.0f}" height="{height - 1}" rx="8" class="bg" stroke="var(--edge)"/>
<svg x="{MARGIN}" y="{MARGIN}" width="{width - 2 * MARGIN:.0f}" height="{height - 2 * MARGIN}">
{chr(10).join(scenes)}
</svg>
</svg>
"""


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--check"]
    if len(arguments) != 1:
        sys.exit(__doc__)
    portward = pathlib.Path(arguments[0]).resolve()
    played = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "firewall.toml").write_text(CONFIG, encoding="utf-8")
        (folder / "fleet.json").write_text(json.dumps(fleet()), encoding="utf-8")
        for number, (typed, codes, _) in enumerate(SCENES):
            if number == len(SCENES) - 1:
                (folder / "somebody.toml").write_text(SOMEBODY, encoding="utf-8")
                (folder / "fleet.json.operations").unlink(missing_ok=True)
                run(portward, folder, "portward apply -c somebody.toml --emulator fleet.json --yes", 0)
            codes = iter(codes)
            played.append([[] if line.startswith("#") else run(portward, folder, line, next(codes)) for line in typed])
    made = picture(played)
    path = HERE / "src/session.svg"
    if "--check" not in sys.argv:
        path.write_text(made, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != made:
        sys.exit("docs/src/session.svg is not what the program prints: docs/make-session.py target/debug/portward makes it anew")


if __name__ == "__main__":
    main()
