"""train: dataset → candidate.

reads   `training_data/<run>/sft.jsonl` (dpo: `preferences.jsonl`, kto: `unpaired.jsonl`), the base model,
        the current adapter (presets that continue it)
writes  `loras/<run>/adapter_model.safetensors`, `adapter_config.json`, `README.md`, `training_curve.jsonl`,
        `interaction_ids.jsonl`, and last `generation.json`; `loras/latest`

A training that is killed leaves checkpoints in `loras/.<run>.<method>.<training>.work/` and goes on from the last one:
`<training>` is a hash of start, rows and recipe, and one that would begin otherwise does not go on.
"""

import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pipeline.backends.trainers import adapter_files, choice
from pipeline.backends.trainers.interface import Job, Result
from pipeline.backends.trainers.presets import Recipe, recipe
from pipeline.lib import generations, harvests, jsonl, lineage, trained_answers
from pipeline.lib.config import Settings
from pipeline.lib.errors import NothingToDo, UsageError
from pipeline.lib.files import point, publish_folder, read_json, require_disk, sha256, write_bytes, write_json
from pipeline.lib.generations import ADAPTER_FILE, MANIFEST, Generation
from pipeline.lib.layout import Layout
from pipeline.lib.logs import logger
from pipeline.lib.records import content_id

DATASET, PROVENANCE = "dataset.json", "provenance.jsonl"


def train(settings: Settings, run: str, dry_run: bool, show_progress: bool, start: str | None = None) -> dict[str, Any]:
    """Train a candidate from a dataset.

    Args:
        settings: base model, method, preset and overrides.
        run: the dataset.
        dry_run: only say what would be trained.
        show_progress: a bar instead of lines.
        start: the generation that a preset which continues goes on from, or `base`; none: what is current.

    Raises:
        NothingToDo: the dataset has been trained already, or has no rows for this method.
        UsageError: there is no such dataset, or something in it has been revoked since it was built.
        DiskError: too little disk.
        ConfigurationError: no base model, or `loras/current` belongs to another.
        BadRecordError: the start has no readable configuration.
        NightschoolError: nothing that may be called trained came out.
    """
    layout = settings.layout
    folder = layout.generation(run)
    if (folder / MANIFEST).is_file():
        raise NothingToDo(f"{run} has been trained already", f"its adapter is {folder}")
    table = choice.TABLES[settings.train.method]
    dataset, rows = _dataset(settings, run, table)
    ids = {str(row["interaction_id"]) for row in rows}
    _require_allowed(settings, run, ids)
    require_disk(settings.home, settings.night.minimum_disk_gb)
    chosen, base = recipe(settings.train), _base(settings)
    _require_rows(chosen.method, table, rows)
    parent = generations.incumbent(layout)
    continued = _continued(settings, parent if start is None else generations.read(layout, start), chosen, base)
    begins = continued.id if continued else generations.BASE
    if continued and not isinstance(chosen.targets, str):  # an adapter keeps the layers that it began with
        chosen = replace(chosen, targets=adapter_files.targets(continued.folder))
    if dry_run:
        return {"dry_run": True, "run": run, "rows": len(rows), "base": base, "start": begins, "recipe": asdict(chosen)}

    new, known = _rewrites(settings, run, parent, rows) if continued else (frozenset(), frozenset())
    began = {
        "start": begins,
        "base": base,
        "dataset": dataset,
        "config": {"preset": settings.train.preset, **asdict(chosen)},
        "seed": settings.train.seed,
    }
    work = _work_folder(layout, run, chosen.method, content_id(began, sorted(new), sorted(known)))
    job = replace(_job(settings, chosen, rows, continued, work, show_progress), new=new, known=known)
    result = choice.trainer(chosen.method).train(job)
    try:  # while it trained, somebody may have taken something back
        _require_allowed(settings, run, ids | (continued.interaction_ids if continued else set()))
    except UsageError:
        shutil.rmtree(job.work, ignore_errors=True)  # its weights know it
        raise
    facts = {"id": run, "parent": parent.id, "continues": continued is not None, **began}
    facts |= {"metrics": result.metrics, "versions": result.versions}
    generation = _publish(layout, facts, result, job, continued)
    shutil.rmtree(job.work, ignore_errors=True)
    place = str(folder.relative_to(settings.home))
    return {"run": run, "parent": parent.id, "sha256": generation.sha256, **result.metrics, "generation": place}


def _base(settings: Settings) -> dict[str, Any]:
    """Which weights exactly the adapter will belong to."""
    return {
        "model": settings.model.base,
        "revision": settings.model.revision,
        "sha256": lineage.require_current_base(settings),
        "quantization": settings.model.quantization,
    }


def _continued(settings: Settings, start: Generation, chosen: Recipe, base: dict[str, Any]) -> Generation | None:
    """The generation whose weights are trained on; none: the training begins at the base model.

    So it does where the start was trained on something that has been revoked since, for weights do not forget; and
    where its adapter is of another size, or adapts fewer layers.
    """
    if not chosen.continues or start.id == generations.BASE:
        return None
    lineage.require_same_base(start, str(base["sha256"]), settings)
    if harvests.excluded(settings.layout) & start.interaction_ids:
        logger.warning("%s was trained on what has been revoked since: this training begins at the base", start.id)
        return None
    if not adapter_files.suits(start.folder, chosen):
        logger.warning("%s has another rank or alpha, or fewer layers: this training begins at the base", start.id)
        return None
    return start


def _require_allowed(settings: Settings, run: str, interactions: set[str]) -> None:
    """A dataset knows nothing of what was taken back after it had been built."""
    if gone := len(harvests.excluded(settings.layout) & interactions):
        raise UsageError(
            f"{run} would be trained on what has been revoked or is in quarantine ({gone} interactions)",
            "`nightschool build-dataset` makes a dataset without them",
        )


def _work_folder(layout: Layout, run: str, method: str, training: str) -> Path:
    """Where this very training keeps its checkpoints; what others of the same run have left is removed."""
    work = layout.loras / f".{run}.{method}.{training}.work"
    for other in layout.loras.glob(f".{run}.*.work"):
        if other != work:
            logger.warning("checkpoints of a training that began otherwise are removed: %s", other.name)
            shutil.rmtree(other, ignore_errors=True)
    return work


def _job(
    settings: Settings,
    chosen: Recipe,
    rows: list[dict[str, Any]],
    continued: Generation | None,
    work: Path,
    show_progress: bool,
) -> Job:
    return Job(
        base=settings.base_folder,
        revision=settings.model.revision,
        quantization=settings.model.quantization,
        recipe=chosen,
        rows=rows,
        work=work,
        output=work / "adapter",
        parent=continued.folder.resolve() if continued else None,
        seed=settings.train.seed,
        save_every=settings.train.save_every,
        show_progress=show_progress,
    )


def _dataset(settings: Settings, run: str, table: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the manifest says of a table, and its rows, after comparing it with the hash that was recorded."""
    folder = settings.layout.dataset(run)
    if not (folder / DATASET).is_file():
        raise UsageError(f"no dataset {run!r} in {folder.parent}", "`nightschool build-dataset` makes one")
    recorded: dict[str, str] = read_json(folder / DATASET)["sha256"]
    if table not in recorded:
        raise UsageError(f"{folder} was built without {table}", "build the dataset again")
    if sha256(folder / table) != recorded[table]:
        raise UsageError(f"{folder / table} has changed since it was built", "build the dataset again")
    rows = list(jsonl.read(folder / table))
    facts = {
        "path": str(folder.relative_to(settings.home)),
        "table": table,
        "sha256": recorded[table],
        "rows": len(rows),
        "interaction_ids": trained_answers.FILE,
    }
    return facts, rows


def _rewrites(
    settings: Settings, run: str, incumbent: Generation, rows: list[dict[str, Any]]
) -> tuple[frozenset[str], frozenset[str]]:
    """Those that the incumbent has not learned (later rounds of a night go on with them), and the others."""
    told = settings.layout.dataset(run) / PROVENANCE
    if not told.is_file():  # a dataset that somebody else has made: all its rows are alike
        return frozenset(), frozenset()
    rewrites = frozenset(row["interaction_id"] for row in jsonl.read(told) if row["origin"] == "rewrite")
    trained, answers = incumbent.trained_answers, trained_answers.taught(rows)
    known = frozenset(each for each in rewrites if trained_answers.knows(trained, each, answers.get(each)))
    return rewrites - known, known


def _require_rows(method: str, table: str, rows: list[dict[str, Any]]) -> None:
    """A night whose failures are of no use to this method is a quiet one."""
    if not rows:
        raise NothingToDo(f"{table} has no rows for {method}", "see docs/formats.md for what each method needs")
    if method == "kto" and len({row["label"] for row in rows}) < 2:
        raise NothingToDo(f"all answers in {table} are of one kind", "kto needs good and bad ones, sft good ones only")


def _publish(layout: Layout, facts: dict[str, Any], result: Result, job: Job, parent: Generation | None) -> Generation:
    """Give the adapter its name: all files, their hashes, the manifest last, then the folder by rename."""
    before, answers = parent.trained_answers if parent is not None else {}, trained_answers.taught(job.rows)
    trained = {**before, **{each: answers.get(each) for each in result.learned}}

    def fill(temporary: Path) -> None:
        shutil.copytree(job.output, temporary, dirs_exist_ok=True)
        # The library writes tensors readable by their owner only; a server may run as somebody else.
        os.chmod(temporary / ADAPTER_FILE, 0o644)  # noqa: PTH101
        jsonl.write(temporary / "training_curve.jsonl", result.curve)
        trained_answers.write(temporary, trained)
        write_bytes(temporary / "README.md", _card(facts).encode())
        hashes = {path.name: sha256(path) for path in sorted(temporary.iterdir()) if path.is_file()}
        write_json(temporary / MANIFEST, {**facts, "sha256": hashes})

    folder = layout.generation(str(facts["id"]))
    publish_folder(folder, fill)
    point(layout.latest, folder.name)
    return generations.read(layout, folder.name)


def _card(facts: dict[str, Any]) -> str:
    """What a person finds in the folder."""
    base, data, metrics = facts["base"], facts["dataset"], facts["metrics"]
    return f"""---
base_model: {base["model"]}
library_name: peft
tags: [lora, nightschool]
---

# Generation {facts["id"]}

A LoRA adapter that Nightschool trained from the failures of a day, by {facts["config"]["method"]}.

| | |
|---|---|
| base model | `{base["model"]}`, weights sha256 `{base["sha256"]}`, quantization {base["quantization"]} |
| parent | {facts["parent"]} |
| dataset | `{data["path"]}/{data["table"]}`, {data["rows"]} rows, sha256 `{data["sha256"]}` |
| training | preset {facts["config"]["preset"]}, {metrics["steps"]} steps, final mean loss {metrics["loss"]} |

`generation.json` holds the whole configuration and the hash of every file. `verdict.json`, if it is there, says whether
it was better than its incumbent.
"""
