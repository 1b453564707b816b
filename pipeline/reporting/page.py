"""One page about an installation, to mail or to keep: a single HTML file that asks nobody for anything.

No script, no link to a file elsewhere; plots are inline SVG, each with a table of the same numbers. What people and
models wrote is shown, never executed: Jinja2 escapes it, control characters become pictures of themselves, long
texts are cut, and the page's own policy allows nothing but its style.
"""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from pipeline.lib import generations, side_by_side
from pipeline.lib.generations import Generation
from pipeline.lib.layout import Layout
from pipeline.lib.text import visible
from pipeline.reporting import nights, plots, words
from pipeline.reporting.week import ENDINGS, held_out

_NIGHTS = 30  # most of them on the page
_DAYS = 31  # likewise, in tables and plots
_ANSWERS = 3  # won, and lost
_QUESTION, _ANSWER, _REASON = 300, 500, 300  # characters


def render(layout: Layout, model: str, story: dict[str, Any] | None, week: dict[str, Any], now: float) -> bytes:
    """The page.

    Args:
        layout: where the generations are.
        model: its public name.
        story: a night as `pipeline.report.report` tells it; none: there has not been one.
        week: some days as `pipeline.report.week` tells them.
        now: when the page is made, in seconds since 1970.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pipeline.reporting", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        lines=partial(visible, longest=_ANSWER, lines=True),
        question=partial(visible, longest=_QUESTION, lines=True),
        short=partial(visible, longest=_REASON),
        commands=_commands,
        percent=words.percent,
        between=words.between,
        milliseconds=words.milliseconds,
        held_out=held_out,
        target=words.target,
        moment=_moment,
    )
    told = nights.nights(layout)[-_NIGHTS:]
    run = story["run"] if story else ""
    days = week["daily"][-_DAYS:]
    template = environment.get_template("page.html.jinja")
    text = template.render(
        model=model,
        now=now,
        story=story,
        week=week,
        week_line=words.week_line(week),
        steps=_steps(story, week),
        nights=told,
        endings=ENDINGS,
        days=days,
        shortened=len(days) < len(week["daily"]),
        opinions={each["day"]: each for each in week["satisfaction"]["daily"]},
        trends=[
            (
                name.removesuffix("_ms").replace("_", " "),
                *(words.measured(name, each[when]) for when in ("before", "now")),
                words.trend(name, each),
            )
            for name, each in week["trends"].items()
        ],
        answers=_answers(layout, story["night"]) if story else None,
        **_plots(layout, run, told, days, week),
    )
    return text.encode()


def _steps(story: dict[str, Any] | None, week: dict[str, Any]) -> list[str]:
    """Of the night, then of the days, unless these have nothing to add."""
    of_days = words.week_steps(week)
    return of_days if story is None else [story["next_step"], *(each for each in of_days if each != words.NOTHING)]


def _commands(text: str) -> str:
    """What stands between backticks is a command."""
    from markupsafe import Markup

    parts = visible(text, 2 * _REASON).split("`")
    tags = (Markup("<code>{}</code>") if number % 2 else Markup("{}") for number in range(len(parts)))
    return Markup("").join(tag.format(part) for tag, part in zip(tags, parts, strict=True))


def _plots(
    layout: Layout, run: str, told: list[dict[str, Any]], days: list[dict[str, Any]], week: dict[str, Any]
) -> dict[str, Any]:
    """The plots that there is something for, as markup; {name: none} for the others."""
    from markupsafe import Markup

    curve = _thinned(nights.curve(layout, run)) if run else []
    asked = [day for day in days if day["queries"]]
    timed = [day for day in days if day["latency_ms"]["p50"] is not None]
    latency = next(each for each in week["targets"] if each["name"] == "latency")
    drawn = {
        "success": plots.success_by_night(told) if any(each["held_out"] for each in told) else None,
        "curve": plots.training_curve(curve) if len(curve) > 1 else None,
        "requests": plots.requests_by_day(days) if asked else None,
        "latency": plots.latency_by_day(days, latency["high"]) if timed else None,
    }
    # Nothing but our own numbers, dates and words is in them, and ElementTree has escaped those.
    return {"losses": curve, "plots": {name: svg and Markup(svg) for name, svg in drawn.items()}}


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most some sixty of them, the first and the last among them."""
    step = len(points) // 60 + 1
    return points if step == 1 else [*points[:-1:step], points[-1]]


def _answers(layout: Layout, night: dict[str, Any]) -> dict[str, Any] | None:
    """Questions that only one side of the night's canary answered rightly; none where nothing was compared."""
    if not night["kept"] or night["incumbent"] is None:
        return None
    candidate = generations.read(layout, night["run"])
    incumbent = Generation(layout.generation(night["incumbent"]), {})  # its files may be gone, its answers are here
    rows = side_by_side.between(layout, incumbent, candidate)
    won = [row for row in rows if row["second"]["passed"] is True and not row["first"]["passed"]]
    lost = [row for row in rows if row["first"]["passed"] is True and not row["second"]["passed"]]
    return {
        "asked": len(rows),
        "groups": [(name, len(found), found[:_ANSWERS]) for name, found in (("won", won), ("lost", lost)) if found],
    }


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
