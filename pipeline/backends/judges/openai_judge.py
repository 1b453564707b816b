"""A judge behind any OpenAI-compatible server, as `canary.judge_url` names it."""

from pipeline.backends.judges.model_judge import ModelJudge
from pipeline.lib.errors import ConfigurationError

KEY = "NIGHTSCHOOL_JUDGE_KEY"  # the environment variable that holds its API key, if it wants one


def openai_judge(url: str, model: str, timeout: float) -> ModelJudge:
    """A judge that is asked once for each order; with or without /v1 in its address.

    Raises:
        ConfigurationError: its address or its key is none.
    """
    from pipeline.backends.providers.openai import OpenAiProvider

    try:
        return ModelJudge(OpenAiProvider(url, model, timeout, attempts=1, key_variable=KEY))
    except ValueError as error:
        raise ConfigurationError(f"canary.judge_url cannot be used: {error}", "correct it") from error
