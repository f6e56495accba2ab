"""The API's description can be read at /docs, without a foreign address or inline script."""

import pytest
from playwright.async_api import expect

from web.conftest import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_every_operation_is_described_with_its_role_and_an_example(visit: Visitor) -> None:
    seen = await visit("/docs")

    operation = seen.page.locator("#get-api-v1-ideas")
    await expect(operation).to_contain_text("/api/v1/ideas")
    await expect(operation).to_contain_text("reader")
    await expect(operation).to_contain_text("cursor")
    await operation.get_by_text("Example").click()
    await expect(operation.get_by_role("region", name="Command")).to_contain_text(
        "Authorization: Bearer $MARU_KEY"
    )
    assert seen.errors == []
