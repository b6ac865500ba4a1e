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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("headers = { Authorization = 's3cr3t' }", r"options\.headers\.Authorization"),
        ("a = [{ clientSecret = 's3cr3t' }]", r"options\.a\.clientSecret"),
        ("base_url = 'https://me:s3cr3t@host'", r"options\.base_url"),
        ("anything = 'sk-s3cr3ts3cr3ts3cr3t'", r"options\.anything"),
    ],
)
def test_a_secret_is_refused_however_deep_and_however_named(project: Path, text: str, message: str) -> None:
    for table in ("options", "deploy"):
        (project / "ftkit.toml").write_text(f'[profiles.x]\nprovider = "huggingface"\n{table} = {{ {text} }}')
        with pytest.raises(ConfigurationError, match=message.replace("options", table)) as caught:
            resolve_profile("x", {})
        assert "s3cr3t" not in str(caught.value)


def test_what_is_no_secret_is_kept(project: Path) -> None:
    options = 'base_url = "https://host:8080/v1", max_tokens = 3, tokenizer = "a/b", monkey = "sk-ip", hf_home = "hf_x"'
    (project / "ftkit.toml").write_text(f'[profiles.x]\nprovider = "huggingface"\noptions = {{ {options} }}')
    assert set(resolve_profile("x", {}).options) == {"base_url", "max_tokens", "tokenizer", "monkey", "hf_home"}


def test_no_option_is_shown() -> None:
    assert "s3cr3t" not in repr(resolve_profile("huggingface", {"api_key": "s3cr3t"}))


def test_a_secret_is_not_told_when_something_beside_it_is_wrong(project: Path) -> None:
    (project / "ftkit.toml").write_text("[profiles.x]\noptions = { api_key = 's3cr3t' }")
    with pytest.raises(ConfigurationError, match="Field required") as caught:
        resolve_profile("x", {})
    assert "s3cr3t" not in str(caught.value)


def test_variables_that_ftkit_reads_itself_are_no_options(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "ftkit.toml").write_text("[profiles.local]\nprovider = 'huggingface'")
    monkeypatch.setenv("FTKIT_LOCAL_SLOTS", "2")  # for all local providers, whatever a profile is called
    monkeypatch.setenv("FTKIT_LOCAL_COMPUTE", "local")
    assert resolve_profile("local", {}).options == {"compute": "local"}


def test_a_name_that_begins_like_another_does_not_take_its_variables(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "ftkit.toml").write_text(
        "[profiles.west]\nprovider = 'huggingface'\n[profiles.west-two]\nprovider = 'huggingface'"
    )
    monkeypatch.setenv("FTKIT_WEST_TWO_SLOTS", "2")
    monkeypatch.setenv("FTKIT_WEST_SLOTS", "1")
    assert resolve_profile("west", {}).options == {"slots": 1}
    assert resolve_profile("west-two", {}).options == {"slots": 2}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ("'2'", "2"),
        ("plain", "plain"),
        ("2024-10-21", "2024-10-21"),  # an API version, no date
        ("1\nother = 2", "1\nother = 2"),
    ],
)
def test_a_variable_is_read_as_toml_where_that_makes_sense(
    monkeypatch: pytest.MonkeyPatch, text: str, value: object
) -> None:
    monkeypatch.setenv("FTKIT_HUGGINGFACE_THING", text)
    assert resolve_profile("huggingface", {}).options == {"thing": value}


@pytest.mark.parametrize(
    ("toml", "message"), [("profiles = 3", "`profiles` is no table"), ("default = 3", "in quotes")]
)
def test_a_file_of_the_wrong_shape_is_one_error_that_names_it(project: Path, toml: str, message: str) -> None:
    (project / "ftkit.toml").write_text(toml)
    with pytest.raises(ConfigurationError, match=rf"ftkit\.toml: {message}|ftkit\.toml: .*{message}"):
        resolve_profile("x", {})
