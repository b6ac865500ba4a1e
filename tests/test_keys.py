from __future__ import annotations

import pytest

from ftkit.keys import attempt_key, content_hash, deployment_name, job_key, upload_key
from ftkit.models import DPO, JobRequest, LoRA, Supervised, TrainingFile

FILE = TrainingFile(id="file-1", provider="p", source_hash="sha256:aa")
REQUEST = JobRequest(model="m", training_file=FILE)


# Golden keys: if one of these changes, every user's next run pays again for what is already there.
@pytest.mark.parametrize(
    ("request_", "golden"),
    [
        (REQUEST, "v1:a5807b778c92bd07e58435d6e560d17668e466e765e111bc9c37e3e37b738b55"),
        (
            REQUEST.model_copy(update={"method": Supervised(n_epochs=3, lora=LoRA(r=8))}),
            "v1:705f4896d4a537b984ce177f3dcf2d6a1d672164c86a8df048209d8a76b9a234",
        ),
        (
            REQUEST.model_copy(update={"method": DPO(beta=0.1), "suffix": "é", "seed": 0}),
            "v1:8711cbc619417de7835c75ae8551b131dc8572cbd275f2371f93e048919c251e",
        ),
        (
            REQUEST.model_copy(update={"provider_options": {"a": {"b": [1, 2.5, None]}}}),
            "v1:38dc707c6aca47f395b5045dadfb2ea6babf4e1da1374e08da6dcb93f294f0f0",
        ),
    ],
)
def test_keys_are_the_same_in_every_version(request_: JobRequest, golden: str) -> None:
    assert job_key("https://host/org", request_) == golden


def test_a_key_does_not_depend_on_ids_names_or_times_of_a_file_that_ftkit_wrote() -> None:
    same = FILE.model_copy(update={"id": "file-2", "filename": "other.jsonl", "rows": 7})
    assert job_key("i", REQUEST) == job_key("i", REQUEST.model_copy(update={"training_file": same}))


def test_a_file_made_elsewhere_is_known_by_its_id() -> None:
    keys = {job_key("i", JobRequest(model="m", training_file=TrainingFile(id=i, provider="p"))) for i in "ab"}
    assert len(keys) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"},
        {"training_file": FILE.model_copy(update={"source_hash": "sha256:bb"})},
        {"validation_file": FILE},
        {"method": Supervised(n_epochs=1)},
        {"method": DPO()},
        {"suffix": "s"},
        {"seed": 1},
        {"metadata": {"a": "b"}},
        {"provider_options": {"a": False}},
    ],
)
def test_every_field_that_was_set_changes_the_key(change: dict[str, object]) -> None:
    assert job_key("i", REQUEST) != job_key("i", REQUEST.model_copy(update=change))


def test_what_was_not_set_does_not_change_the_key() -> None:
    explicit = JobRequest(model="m", training_file=FILE, method=Supervised(n_epochs=None), suffix=None, metadata={})
    assert job_key("i", explicit) == job_key("i", REQUEST)


def test_another_account_and_a_salt_are_other_keys() -> None:
    assert len({job_key("i", REQUEST), job_key("j", REQUEST), job_key("i", REQUEST, "again")}) == 3


def test_a_round_trip_through_json_keeps_the_key() -> None:
    request = REQUEST.model_copy(update={"method": Supervised(n_epochs=3, lora=True), "seed": 3})
    assert job_key("i", JobRequest.model_validate_json(request.model_dump_json())) == job_key("i", request)


def test_attempts_have_keys_of_their_own() -> None:
    assert [attempt_key("v1:a", n) for n in (1, 2, 3)] == ["v1:a", "v1:a#2", "v1:a#3"]


def test_columns_are_part_of_what_a_file_says() -> None:
    assert content_hash("sha256:aa", None) == "sha256:aa"
    assert content_hash("sha256:aa", {"q": "prompt"}) != content_hash("sha256:aa", {"q": "completion"})


def test_uploads_differ_by_account_content_and_layout() -> None:
    keys = {upload_key(i, h, lay, v) for i in "ab" for h in "cd" for lay in "ef" for v in (1, 2)}
    assert len(keys) == 16


def test_a_deployment_is_named_after_account_and_model() -> None:
    assert deployment_name("i", "m") == deployment_name("i", "m") != deployment_name("i", "n")
    assert deployment_name("i", "m").startswith("ftkit-")
