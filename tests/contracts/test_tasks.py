"""What the project asks of tasks and ansible-lint does not look at."""

import re

from contracts.project import Task, load, task_files, tasks_in
from lib.paths import ROOT

COMMANDS = {"ansible.builtin.command", "ansible.builtin.raw", "ansible.builtin.script"}
TASKS: list[tuple[str, Task]] = [
    (str(path.relative_to(ROOT)), task) for path in task_files() for task in tasks_in(load(path))
]


def test_no_error_is_ignored() -> None:
    # ansible-lint accepts ignore_errors beside register, and ignore_unreachable anywhere.
    ignored = re.compile("ignore_(errors|unreachable)")
    assert [path for path in task_files() if ignored.search(path.read_text())] == []


def test_no_shell_and_no_pause() -> None:
    # ansible-lint accepts a shell for a pipe, and every pause.
    modules = {"shell", "pause"}
    assert [(file, task) for file, task in TASKS if modules & {key.rpartition(".")[2] for key in task}] == []


def test_task_names_are_short() -> None:
    assert [(file, task["name"]) for file, task in TASKS if len(task.get("name", "")) > 60] == []


def test_preflight_commands_run_in_check_mode() -> None:
    # A command without check_mode is skipped there, and what reads its result would fail.
    assert [
        (file, task["name"])
        for file, task in TASKS
        if file.endswith("/preflight.yml") and COMMANDS & set(task) and task.get("check_mode") is not False
    ] == []


def test_no_log_is_a_variable() -> None:
    # So that it can be lifted to debug.
    assert [(file, task["name"]) for file, task in TASKS if task.get("no_log") is True] == []
