"""What the project asks of tasks and ansible-lint does not look at."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from contracts.project import Task, load, task_files, tasks_in
from lib.paths import ROOT

each_file = pytest.mark.parametrize("path", task_files(), ids=lambda path: str(path.relative_to(ROOT)))
COMMANDS = {"ansible.builtin.command", "ansible.builtin.raw", "ansible.builtin.script"}


def tasks_of(path: Path) -> list[Task]:
    """Return all tasks of a file."""
    return list(tasks_in(load(path)))


def module_of(task: Task) -> str:
    """Return the module that a task calls; empty for an import of a playbook or a play without tasks."""
    return next((key for key in task if key.count(".") >= 2), "")


def keys_of(content: Any) -> set[str]:
    """Return every key anywhere in a file."""
    if isinstance(content, dict):
        return {str(key) for key in content} | {key for value in content.values() for key in keys_of(value)}
    return {key for entry in content for key in keys_of(entry)} if isinstance(content, list) else set()


def test_there_are_tasks() -> None:
    files = task_files()
    assert len(files) >= 25
    assert sum(len(tasks_of(path)) for path in files) >= 60


@each_file
def test_no_error_is_ignored(path: Path) -> None:
    assert not {"ignore_errors", "ignore_unreachable"} & keys_of(load(path))


@each_file
def test_names_of_tasks_are_short(path: Path) -> None:
    names = [task["name"] for task in tasks_of(path) if "name" in task]
    assert [name for name in names if len(name) > 60] == []


@each_file
def test_no_shell_and_no_pause(path: Path) -> None:
    # Of tasks, not of everything: a user has a shell too.
    modules = {re.sub(r".*\.", "", key) for task in tasks_of(path) for key in task}
    assert not {"shell", "pause"} & modules


@each_file
def test_every_command_says_when_it_changes_something(path: Path) -> None:
    for task in tasks_of(path):
        if module_of(task) in COMMANDS:
            assert "changed_when" in task, f"{task['name']}: changed_when is missing"


@each_file
def test_probes_of_a_preflight_run_in_check_mode_too(path: Path) -> None:
    # A command without check_mode is skipped there, and what reads its result would fail.
    if path.name == "preflight.yml":
        for task in tasks_of(path):
            if module_of(task) in COMMANDS:
                assert task.get("check_mode") is False, f"{task['name']}: check_mode: false is missing"


@each_file
def test_secrets_are_kept_out_of_logs_by_a_variable(path: Path) -> None:
    for task in tasks_of(path):
        assert task.get("no_log") is not True, f"{task['name']}: no_log by a variable, so that it can be lifted"
