"""Runs the ideas service."""

from maru_ideas.app import create_app
from maru_ideas.settings import Settings
from maru_kit.http import serve
from maru_kit.logs import configure
from maru_kit.loop import run

if __name__ == "__main__":
    settings = Settings()
    common = settings.common
    configure("ideas", level=common.log_level, format=common.log_format)
    run(serve(create_app(settings), host=common.host, port=settings.port))
