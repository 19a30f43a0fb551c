"""What a file is, by its first bytes."""

from __future__ import annotations

import gzip
import io
import zipfile

import pytest

from infrastructure.storage.media_types import PureMagicMediaTypes


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.txt"), "x" * 1000)  # no time of day in the test's id
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "video/mp4"),
        (gzip.compress(b"hello", mtime=0), "application/x-gzip"),
        (zipped(), "application/zip"),
        (b"<!DOCTYPE html><html>", "text/html"),
        (b"hello, w\xc3\xb6rld\n", "text/plain"),
        ("drei Wörter ü".encode()[:-1], "text/plain"),
        (b"BM is what it begins with", "text/plain"),
        (b"a", "text/plain"),
        (bytes(range(256)), "application/octet-stream"),
        (b"", "application/octet-stream"),
        (b"\0", "application/octet-stream"),
    ],
)
def test_known_signatures_are_known_and_text_is_text(head: bytes, media_type: str) -> None:
    assert PureMagicMediaTypes().identify(head) == media_type
