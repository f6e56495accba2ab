"""Runs the sentiment service."""

from maru_kit.http import serve
from maru_kit.logs import configure
from maru_kit.loop import run
from maru_sentiment.app import create_app
from maru_sentiment.settings import Settings

if __name__ == "__main__":
    settings = Settings()
    common = settings.common
    configure("sentiment", level=common.log_level, format=common.log_format)
    run(serve(create_app(settings), host=common.host, port=settings.port))
