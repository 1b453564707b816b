"""The embedded engine by itself, on the starter's base model."""

from concurrent.futures import Future
from pathlib import Path

import pytest
from handmade import FIRST

from pipeline.backends.engines.chat import Request
from pipeline.backends.engines.embedded import EmbeddedEngine
from pipeline.backends.engines.interface import EngineError
from pipeline.lib import generations
from pipeline.lib.config import Settings
from pipeline.lib.files import sha256, write_json

QUESTIONS = ["set x to 1 + 2", "what is 3 * (4 - 5)? put it in y", "let y be 9 - 8 - 7"]


@pytest.fixture
def engine(tmp_path: Path, base_model: Path) -> EmbeddedEngine:
    return EmbeddedEngine(Settings(home=tmp_path, model={"base": str(base_model)}), [])


def asked() -> Request:
    return Request([{"role": "user", "content": "set x to 1 + 2"}], "base", 8, temperature=0.0)


def test_closing_answers_what_was_admitted_and_refuses_what_comes_later(engine: EmbeddedEngine) -> None:
    admitted = [engine.admit(asked()) for _ in range(3)]
    engine.close()
    assert all(each.result(timeout=0).text for each in admitted)
    with pytest.raises(EngineError, match="ending"):
        engine.admit(asked())


def test_who_goes_away_while_an_answer_is_made_takes_nothing_along(engine: EmbeddedEngine) -> None:
    gone: Future = engine.admit(asked())
    gone.cancel()
    assert engine.admit(asked()).result(timeout=30).text
    engine.close()


def test_people_go_before_the_nights_own_drafts(engine: EmbeddedEngine) -> None:
    drafts = []
    for _ in range(4 * engine.settings.server.max_batch):
        drafts.append(asked())
        drafts[-1].urgent = False
        engine.admit(drafts[-1])
    assert engine.admit(asked()).result(timeout=60).text
    assert not drafts[-1].future.done()
    assert drafts[-1].future.result(timeout=60).text
    engine.close()


def test_a_chat_that_cannot_fit_is_refused_before_its_tokens_are_counted(
    engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count(*_: object, **__: object) -> None:
        raise AssertionError("counted")

    assert 0 < engine.room(asked().messages) < 512
    monkeypatch.setattr(type(engine._counting_tokenizer), "__call__", count)
    with pytest.raises(EngineError, match="characters, the model reads 512 tokens"):
        engine.room([{"role": "user", "content": "x " * 2_000_000}])
    engine.close()


def make_adapter(settings: Settings, identity: str) -> None:
    """A generation whose adapter answers otherwise than the base."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(settings.base_folder)
    adapter = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    folder = settings.layout.generation(identity)
    get_peft_model(base, adapter).save_pretrained(folder)
    hashes = {generations.ADAPTER_FILE: sha256(folder / generations.ADAPTER_FILE)}
    manifest = {"id": identity, "dataset": {"path": f"training_data/{identity}"}, "sha256": hashes}
    write_json(folder / generations.MANIFEST, manifest)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks transformers for it
def test_a_version_is_proven_on_a_quantized_base(tmp_path: Path, base_model: Path) -> None:
    settings = Settings(home=tmp_path, model={"base": str(base_model), "quantization": "nf4"})
    make_adapter(settings, FIRST)
    engine = EmbeddedEngine(settings, [[{"role": "user", "content": text}] for text in QUESTIONS])
    fingerprint = engine.prepare(FIRST)
    engine.load(FIRST)
    proofs = [engine.verify(version, fingerprint) for version in (generations.BASE, FIRST)]
    engine.close()
    assert [proof.holds for proof in proofs] == [True, True], proofs
