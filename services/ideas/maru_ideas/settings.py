"""What can be set for the ideas service."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from maru_ideas.domain.discovery import Grain
from maru_ideas.domain.matching import Closeness
from maru_ideas.domain.scoring import Weights
from maru_kit.settings import Common

Share = Annotated[float, Field(ge=0, le=1)]
Points = Annotated[float, Field(ge=0, le=100)]


class Settings(BaseSettings):
    """Read from `MARU_IDEAS_*`; the weights are points for one unit of their reason."""

    model_config = SettingsConfigDict(env_prefix="MARU_IDEAS_")

    common: Common = Field(default_factory=Common)
    port: int = Field(8083, ge=0, le=65_535, description="Port of the HTTP interface.")
    batch_size: int = Field(500, ge=1, le=5_000, description="Posts taken in one transaction.")
    min_suggestion: Share = Field(
        0.3, description="Probability of a suggestion from which a post becomes evidence."
    )
    min_problem: Share = Field(
        0.5, description="Probability of a problem from which a post becomes evidence."
    )
    threshold: Share = Field(
        0.37, description="Similarity that a post needs to join an idea of one post."
    )
    across: Share = Field(
        0.3, description="The same for an idea that has no words in the post's scripts."
    )
    growth: Share = Field(
        0.02, description="Similarity needed in addition for each doubling of an idea's posts."
    )
    weight_voices: Points = Field(2.0, description="Points for each doubling of voices.")
    weight_momentum: Points = Field(1.0, description="Points for each doubling of recent posts.")
    weight_severity: Points = Field(2.0, description="Points if all posts are negative.")
    weight_spread: Points = Field(1.0, description="Points for each doubling of sources.")
    weight_languages: Points = Field(1.0, description="Points for each doubling of languages.")
    weight_recency: Points = Field(
        0.5, description="Points for each quarter of a year that an idea's newest post is younger."
    )
    half_life: float = Field(
        30.0, gt=0, le=3_650, description="Days after which a post counts half in the momentum."
    )

    topic_posts: int = Field(
        4, ge=2, le=100, description="Near posts that found a discovered topic."
    )
    topic_voices: int = Field(
        3, ge=1, le=100, description="How many different people must have written them."
    )
    topics: int = Field(
        200, ge=1, le=500, description="Discovered topics of a product that posts can join."
    )

    @property
    def grain(self) -> Grain:
        """What makes a discovered topic."""
        return Grain(posts=self.topic_posts, voices=self.topic_voices, topics=self.topics)

    @property
    def closeness(self) -> Closeness:
        """How near a post must be to an idea."""
        return Closeness(self.threshold, self.across, self.growth)

    @property
    def weights(self) -> Weights:
        """The weights of the score."""
        return Weights(
            voices=self.weight_voices,
            momentum=self.weight_momentum,
            severity=self.weight_severity,
            spread=self.weight_spread,
            languages=self.weight_languages,
            recency=self.weight_recency,
            half_life=self.half_life,
        )
