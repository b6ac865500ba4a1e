from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ftkit.errors import ConfigurationError, UnknownProviderError
from ftkit.profiles import resolve_profile

if TYPE_CHECKING:
    from pathlib import Path

TOML = """
default = "cheap"

[profiles.cheap]
provider = "huggingface"
options = { compute = "local", slots = 1 }
models = { small = "my/model" }
deploy = { ttl_s = 60 }
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project" / "deep" / "er"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return tmp_path / "project"


def test_a_profile_is_found_from_a_folder_below(project: Path) -> None:
    (project / "ftkit.toml").write_text(TOML)
    profile = resolve_profile("cheap", {})
    assert profile.provider == "huggingface"
    assert profile.models == {"small": "my/model"}
    assert profile.deploy == {"ttl_s": 60}
    assert resolve_profile(None, {}) == profile


def test_a_keyword_beats_the_environment_which_beats_the_profile(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "ftkit.toml").write_text(TOML)
    assert resolve_profile("cheap", {}).options == {"compute": "local", "slots": 1}
    monkeypatch.setenv("FTKIT_HUGGINGFACE_SLOTS", "2")
    assert resolve_profile("cheap", {}).options["slots"] == 2
    monkeypatch.setenv("FTKIT_CHEAP_SLOTS", "3")
    assert resolve_profile("cheap", {}).options["slots"] == 3
    assert resolve_profile("cheap", {"slots": 4}).options["slots"] == 4


def test_a_provider_works_without_any_file() -> None:
    assert resolve_profile("huggingface", {"compute": "local"}).options == {"compute": "local"}


def test_the_project_wins_over_the_user(project: Path, home: Path) -> None:
    home.mkdir()
    (home / "ftkit.toml").write_text(
        TOML.replace("my/model", "the-users") + '[profiles.mine]\nprovider = "huggingface"'
    )
    assert resolve_profile("cheap", {}).models["small"] == "the-users"
    (project / "ftkit.toml").write_text(TOML)
    assert resolve_profile("cheap", {}).models["small"] == "my/model"
    assert resolve_profile("mine", {}).provider == "huggingface"


def test_an_unknown_name_tells_near_ones() -> None:
    with pytest.raises(UnknownProviderError, match="did you mean 'huggingface'") as caught:
        resolve_profile("hugingface", {})
    assert "Known here:" in str(caught.value)


def test_no_name_at_all_says_where_to_put_one() -> None:
    with pytest.raises(ConfigurationError, match="FTKIT_PROFILE"):
        resolve_profile(None, {})


@pytest.mark.parametrize("secret", ["api_key", "token", "hub_token", "password", "secret"])
def test_a_secret_in_a_profile_is_refused_without_being_told(project: Path, secret: str) -> None:
    (project / "ftkit.toml").write_text(f'[profiles.x]\nprovider = "huggingface"\noptions = {{ {secret} = "s3cr3t" }}')
    with pytest.raises(ConfigurationError, match="looks like a secret") as caught:
        resolve_profile("x", {})
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("profiles = 3 =", "cannot be read"),
        ("[profile.x]\nprovider = 'huggingface'", "did you mean 'profiles'"),
        ("[profiles.x]\nprovidr = 'huggingface'", "did you mean 'provider'"),
        ("[profiles.x]\noptions = {}", "Field required"),
        ("default = 'nobody'", "neither a profile nor a provider"),
    ],
)
def test_a_wrong_file_is_one_error_that_names_it(project: Path, toml: str, message: str) -> None:
    (project / "ftkit.toml").write_text(toml)
    with pytest.raises(ConfigurationError, match=message):
        resolve_profile("x", {})


def test_a_configuration_file_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTKIT_CONFIG", "nowhere.toml")
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml"):
        resolve_profile("huggingface", {})
