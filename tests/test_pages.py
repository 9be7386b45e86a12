"""How pages of the documentation are run and compared: a page that is wrong must not pass."""

from __future__ import annotations

from pathlib import Path

import pytest

import pages

FITS = {
    "the same": ("a\nb\n", "a\nb\n", True),
    "another word": ("a\n", "b\n", False),
    "a line more": ("a\n", "a\nb\n", False),
    "a line less": ("a\nb\n", "a\n", False),
    "any lines": ("a\n...\nd\n", "a\nb\nc\nd\n", True),
    "any lines may be none": ("a\n...\nd\n", "a\nd\n", True),
    "any text": ("work-... created\n", "work-1f2e created\n", True),
    "any text is of one line": ("a ...\n", "a b\nc\n", False),
    "blanks": ("NAME   AGE\n", "NAME         AGE  \n", True),
    "an age": ("a   12s\n", "a   3m4s\n", True),
    "an age is no word": ("a   12s\n", "a   soon\n", False),
    "a number is no age": ("a   12\n", "a   13\n", False),
    "what a pattern would mean": ("a.c (b)\n", "abc (b)\n", False),
}

PAGE = """# A page

```sh prerequisite
exit 1
```

## 1. One

```sh
word=hello
echo "$word"
```

```text
hello
```

Prose, so the next output is not the command's.

```sh
cat > file <<'END'
$word
END
```

And more.

```text
no output of a command
```

## 2. Two

```sh
cat file
echo "$word"
```

```text
$word
hello
```
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    path = tmp_path / "page.md"
    path.write_text(PAGE, encoding="utf-8")
    return path


@pytest.mark.parametrize(("wanted", "given", "fits"), FITS.values(), ids=FITS.keys())
def test_an_output_fits(wanted: str, given: str, fits: bool):
    assert pages.fits(wanted, given) is fits


def test_blocks_of_a_page(page: Path):
    found = pages.blocks(page)
    assert [block.prerequisite for block in found] == [True, False, False, False]
    assert [block.output for block in found] == [None, "hello\n", None, "$word\nhello\n"]
    assert str(found[1]) == "page.md:9"


def test_blocks_share_a_terminal(page: Path):
    with pages.Terminal(page.parent, [], {}) as terminal:
        pages.follow(page, terminal)


def test_parts_of_a_page(page: Path):
    with pages.Terminal(page.parent, [], {}) as terminal:
        pages.follow(page, terminal, before="## 2.")
        pages.follow(page, terminal, after="## 2.")
        with pytest.raises(AssertionError, match=r"has 0 headings that begin with '## 3\.'"):
            pages.follow(page, terminal, after="## 3.")


WRONG = {
    "another output": ("hello\n```", "bye\n```", r"page.md:9 prints something else:\nhello\n\nthe page says:\nbye"),
    "a command that fails": ('echo "$word"', "false\necho on", r"page.md:9 failed with 1:(.|\n)*it printed:\n+$"),
    "one that is not there": ('echo "$word"', "nothing-like-it", "nothing-like-it: command not found"),
    "one that does not end": ('echo "$word"', "echo so far; sleep 60", r"did not end within 1 s:(.|\n)*so far\n"),
}


@pytest.mark.parametrize(("old", "new", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_page_that_is_wrong_does_not_pass(page: Path, old: str, new: str, message: str):
    page.write_text(PAGE.replace(old, new, 1), encoding="utf-8")
    with pages.Terminal(page.parent, [], {}) as terminal, pytest.raises(AssertionError, match=message):
        pages.follow(page, terminal, timeout=1 if "sleep" in new else 60)


def test_outputs_are_written_anew_but_for_those_with_any_text_in_them(page: Path):
    page.write_text(PAGE.replace("hello\n```", "old\n```", 1).replace("$word\nhello\n", "...\nold\n"), encoding="utf-8")
    with pages.Terminal(page.parent, [], {}) as terminal, pytest.raises(AssertionError, match=r"page\.md:34 prints"):
        pages.follow(page, terminal, update=True)
    assert pages.blocks(page)[1].output == "hello\n"
