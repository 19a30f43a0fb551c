from __future__ import annotations

import pytest

from core.configs.settings import SettingsError, StorageSettings


def test_files_are_kept_in_a_directory_unless_said():
    settings = StorageSettings()
    assert (settings.url, settings.bucket, settings.credentials) == (".data/files", None, None)


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [
        ("s3://files", "files", ""),
        ("s3://files/", "files", ""),
        ("s3://my.files/of/mine/", "my.files", "of/mine"),
        ("/var/lib/files", None, "var/lib/files"),
    ],
)
def test_a_bucket_may_have_a_prefix(url, bucket, prefix, environ):
    environ(STORAGE_URL=url)
    assert StorageSettings().bucket == bucket
    if bucket is not None:
        assert StorageSettings().prefix == prefix


@pytest.mark.parametrize("url", ["gs://files", "s3://", "s3:///files", "s3://Files", "s3://files?x=1", "file:///tmp"])
def test_another_kind_of_place_is_refused(url, environ):
    environ(STORAGE_URL=url)
    with pytest.raises(SettingsError) as refused:
        StorageSettings()
    expected = "STORAGE_URL cannot be used: write a directory, or a bucket like s3://bucket/prefix"
    assert str(refused.value) == expected


def test_half_a_key_is_refused_and_the_secret_is_never_shown(environ):
    environ(STORAGE_SECRET_ACCESS_KEY="hunter2")
    with pytest.raises(SettingsError, match="STORAGE_ACCESS_KEY_ID is not set") as refused:
        StorageSettings()
    assert "hunter2" not in str(refused.value)
    environ(STORAGE_ACCESS_KEY_ID="me")
    settings = StorageSettings()
    assert "hunter2" not in f"{settings!r} {settings.model_dump_json()}"
    assert settings.credentials is not None
    assert settings.credentials[1].get_secret_value() == "hunter2"
