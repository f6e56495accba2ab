"""What the service is made of while it runs."""

from dataclasses import dataclass

from maru_kit.bus import Bus
from maru_sentiment.definitions import Definitions
from maru_sentiment.inference import Inference
from maru_sentiment.retraining import Retraining
from maru_sentiment.shadow import Shadows


@dataclass(frozen=True)
class Parts:
    """The log, the models, what workspaces defined, the comparisons that run, what was learnt."""

    bus: Bus
    inference: Inference
    definitions: Definitions
    shadows: Shadows
    retraining: Retraining
