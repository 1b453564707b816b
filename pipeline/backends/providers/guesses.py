"""What a model can probably do, by the family that its name tells. What the settings say goes before."""

import re

# Families that their makers publish for the purpose. A name that tells nothing can do nothing, until somebody says so.
_FAMILIES = [
    (r"coder|codellama|codestral|codegemma|devstral|starcoder", ("code_generation", "error_analysis")),
    (r"deepseek-r1|qwq|magistral|gpt-oss|phi4-reasoning|phi-4-reasoning|qwen3|\bo[134]\b", ("reasoning",)),
    (
        r"instruct|llama-?3|qwen-?[23]|mistral|mixtral|gemma|phi-?[34]|command-r|granite|gpt-\w|claude|deepseek",
        ("instruction_following",),
    ),
]
_SIZE = re.compile(r"(?<![\d.a-z])(\d+(?:\.\d+)?)b(?![a-z])")
_SMALL = 4.0  # billions of parameters that answer fast almost anywhere
_LONG = 32_768  # tokens


def guessed(model: str, context: int | None) -> tuple[str, ...]:
    """The capabilities of a model called so, in alphabetical order."""
    name = model.casefold().rpartition("/")[2]
    if "embed" in name:
        return ()
    found = {each for pattern, capabilities in _FAMILIES if re.search(pattern, name) for each in capabilities}
    size = _SIZE.search(name)
    if size and float(size[1]) <= _SMALL:
        found.add("fast_inference")
    if context and context >= _LONG:
        found.add("long_context")
    return tuple(sorted(found))
