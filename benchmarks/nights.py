"""Nine nights of a made-up service, each a whole run of nightly.yaml over S3: `python -m benchmarks.nights`, 7 minutes.

The feed brings rows late, loses a day, delivers one twice, has one with nothing in it; two nights' windows are
poisoned, one lightly and one badly, by shuffling the items of some rows. Every night is the nightly command with a
small model. Draws docs/pictures/nights.png, prints the table of docs/nights.md and what refused a night, and fails if a
verdict, an exit code, a rule or an alias is not what the night should end in.
"""

import sys
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot as plt

from tests.night_runs import Command, Ended, Feed, Night, all_wrong, simulate, world
from tests.services import s3

WINDOW, USERS, ITEMS = 10, 800, 300
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "nights.png"

PLAN = [
    Night("the first", says="There is no champion"),
    Night("a tenth of the rows is late", "late", says="new since the champion"),
    Night("the late rows are in", says="came in later"),
    Night("the day was lost", "lost", "skipped", "no interaction is held out"),
    Night("a day delivered twice", "twice", says="repeat another"),
    Night("0.5% shuffled", "light", says="no partition is there of"),
    Night("30% shuffled", "heavy", "fail", fails="flips"),
    Night("nothing on the day", "empty", "skipped", "no interaction is held out"),
    Night("mended"),
]
MEASURED = {
    "RLS": "rls/rbo",
    "without FINEST": "rls_unstabilised/rbo",
    "churn": "churn/rbo",
    "churn without": "churn_unstabilised/rbo",
    "MRR": "accuracy/mrr",
    "base model's": "accuracy_base/mrr",
    "champion's": "accuracy_champion/mrr",
}
COLUMNS = ["night", "as of", "verdict", "champion after it", *MEASURED, "new items", "gone"]


def main() -> None:
    """Runs the nights, prints the table and draws the picture."""
    with tempfile.TemporaryDirectory() as name, s3.serve(Path(name)) as server:
        folder = Path(name)
        feed = Feed(
            server.root / server.bucket("finest") / "interactions", world(len(PLAN), WINDOW, USERS, ITEMS), WINDOW
        )
        nightly = Command(
            "s3://finest/interactions", folder / "state", [f"ingest.window_days={WINDOW}"], server.environment()
        )
        ended = [told(one) for one in simulate(PLAN, feed, nightly)]
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for one in ended:
        print(f"| {' | '.join(cells(one))} |")
    draw(ended)
    if problems := all_wrong(ended):
        sys.exit("\n".join(problems))


def told(one: Ended) -> Ended:
    """Prints of a night how it ended, with all rules that do not hold."""
    broken = [rule["sentence"] for rule in one.verdict["rules"] if rule["status"] == "fail"]
    print(f"{one.night.title}: {one.verdict['verdict']}", *broken, sep="\n  ", flush=True)
    return one


def cells(one: Ended) -> list[str]:
    """Returns a night as a row of the table."""
    metrics = one.verdict["metrics"]
    measured = [f"{metrics[name]:.3f}" if name in metrics else "" for name in MEASURED.values()]
    counts = [f"{metrics[name]:.0f}" if name in metrics else "" for name in ("catalogue/new", "catalogue/vanished")]
    return [one.night.title, str(one.as_of), one.verdict["verdict"], one.champion, *measured, *counts]


def draw(ended: Sequence[Ended]) -> None:
    """Draws RLS, churn and accuracy over the nights.

    The point of a night that was not promoted is hollow; a skipped night is a grey band, a refused one a red band.
    """
    figure, panels = plt.subplots(3, 1, figsize=(9, 8), sharex=True, layout="constrained")
    rows = [
        (
            "Rank list stability (RLS, rbo)",
            {"with FINEST": "rls/rbo", "without": "rls_unstabilised/rbo", "noise floor": "noise_floor/rbo"},
        ),
        ("Similarity to the champion's lists (rbo)", {"with FINEST": "churn/rbo", "without": "churn_unstabilised/rbo"}),
        (
            "MRR on the newest day",
            {"candidate": "accuracy/mrr", "champion": "accuracy_champion/mrr", "base model": "accuracy_base/mrr"},
        ),
    ]
    colours = "#0b6e4f", "#d1495b", "#8d99ae"
    for panel, (title, lines) in zip(panels, rows, strict=True):
        for colour, (label, metric) in zip(colours, lines.items(), strict=False):
            points = [(place, one.verdict["metrics"].get(metric)) for place, one in enumerate(ended)]
            there = [(place, value) for place, value in points if value is not None]
            panel.plot(*zip(*there, strict=True), "-", color=colour, label=label, linewidth=1.6)
            for place, value in there:
                promoted = ended[place].verdict["verdict"] == "pass"
                panel.plot(place, value, "o", color=colour, markerfacecolor=colour if promoted else "white")
        for place, one in enumerate(ended):
            if one.verdict["verdict"] != "pass":
                panel.axvspan(
                    place - 0.45,
                    place + 0.45,
                    color="#f3d9dc" if one.verdict["verdict"] == "fail" else "#ececec",
                    zorder=0,
                )
        panel.set_title(title, loc="left", fontsize=10)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    labels = [f"{one.as_of:%b %d}: {one.verdict['verdict']}\n{textwrap.fill(one.night.title, 14)}" for one in ended]
    panels[-1].set_xticks(range(len(ended)), labels, fontsize=7)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=120)


if __name__ == "__main__":
    main()
