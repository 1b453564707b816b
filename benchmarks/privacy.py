"""Are secrets and personal data gone before a teacher or a trainer sees them, and does everything else stay?

    python -m benchmarks.privacy [--seed 20261126] [--ner-model NAME] [--quick] [--json]

Labelled texts (see `privacy_set`), the shipped scrubber, and on the same texts what one would use without it:
presidio's AnalyzerEngine with the recognizers it loads for English, and detect-secrets' scan of every line.

A label is found when all of it is removed under its class. A removal is right when it covers a label of its class and
takes at most four characters more; all others count against precision.
"""

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from typing import Any

from benchmarks import privacy_secrets, privacy_set
from benchmarks.privacy_secrets import SECRETS
from benchmarks.privacy_set import NAMES, PERSONAL, Labelled
from benchmarks.privacy_values import email, phone
from benchmarks.table import Row, finish
from pipeline.hygiene.privacy import Scrubber
from pipeline.hygiene.spans import Found

_MORE = 4
_TALK = (
    "the a model train answer question please could you explain why my code does not work when it runs on two machines "
    "with the new version because it says index out of range and then stops after a while thanks for your help"
)
_PRESIDIO = {
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
    "CREDIT_CARD": "CARD",
    "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP",
    "MAC_ADDRESS": "MAC",
    "CRYPTO": "WALLET",
    **dict.fromkeys(["US_SSN", "US_ITIN", "UK_NINO", "ES_NIF", "PL_PESEL", "FI_PERSONAL_IDENTITY_CODE"], "ID"),
}
Find = Callable[[str], Iterable[Found]]


def judged(find: Find, texts: list[Labelled]) -> dict[str, Counter[str]]:
    """Labels, found, removals and right removals of each class, and of "all"."""
    counts: dict[str, Counter[str]] = {"all": Counter()}
    for text in texts:
        found = list(find(text.text))
        for label in text.spans:
            hit = any(_covers(each, label) for each in found)
            for kind in (label.kind, "all"):
                counts.setdefault(kind, Counter()).update(labels=1, found=hit)
        for each in found:
            right = any(
                _covers(each, label) and each.end - each.start - (label.end - label.start) <= _MORE
                for label in text.spans
            )
            for kind in (each.kind, "all"):
                counts.setdefault(kind, Counter()).update(removals=1, right=right)
    return counts


def _covers(found: Found, label: privacy_set.Span) -> bool:
    return found.kind == label.kind and found.start <= label.start and label.end <= found.end


def chat(seed: int, count: int) -> list[str]:
    """Texts of 60 words; one in ten with a mail address, one in twenty with a telephone number."""
    source, texts = random.Random(seed), []
    for number in range(count):
        words = source.choices(_TALK.split(), k=60)
        if number % 10 == 0:
            words[30] = email(source)
        if number % 20 == 0:
            words[20] = phone(source)
        if number % 4 == 0:
            words[10] = str(source.randint(1, 9999))
        texts.append(" ".join(words))
    return texts


def per_second(work: Callable[[str], object], texts: list[str]) -> float:
    """Texts in a second of one core, warm."""
    for text in texts[: len(texts) // 10]:
        work(text)
    started = time.process_time()
    for text in texts:
        work(text)
    return len(texts) / (time.process_time() - started)


def presidio() -> Find:
    """AnalyzerEngine as it comes, without a language model, and without the download of the list of suffixes."""
    import tldextract
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NoOpNlpEngine

    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=())
    none = NoOpNlpEngine([{"lang_code": "en", "model_name": "none"}])
    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(nlp_engine=none)
    engine = AnalyzerEngine(registry=registry, nlp_engine=none, supported_languages=["en"])

    def find(text: str) -> Iterator[Found]:
        for result in engine.analyze(text, "en"):
            if result.entity_type in _PRESIDIO:
                yield Found(result.start, result.end, _PRESIDIO[result.entity_type])

    return find


def detect_secrets() -> Find:
    """Its scan of single lines, with the settings it comes with."""
    from detect_secrets.core.scan import scan_line
    from detect_secrets.settings import default_settings

    def find(text: str) -> Iterator[Found]:
        start = 0
        with default_settings():
            for line in text.splitlines(keepends=True):
                for secret in scan_line(line):
                    at = line.find(secret.secret_value or "")
                    yield Found(start + at, start + at + len(secret.secret_value or ""), "SECRET")
                start += len(line)

    return find


def _share(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 100.0


def personal_rows(seed: int, each: int, find: Find) -> list[Row]:
    """Fixed forms: overall against the bars, then every class; presidio alone beside it."""
    texts = privacy_set.personal(seed, each)
    ours, theirs = judged(find, texts), judged(presidio(), texts)
    total, other = ours["all"], theirs["all"]
    recall, precision = _share(total["found"], total["labels"]), _share(total["right"], total["removals"])
    rows = [
        Row(f"personal data of fixed form found ({len(texts)} texts)", "≥ 95 %", f"{recall:.1f} %", recall >= 95),
        Row("… removals that are right", "≥ 90 %", f"{precision:.1f} %", precision >= 90),
        Row(
            "… presidio's AnalyzerEngine as it comes: found / right",
            "–",
            f"{_share(other['found'], other['labels']):.1f} / {_share(other['right'], other['removals']):.1f} %",
            None,
        ),
    ]
    for kind in PERSONAL:
        mine, its = ours.get(kind, Counter()), theirs.get(kind, Counter())
        measured = f"{mine['found']} of {mine['labels']} found, {mine['right']} of {mine['removals']} removals right"
        rows.append(Row(f"{kind} (presidio found {its['found']})", "–", measured, None))
    return rows


def secret_rows(seed: int, each: int, find: Find) -> list[Row]:
    """All planted secrets against the bar, then every format; detect-secrets' own scan beside it."""
    texts = privacy_secrets.texts(seed, each)
    ours, some = judged(find, texts)["all"], [text for at, text in enumerate(texts) if at % each < 20]
    scan = judged(detect_secrets(), some)["all"]
    rows = [
        Row(
            f"planted secrets removed whole ({len(SECRETS)} formats × {each})",
            "100 %",
            f"{ours['found']} of {ours['labels']}",
            ours["found"] == ours["labels"],
        ),
        Row("… removals that are right", "–", f"{_share(ours['right'], ours['removals']):.1f} %", None),
        Row("… detect-secrets' scan_line: found whole", "–", f"{scan['found']} of {scan['labels']}", None),
    ]
    for about in SECRETS:
        mine = judged(find, [text for text in texts if text.about == about])["all"]
        rows.append(Row(about, "–", f"{mine['found']} of {mine['labels']}", None))
    return rows


def name_rows(seed: int, each: int, scrubber: Scrubber) -> list[Row]:
    """Names and places, where a model is installed."""
    if not scrubber.looks_for_names:
        return [Row("names and places found", "–", "no model installed", None)]
    counts = judged(scrubber.find, privacy_set.names(seed, each))
    return [Row(f"{kind} found", "–", f"{counts[kind]['found']} of {counts[kind]['labels']}", None) for kind in NAMES]


def measure(seed: int, ner_model: str | None, quick: bool) -> list[Row]:
    """All rows of the table."""
    each, count = (20, 500) if quick else (100, 5000)
    scrubber = Scrubber(ner_model)
    forms = Scrubber(keep=NAMES)
    rows = secret_rows(seed, each, forms.find) + personal_rows(seed, each, forms.find)
    rows += name_rows(seed, 2 * each, scrubber)
    texts, analyze = chat(seed, count), presidio()
    speed = per_second(forms.scrub, texts)
    rows.append(Row("texts of 60 words in a second, one core", "≥ 2000", f"{speed:.0f}", speed >= 2000))
    rows.append(
        Row(
            "… presidio's AnalyzerEngine", "–", f"{per_second(lambda text: list(analyze(text)), texts[:500]):.0f}", None
        )
    )
    return rows


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seed", type=int, default=20261126)
    parser.add_argument("--ner-model", help="spaCy model: a package or a folder")
    parser.add_argument("--quick", action="store_true", help="20 of each instead of 100")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure(options.seed, options.ner_model, options.quick)
    libraries = {name: version(name) for name in ("presidio-analyzer", "detect-secrets", "phonenumbers")}
    details: dict[str, Any] = {"seed": options.seed, "ner_model": options.ner_model, "libraries": libraries}
    finish("privacy", rows, details, options.json, keep=not options.quick)


if __name__ == "__main__":
    main()
