"""A judge behind any OpenAI-compatible server, as `canary.judge_url` names it."""

from pipeline.backends.judges.model_judge import ModelJudge

KEY = "NIGHTSCHOOL_JUDGE_KEY"  # the environment variable that holds its API key, if it wants one


def openai_judge(url: str, model: str, timeout: float) -> ModelJudge:
    """A judge that is asked once for each order; with or without /v1 in its address."""
    from pipeline.backends.providers.openai import OpenAiProvider

    return ModelJudge(OpenAiProvider(url, model, timeout, attempts=1, key_variable=KEY))
