"""How commands are found in pages: one that is overlooked would be run by nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

import documented

COMMANDS = """# A page

Prose with `make this`.

    make check    # a comment
    kubectl get \\
        pods

```console
$ helm install a \\
    b
$ kubectl get a   # another
NAME
a
```

```sh prerequisite
for a in b c; do
  echo $a
done
until true; do false; done
kubectl apply -f - <<'END'
kind: A

kind: B
END
```

```text
  Examples:
    make that
    make more

  No command
```

```yaml
no: command
```
"""


def test_commands_are_found_wherever_they_are(tmp_path: Path):
    (tmp_path / "page.md").write_text(COMMANDS, encoding="utf-8")
    assert [(each.line, each.key, each.output) for each in documented.commands("page.md", tmp_path)] == [
        (5, "make check", None),
        (6, "kubectl get pods", None),
        (10, "helm install a b", None),
        (12, "kubectl get a", "NAME\na\n"),
        (18, "for a in b c; do echo $a done", None),
        (21, "until true; do false; done", None),
        (22, "kubectl apply -f - <<'END' (A, B)", None),
        (31, "make that", None),
        (32, "make more", None),
    ]


@pytest.mark.parametrize("fence", ["```\na\n```\n", "```fish\na\n```\n", "```sh\na\n"])
def test_a_fence_says_what_is_in_it(tmp_path: Path, fence: str):
    (tmp_path / "page.md").write_text(fence, encoding="utf-8")
    with pytest.raises(AssertionError, match=r"page\.md"):
        documented.commands("page.md", tmp_path)
