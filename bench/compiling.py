"""What compiling the programs costs: each Go module in the order of ``make up``, into a build cache of its own.

Prints seconds of wall time and of processor time for each, and how many packages were compiled and how many came out of
the cache. ``python bench/compiling.py --count`` compiles nothing and counts: the packages and lines that each module
adds, and those that an earlier one has in another version.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CACHES = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
MODULES = Path(os.environ.get("COUNTER_PLATFORM_CACHE", CACHES / "counter-platform")) / "go" / "mod"
FLAGS = ["-trimpath", "-ldflags=-s -w"]
ORDER = [
    "offline_images/files/node-programs",
    "offline_images/files/metrics-server",
    "log_host/files/victorialogs",
    "logging/files/collector",
    "monitoring/files/prometheus",
    "monitoring/files/alertmanager",
    "monitoring/files/kube-state-metrics",
]
TAGS = {
    "logging": r"    tags: \[(.*)\]",
    "monitoring": r"monitoring_go_tags: \[(.*)\]",
    "offline_images": r"offline_images_go_tags: \[(.*)\]",
}


def tags(checkout: Path, module: str) -> str:
    """Return the build tags that a checkout compiles a module with."""
    pattern = TAGS.get(module.partition("/")[0], "$^")
    texts = (path.read_text() for path in (checkout / "roles/platform/defaults/main").glob("*.yml"))
    found = re.search(pattern, "".join(texts))
    return found[1].replace(" ", "") if found else ""


def packages(checkout: Path, module: str) -> list[str]:
    """Return what is built of a module: its tools, and the programs in its folder."""
    folder = checkout / "roles" / module
    tools = ["tool"] if "\ntool " in (folder / "go.mod").read_text() else []
    return [*tools, *(["./..."] if list(folder.rglob("*.go")) else [])]


def go(checkout: Path, module: str, cache: Path, *arguments: str) -> str:
    """Run the go command in a module's folder."""
    environment = {
        **os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false",
        "GOMODCACHE": str(MODULES), "GOCACHE": str(cache),
    }  # fmt: skip
    command = [str(ROOT / ".venv/bin/go"), *arguments]
    done = subprocess.run(
        command, cwd=checkout / "roles" / module, env=environment, capture_output=True, text=True, check=False
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"{module}: {done.stderr}")
    return done.stdout + done.stderr


def listed(checkout: Path, module: str, cache: Path) -> list[dict[str, Any]]:
    """Return what Go says of each package that a module's programs are compiled from, what is imported first."""
    fields = "-json=ImportPath,Dir,GoFiles,Imports,ImportMap,Module"
    text = go(checkout, module, cache, "list", "-deps", f"-tags={tags(checkout, module)}", fields,
              *packages(checkout, module))  # fmt: skip
    return [json.loads(part) for part in re.split(r"(?<=^})\n", text, flags=re.MULTILINE) if part.strip()]


def count(checkout: Path) -> None:
    """Print what each module adds to those before it."""
    print(
        "| module | packages | lines | of these new | lines compiled again, in another version |\n|---|---|---|---|---|"
    )
    seen: dict[str, set[str]] = {}
    total = 0
    for module in ORDER:
        here: dict[str, str] = {}
        lines, new, again = 0, 0, 0
        for package in listed(checkout, module, Path(tempfile.gettempdir()) / "go-build-count"):
            about = package.get("Module") or {}
            imports = sorted(here.get(package.get("ImportMap", {}).get(name, name), name)
                             for name in package.get("Imports", []))  # fmt: skip
            # Also of what is replaced: with -trimpath the compiler has the files under the version that is required.
            inputs = repr((package["ImportPath"], about.get("Version", ""), package.get("GoFiles"), imports))
            key = here[package["ImportPath"]] = hashlib.sha256(inputs.encode()).hexdigest()
            files = (Path(package["Dir"], name) for name in package.get("GoFiles", []))
            length = sum(path.read_bytes().count(b"\n") for path in files)
            lines += length
            before = seen.setdefault(package["ImportPath"], set())
            if key not in before:
                new += length
                again += length if before else 0
                before.add(key)
        total += new
        print(f"| {Path(module).name} | {len(here):,} | {lines:,} | {new:,} | {again:,} |")
    print(f"\n{total:,} lines in all")


def measure(checkout: Path, modules: list[str], flags: list[str]) -> None:
    """Compile modules one after the other, and print what each took."""
    print("| module | seconds | of processors | packages compiled | MB of programs |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=MODULES.parent) as temporary:
        cache, programs = Path(temporary, "build"), Path(temporary, "programs")
        for module in modules:
            go(checkout, module, cache, "list", "-deps", f"-tags={tags(checkout, module)}", *packages(checkout, module))
            used, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
            output = go(checkout, module, cache, "build", "-v", f"-tags={tags(checkout, module)}", *FLAGS, *flags,
                        "-o", f"{programs / module}/", *packages(checkout, module))  # fmt: skip
            wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
            size = sum(path.stat().st_size for path in (programs / module).iterdir()) / 1e6
            print(
                f"| {Path(module).name} | {wall:.0f} | {cpu:.0f} | {len(output.splitlines())} | {size:.0f} |",
                flush=True,
            )
        size = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
        print(f"\nbuild cache {size / 1e9:.1f} GB")


def main() -> None:
    """Read the command line and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", action="store_true", help="compile nothing, and count packages and lines")
    parser.add_argument("--checkout", type=Path, default=ROOT, help="another checkout of the project")
    parser.add_argument("--only", nargs="+", choices=[Path(module).name for module in ORDER], help="these modules")
    parser.add_argument("--dwarf", action="store_true", help="let the compiler write what the linker drops")
    options = parser.parse_args()
    if options.count:
        count(options.checkout)
        return
    wanted = [module for module in ORDER if not options.only or Path(module).name in options.only]
    measure(options.checkout, wanted, [] if options.dwarf else ["-gcflags=all=-dwarf=false"])


if __name__ == "__main__":
    main()
