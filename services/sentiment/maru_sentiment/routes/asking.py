"""What every route needs: who asks, and what the service is made of."""

from typing import Annotated

from fastapi import Depends, Request

from maru_kit.http import Caller, caller
from maru_sentiment.parts import Parts

Asking = Annotated[Caller, Depends(caller)]
"""Who asks, and in which workspace."""


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


AtParts = Annotated[Parts, Depends(_parts)]
"""The parameter of a route that needs them."""
