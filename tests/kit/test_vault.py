import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maru_kit.errors import ConfigError
from maru_kit.vault import Vault, key_in, new_key

KEY, OTHER = new_key(), new_key()


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(max_size=20))
def test_what_is_sealed_can_be_opened_in_its_place_and_says_nothing(text: str, place: str) -> None:
    vault = Vault([KEY])

    sealed = vault.seal(text, place)

    assert vault.open(sealed, place) == text
    assert sealed.isascii()
    assert len(text) < 4 or text not in sealed
    assert sealed != vault.seal(text, place)


def test_what_is_moved_to_another_place_or_changed_does_not_open() -> None:
    vault = Vault([KEY])
    sealed = vault.seal("token", "sources/1/settings")
    broken = sealed[:-4] + ("AAAA" if sealed[-4:] != "AAAA" else "BBBB")

    for text, place in ((sealed, "sources/2/settings"), (broken, "sources/1/settings")):
        with pytest.raises(ConfigError, match="changed or moved"):
            vault.open(text, place)


def test_a_new_key_seals_and_the_old_one_still_opens() -> None:
    old = Vault([KEY]).seal("token", "p")
    both = Vault([OTHER, KEY])

    assert both.open(old, "p") == "token"
    assert both.seal("token", "p").startswith(both.mark)
    assert not old.startswith(both.mark)
    with pytest.raises(ConfigError, match="not among the keys"):
        Vault([OTHER]).open(old, "p")


def test_what_is_in_the_clear_comes_as_it_is() -> None:
    assert Vault([KEY]).open('{"url": "x"}', "p") == '{"url": "x"}'
    assert Vault().seal("text", "p") == "text"
    assert not Vault().mark


@pytest.mark.parametrize("key", ["not base64!", base64.b64encode(b"short").decode(), ""])
def test_a_key_that_is_none_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ConfigError, match="openssl rand -base64 32") as refused:
        Vault([key])

    assert not key or key not in str(refused.value)


def test_a_folder_keeps_one_key_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / "ingest.key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: key_in(path), range(8)))

    assert len(keys) == 1
    assert Vault(keys).mark
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["ingest.key"]


def test_a_key_that_can_not_be_read_says_where(tmp_path: Path) -> None:
    (tmp_path / "key").mkdir()

    with pytest.raises(ConfigError, match=str(tmp_path / "key")):
        key_in(tmp_path / "key")
