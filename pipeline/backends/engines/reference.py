"""Computes fingerprints under plain PEFT, in a process of its own: no code and no memory shared with the server.

As a program (`python -m pipeline.backends.engines.reference`): reads
`{"base": …, "revision": …, "quantization": …, "adapters": {version: folder or null}, "pool": [chat, …]}` on stdin,
writes a fingerprint on stdout.
"""

import json
import subprocess
import sys
from typing import Any

from pipeline.backends.engines.fingerprint import choose_probes
from pipeline.backends.engines.interface import Answered, EngineError, Fingerprint
from pipeline.lib.records import Message

MOST_TOKENS = 64


def compute(
    base: str,
    revision: str | None,
    adapters: dict[str, str | None],
    pool: list[list[Message]],
    quantization: str = "none",
    timeout: float = 600,
) -> Fingerprint:
    """Fingerprint the versions in a child process.

    Args:
        base: folder or hub id of the base model.
        revision: revision of a hub id.
        adapters: version → adapter folder, none for the bare base.
        pool: chats to choose the probes from.
        quantization: of the base, as in `pipeline.lib.base_model.precision`.
        timeout: seconds.

    Raises:
        EngineError: an adapter does not load, or the child did not finish.
    """
    model = {"base": base, "revision": revision, "quantization": quantization}
    request = json.dumps({**model, "adapters": adapters, "pool": pool})
    command = [sys.executable, "-W", "ignore", "-m", "pipeline.backends.engines.reference"]
    try:
        done = subprocess.run(command, input=request, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"no fingerprint within {timeout:.0f} s") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise EngineError(f"no fingerprint: {lines[-1]}", "the adapter does not load on this base model")
    return Fingerprint.from_json(json.loads(done.stdout))


def _main() -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from pipeline.lib.base_model import as_configured, precision

    # One thread: several would fight with the server's for the processors, and everybody would wait.
    torch.set_num_threads(1)
    request: dict[str, Any] = json.load(sys.stdin)
    source = {"revision": request["revision"]} if request["revision"] else {}
    options = {**source, **precision(request["quantization"])}
    tokenizer = AutoTokenizer.from_pretrained(request["base"], **source)
    answers: dict[str, list[Answered]] = {}
    for version, folder in request["adapters"].items():
        # A fresh base for each version: nothing of another adapter can stay behind.
        model = as_configured(AutoModelForCausalLM.from_pretrained(request["base"], **options))
        if folder is not None:
            model = PeftModel.from_pretrained(model, folder)
        model.eval()
        answers[version] = [_answer(model, tokenizer, chat) for chat in request["pool"]]
    chosen = choose_probes(answers, [sum(len(m["content"]) for m in chat) for chat in request["pool"]])
    fingerprint = Fingerprint(
        [request["pool"][position] for position in chosen],
        {version: [each[position] for position in chosen] for version, each in answers.items()},
    )
    json.dump(fingerprint.to_json(), sys.stdout)


def _answer(model: Any, tokenizer: Any, chat: list[Message]) -> Answered:
    """The greedy answer, one chat at a time: no batch, no padding."""
    import torch

    encoded = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    prompt = encoded["input_ids"]
    with torch.inference_mode():
        result = model.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=False,
            max_new_tokens=MOST_TOKENS,
            output_logits=True,
            return_dict_in_generate=True,
            pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
        )
    new = result.sequences[0, prompt.shape[1] :].tolist()
    stops = model.generation_config.eos_token_id
    stops = tokenizer.eos_token_id if stops is None else stops
    if new and new[-1] in (stops if isinstance(stops, list) else [stops]):
        new.pop()  # what ends an answer is not part of it
    logprobs = [
        torch.log_softmax(logits[0].float(), dim=-1)[token].item()
        for logits, token in zip(result.logits, new, strict=False)
    ]
    return Answered([tokenizer.decode([token]) for token in new], logprobs)


if __name__ == "__main__":
    _main()
