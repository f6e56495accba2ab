"""`python -m maru_ingest`: the ingest service on a port of its own."""

from maru_ingest.app import create_app
from maru_ingest.settings import Settings
from maru_kit.http import serve
from maru_kit.logs import configure
from maru_kit.loop import run

if __name__ == "__main__":
    settings = Settings()
    common = settings.common
    configure("ingest", level=common.log_level, format=common.log_format)
    run(serve(create_app(settings), host=common.host, port=settings.port))
