"""The mistakes of people that end a command, each in one sentence."""

from __future__ import annotations


class FolderError(Exception):
    """What is wrong with the files, in one sentence that says where."""
