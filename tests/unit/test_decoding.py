"""A batch of different requests is decoded as each of them alone would be, and sampling follows the probabilities."""

import random
from collections import Counter
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from pipeline.backends.engines.decoding import Request, decode

WORDS = ["<pad>", "<eos>", *(f"w{number}" for number in range(62))]
LONG = 80  # tokens: more than the cache has room for at first


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<pad>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<pad>",
        eos_token="<eos>",
        padding_side="left",
    )
    fast.chat_template = "{% for message in messages %}{{ message.content }} {% endfor %}"
    return fast


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        eos_token_id=1,
        pad_token_id=0,
        initializer_range=0.4,
    )
    return LlamaForCausalLM(config).eval()


def request(text: str, **options: Any) -> Request:
    return Request([{"role": "user", "content": text}], "base", **{"max_tokens": 20, **options})


def test_greedy_answers_are_those_of_transformers_alone(model: Any, tokenizer: Any) -> None:
    source = random.Random(0)
    texts = [" ".join(source.choices(WORDS[2:], k=source.randint(1, 12))) for _ in range(6)]
    answers = decode(model, tokenizer, [request(text, max_tokens=LONG) for text in texts])
    for text, answer in zip(texts, answers, strict=True):
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)
        alone = model.generate(**ids, max_new_tokens=LONG, do_sample=False)[0, ids["input_ids"].shape[1] :]
        assert answer.tokens == [
            tokenizer.decode([token]) for token in alone.tolist() if token != tokenizer.eos_token_id
        ]
    assert max(len(answer.tokens) for answer in answers) > 64


def test_a_seed_says_the_same_whatever_stands_beside_it(model: Any, tokenizer: Any) -> None:
    seeded = request("w3 w4", temperature=1.0, top_p=0.9, seed=7)
    beside = [request("w5 w6 w7 w8", temperature=1.5), request("w9"), request("w3 w4", temperature=1.0, seed=8)]
    (alone,) = decode(model, tokenizer, [seeded])
    assert decode(model, tokenizer, [*beside, seeded])[-1].tokens == alone.tokens


def said(model: Any, tokenizer: Any, stop: str, **options: Any) -> tuple[Any, list[str]]:
    """The answer with a stop text, and the pieces in which it was streamed."""
    pieces: list[str] = []
    streamed = request("w3 w4", stop=(stop,), on_delta=lambda delta: pieces.append(delta["content"]), **options)
    return decode(model, tokenizer, [streamed])[0], pieces


def test_nothing_of_a_stop_text_that_spans_tokens_is_streamed(model: Any, tokenizer: Any) -> None:
    (whole,) = decode(model, tokenizer, [request("w3 w4")])
    words = whole.text.split(" ")
    stop = " ".join(words[3:6])
    answer, pieces = said(model, tokenizer, stop)
    assert (answer.finish_reason, answer.text) == ("stop", whole.text[: whole.text.index(stop)])
    assert "".join(pieces) == answer.text
    assert len(pieces) > 1


@pytest.mark.parametrize("length", [4, 5])
def test_what_only_began_like_a_stop_text_is_streamed_in_the_end(model: Any, tokenizer: Any, length: int) -> None:
    (whole,) = decode(model, tokenizer, [request("w3 w4", max_tokens=length)])
    answer, pieces = said(model, tokenizer, whole.text.split(" ")[-1] + " never", max_tokens=length)
    assert (answer.finish_reason, answer.text) == (whole.finish_reason, whole.text)
    assert "".join(pieces) == whole.text


def test_what_was_held_back_is_streamed_when_the_answer_ends_by_itself(model: Any, tokenizer: Any) -> None:
    (whole,) = decode(model, tokenizer, [request("w3 w4", max_tokens=8)])
    end = tokenizer.convert_tokens_to_ids(whole.tokens[5])
    held = whole.tokens[4]
    model.generation_config.eos_token_id, before = end, model.generation_config.eos_token_id
    try:
        answer, pieces = said(model, tokenizer, held + " never")
    finally:
        model.generation_config.eos_token_id = before
    assert (answer.finish_reason, len(answer.tokens)) == ("stop", 5)
    assert "".join(pieces) == answer.text
    assert answer.text.endswith(held)


@pytest.mark.parametrize("seed", [2**80, -(2**80), -1])
def test_no_seed_fails_those_beside_it(model: Any, tokenizer: Any, seed: int) -> None:
    (alone,) = decode(model, tokenizer, [request("w3 w4")])
    strange, beside = decode(model, tokenizer, [request("w5", temperature=1.0, seed=seed), request("w3 w4")])
    assert strange.tokens
    assert beside.tokens == alone.tokens


@pytest.mark.parametrize("top_p", [1.0, 0.7])
def test_sampling_follows_the_probabilities_of_the_likeliest(model: Any, tokenizer: Any, top_p: float) -> None:
    ids = tokenizer("w3 w4", return_tensors="pt", add_special_tokens=False)
    with torch.inference_mode():
        probabilities = (model(**ids).logits[0, -1] / 2).softmax(-1)
    ordered, order = probabilities.sort(descending=True)
    kept = int((ordered.cumsum(0) < top_p).sum()) + 1
    draws = 4000
    many = [request("w3 w4", temperature=2.0, top_p=top_p, seed=seed, max_tokens=1) for seed in range(draws)]
    said = [(*answer.tokens, "<eos>")[0] for answer in decode(model, tokenizer, many)]
    seen = Counter(tokenizer.convert_tokens_to_ids(token) for token in said)
    wanted = dict(zip(order[:kept].tolist(), (ordered[:kept] / ordered[:kept].sum()).tolist(), strict=True))
    assert set(seen) <= set(wanted)
    for token, share in wanted.items():
        assert seen[token] / draws == pytest.approx(share, abs=4 * (share * (1 - share) / draws) ** 0.5 + 1e-3)
