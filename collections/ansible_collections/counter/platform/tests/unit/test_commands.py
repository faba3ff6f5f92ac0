"""Running programs."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.counter.platform.plugins.module_utils.commands import LAST_LINES, CommandError, follow, run

RUNNERS: list[Callable[..., object]] = [run, lambda command, **options: follow(command, lambda line: None, **options)]
both = pytest.mark.parametrize("runner", RUNNERS, ids=["run", "follow"])


def test_run_returns_standard_output_alone() -> None:
    assert run(["sh", "-c", "echo out; echo err >&2"]) == "out\n"


def test_run_passes_input_folder_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INHERITED", "kept")
    script = 'cat; pwd; echo "$INHERITED $ADDED"'
    output = run(["sh", "-c", script], stdin=b"in\n", cwd=tmp_path, env={"ADDED": "new"})
    assert output.splitlines() == ["in", str(tmp_path), "kept new"]


def test_run_survives_output_that_is_no_text() -> None:
    assert run(["printf", r"a\377b"]) == "a\N{REPLACEMENT CHARACTER}b"


@both
def test_what_cannot_be_run_is_named(runner: Callable[..., object], tmp_path: Path) -> None:
    (tmp_path / "prog").write_text("")
    for program, folder, said in (
        ("/nowhere/prog", "", r"^/nowhere/prog cannot be run: No such file or directory$"),
        (str(tmp_path / "prog"), "", r"prog cannot be run: Permission denied$"),
        # It is not the program's fault.
        ("true", "nowhere", r"^true cannot be run: No such file or directory: .*/nowhere$"),
    ):
        with pytest.raises(CommandError, match=said) as caught:
            runner([program, "x"], cwd=tmp_path / folder)
        assert isinstance(caught.value.__cause__, OSError)


@both
def test_a_failure_has_the_command_the_status_and_the_last_lines(runner: Callable[..., object]) -> None:
    script = f"for i in $(seq {LAST_LINES + 10}); do echo line $i >&2; done; exit 3"
    with pytest.raises(CommandError) as caught:
        runner(["sh", "-c", script])
    head, *tail = str(caught.value).splitlines()
    assert head.startswith("sh -c for i in")
    assert head.endswith("ended with status 3:")
    assert tail == [f"line {number}" for number in range(11, LAST_LINES + 11)]


def test_a_failure_shows_no_more_than_the_first_words_of_a_command() -> None:
    with pytest.raises(CommandError) as caught:
        run(["sh", "-c", "exit 1", "--", "--password=hunter2"])
    assert "hunter2" not in str(caught.value)


def test_follow_hands_on_both_streams_in_order() -> None:
    lines: list[str] = []
    follow(["sh", "-c", "echo one; echo two >&2; printf three"], lines.append)
    assert lines == ["one", "two", "three"]


def test_follow_hands_on_a_line_while_the_program_runs(tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    # The program ends well only if its first line was seen before its end.
    script = f'echo ready; for i in $(seq 100); do test -e "{answer}" && exit 0; sleep 0.1; done; exit 1'
    follow(["sh", "-c", script], lambda line: answer.touch())


def test_follow_gives_a_program_no_input() -> None:
    program = (
        f"from {follow.__module__} import follow\n"
        "follow(['sh', '-c', 'read -r answer || echo nothing to read; echo $answer'], print)"
    )
    said = run([sys.executable, "-c", program], stdin=b"typed\n", env={"PYTHONPATH": os.pathsep.join(sys.path)})
    assert said == "nothing to read\n\n"
