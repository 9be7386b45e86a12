"""Names, folders and content of Works: whatever an XR is called and a file holds, they fit and are its own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from function.api import names, work

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,250}[a-z0-9])?", fullmatch=True)
KINDS = st.from_regex(r"[A-Z][A-Za-z]{0,62}", fullmatch=True)


@settings(max_examples=300, deadline=None)
@given(KINDS, NAMES, NAMES)
def test_every_name_fits_whatever_the_xr_is_called(kind: str, name: str, promise: str) -> None:
    identity = ("xp.example.org", kind, "team", name)
    assert len(work.name(kind, name, promise, identity)) <= names.LABEL_LIMIT
    assert names.is_subdomain(work.name(kind, name, promise, identity))
    assert names.is_label_value(work.pipeline_label(kind, identity))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.sampled_from(["A", "a", "AB"]),
            st.sampled_from(["", "t", "ta"]),
            st.sampled_from(["x", "ax"]),
        ),
        unique=True,
        min_size=2,
        max_size=20,
    )
)
def test_no_two_xrs_share_a_folder_or_a_work(identities: list[tuple[str, str, str, str]]) -> None:
    folders, works = set(), set()
    for identity in identities:
        _, kind, namespace, name = identity
        for resource in ("", name):
            folders.add(
                work.folder(
                    namespace or "system", "p", resource, work.pipeline_label(kind, identity), work.group_id(".")
                )
            )
        works.add(work.name(kind, name, "p", identity))
    assert len(folders) == 2 * len(identities)
    assert len(works) == len(identities)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=4096))
def test_content_is_what_kratix_reads(data: bytes) -> None:
    assert work.unpack(work.content(data)) == data


@pytest.mark.parametrize("text", ["", "plain", "aGVsbG8=", "H4sI"])
def test_content_that_kratix_cannot_read_is_found(text: str) -> None:
    with pytest.raises(ValueError, match=r"base64 of gzip|base64|Only base64|padding"):
        work.unpack(text)
