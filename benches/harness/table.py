"""Tables of text, and the verdicts beside the goals.

Owns the look: Markdown that is aligned, so that it reads in a terminal and in a README. Refuses to measure.
"""

import dataclasses
import sys


def show(title, head, rows):
    """Prints one table at once: a run takes minutes, and may be cut short."""
    cells = [list(map(str, head)), *[list(map(str, row)) for row in rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    line = lambda row: "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    print(f"\n{title}\n", *[line(cells[0]), rule, *map(line, cells[1:])], sep="\n", flush=True)


def note(text):
    print(text, file=sys.stderr, flush=True)


def seconds(value):
    if value is None:
        return "for good"
    return f"{value * 1000:.1f} ms" if value < 0.1 else f"{value:.2f} s"


def mib(value):
    return f"{value:.1f} MiB"


@dataclasses.dataclass(frozen=True)
class Row:
    """One figure beside its goal. `limit` is the most that it may be; `None` for what could not be measured."""

    goal: int
    what: str
    measured: float | None
    limit: float
    unit: str = ""
    why: str = ""

    @property
    def verdict(self):
        if self.measured is None:
            return f"not measured: {self.why}"
        if self.measured <= self.limit:
            return "met"
        by = f" by {self.measured / self.limit - 1:.0%}" if self.limit else ""
        return f"missed{by}"

    def cells(self):
        figure = lambda value: f"{value:.4g}{self.unit}" if value < 1e4 else f"{value:.0f}{self.unit}"
        measured = "-" if self.measured is None else figure(self.measured)
        what = f"{self.what} ({self.why})" if self.why and self.measured is not None else self.what
        return self.goal, what, measured, f"<= {figure(self.limit)}", self.verdict


HEAD = ("goal", "what", "measured", "wanted", "verdict")
