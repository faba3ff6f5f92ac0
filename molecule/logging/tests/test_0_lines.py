"""What becomes of a line: fields, level and stream, whatever a container writes."""

import json

import pytest
from lib.lines import NAMESPACE, Lines, unique
from lib.types import Json

# More than kubelet lets a file grow to: it looks every ten seconds, and rotates the file under the writer.
LONG = """
import hashlib, time
for number in range({count}):
    print(f"{run} {{number:03}} ", end="")
    # Blanks, as containerd's parts end within them.
    print(("word   " * ({size} // 7) + hashlib.sha256(str(number).encode()).hexdigest())[-{size}:], flush=True)
    if number == {count} - 10:
        time.sleep(12)
"""
# What the service writes of a request, and the proxy of one that went wrong.
REQUEST = {
    "time": "2026-01-31T12:00:00.123Z", "level": "info", "logger": "counter.request", "pid": 7, "message": "request",
    "method": "GET", "path": "/", "status": 200, "duration_ms": 0.257,
}  # fmt: skip
PROXY = {
    "time": "1769860800.123", "level": "warning", "client": "192.0.2.1", "status": 504, "ended": "sH--",
    "seconds_total": 5001,
}  # fmt: skip
RUN = unique()
FALSE = {"namespace": "counter", "app": "counter", "pod": "counter-0", "container": "x", "node": "x"}
HIDDEN = {"_msg": "x", "_time": "1", "_stream": "{}", "_stream_id": "0"}
LEVELS = {"WARN": "warning", "trace": "debug", "ERROR": "error", "fatal": "critical", "Notice": "info"}
PLAIN = {
    f"{RUN} plain text, 100 % of it": None,
    f'{{"broken": "{RUN}': None,
    f"[WARNING]  (1) : {RUN}": "warning",
    f"E0131 12:00:00.123456       1 reflector.go:227] {RUN}": "error",
    # A record is a line: what is written in several lines is several records.
    f"Traceback (most recent call last): {RUN}": None,
    f'  File "{RUN}", line 1  ': None,
}
MANY = json.dumps({"run": RUN, **{f"field{number}": number for number in range(2000)}})
NAME = json.dumps({"run": RUN, "n" * 200: "x"})
NESTED = json.dumps({"run": RUN, "a": {"b": {"c": 1}}, "list": [1, 2]})
COUNT, SIZE, LONGER = 120, 100_000, 600_000
# Only the first of its records names the run.
LONGER_POD = f"longer-{RUN[:8]}"
# Of three bytes each, so that containerd's parts end within characters.
WIDE = f"{RUN} " + "\N{EURO SIGN}" * 20_000
WRITTEN: dict[str, list[str]] = {
    "request": [json.dumps({**REQUEST, "request_id": RUN, "large": 2**60 + 1})],
    "proxy": [json.dumps({**PROXY, "client": RUN}, separators=(",", ":"))],
    "levels": [json.dumps({"level": level, "msg": f"{RUN} {level}"}) for level in LEVELS],
    "plain": [*PLAIN],
    "false": [json.dumps({**FALSE, **HIDDEN, "level": RUN, "run": RUN})],
    "fields": [MANY, NAME, NESTED],
}


@pytest.fixture(scope="module", autouse=True)
def writers(lines: Lines) -> None:
    """Have a pod write each of these, and wait until all have ended."""
    programs = {name: f"print(*{texts!r}, sep='\\n')" for name, texts in WRITTEN.items()}
    programs |= {
        "long": LONG.format(run=RUN, count=COUNT, size=SIZE),
        LONGER_POD: f"print('{RUN}'.ljust({LONGER}, '-'))",
        "wide": f"print({WIDE[:34]!r} + {WIDE[-1]!r} * {len(WIDE) - 34})",
        "no-text": f"import sys; sys.stdout.buffer.write(b'{RUN} \\xff.\\n')",
    }
    lines.start(**programs)
    lines.wait_for_end(*programs)


def of(lines: Lines, pod: str, count: int = 1, pipe: str = "") -> list[Json]:
    """Return what is there of a pod of this run, when it is as many lines."""
    found = lines.query_until(f"pod:={pod} {RUN} {pipe}", count)
    assert len(found) == count, found
    return found


def test_line_of_the_service_has_its_fields_and_the_pods(lines: Lines) -> None:
    (line,) = lines.query_until(f"request_id:={RUN}", 1)
    fields = {**REQUEST, "request_id": RUN, "large": 2**60 + 1}
    assert line["_msg"] == fields.pop("message")
    pod = {"namespace": NAMESPACE, "app": "writer", "pod": "request", "container": "writer", "node": lines.cluster.node}
    # VictoriaLogs adds some that OTLP has and that are empty.
    there = {name: value for name, value in line.items() if not name.startswith(("_", "scope.", "severity_"))}
    assert there == {**pod, **{name: str(value) for name, value in fields.items()}}
    assert line["_stream"] == f'{{app="writer",container="writer",level="info",namespace="{NAMESPACE}"}}'


def test_line_of_the_proxy_has_no_message_and_stays_whole(lines: Lines) -> None:
    (line,) = lines.query_until(f"client:={RUN}", 1)
    assert [line["_msg"]] == WRITTEN["proxy"]
    assert (line["level"], line["status"], line["ended"]) == ("warning", "504", "sH--")


def test_level_has_one_spelling(lines: Lines) -> None:
    found = {line["_msg"]: line["level"] for line in of(lines, "levels", len(LEVELS))}
    assert found == {f"{RUN} {written}": level for written, level in LEVELS.items()}


def test_lines_that_are_not_json_stay_as_they_are(lines: Lines) -> None:
    assert {line["_msg"]: line.get("level") for line in of(lines, "plain", len(PLAIN))} == PLAIN


def test_line_cannot_pass_itself_off_as_another_pods(lines: Lines) -> None:
    (line,) = of(lines, "false")
    assert (line["namespace"], line["app"], line["pod"]) == (NAMESPACE, "writer", "false")
    assert {name: line[f"line_{name}"] for name in FALSE} == FALSE
    assert line["line_level"] == RUN
    assert "level" not in line, "any word as a level would make any number of streams"


def test_line_with_too_many_fields_or_too_long_names_stays_whole(lines: Lines) -> None:
    found = lines.query_until(f"pod:=fields {RUN} or pod:=fields run:={RUN}", 3)
    assert {line["_msg"] for line in found if "run" not in line} == {MANY, NAME}
    (line,) = [line for line in found if "run" in line]
    assert (line["a.b.c"], line["list.0"], line["list.1"]) == ("1", "1", "2")


def test_long_lines_arrive_whole_and_a_rotated_file_loses_none(lines: Lines) -> None:
    of(lines, "long", COUNT, "| fields pod")
    assert len(lines.cluster.node_exec("sh", "-c", f"ls /var/log/pods/{NAMESPACE}_long_*/writer").split()) > 1
    numbers = f"extract '{RUN} <number> ' | stats by (size) count() lines, count_uniq(number) numbers"
    (found,) = lines.query(f"pod:=long {RUN} | len(_msg) size | {numbers}")
    size = len(f"{RUN} 000 ") + SIZE
    assert (found["size"], found["lines"], found["numbers"]) == (str(size), str(COUNT), str(COUNT))


def test_characters_that_containerd_splits_stay_whole_and_what_is_none_is_marked(lines: Lines) -> None:
    assert [line["_msg"] for line in of(lines, "wide")] == [WIDE]
    assert [line["_msg"] for line in of(lines, "no-text")] == [f"{RUN} \N{REPLACEMENT CHARACTER}."]


def test_line_that_is_longer_than_the_bound_arrives_in_several_records(lines: Lines) -> None:
    found = lines.query_until(f"pod:={LONGER_POD} | len(_msg) size | fields size", 3)
    sizes = [int(line["size"]) for line in found]
    assert sum(sizes) == LONGER
    assert max(sizes) == 256 * 1024
    assert len(sizes) == 3


def test_control_planes_lines_are_there_with_levels(lines: Lines) -> None:
    found = lines.query("namespace:=kube-system | uniq by (app, level)")
    apps = {line["app"] for line in found}
    assert apps >= {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-dns", "kube-proxy"}
    assert {line["app"] for line in found if line.get("level") == "info"} >= {"etcd", "kube-apiserver"}
