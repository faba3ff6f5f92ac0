"""What the service's image holds, beside its base and beside the same in one stage: ``python bench/sizes.py``.

Needs what ``make up`` has left: the container engine, and the images' archives and wheels in the cache.
"""

import os
import subprocess
from pathlib import Path

HOME = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
ARTIFACTS = Path(os.environ.get("COUNTER_PLATFORM_CACHE", HOME / "counter-platform")) / "artifacts"
ONE_STAGE = """
FROM {base}
COPY . /wheels
RUN set -- /wheels/pip-*.whl; python3 "$1/pip" install --no-cache-dir --root-user-action=ignore \\
    --break-system-packages --no-index --find-links /wheels --require-hashes --requirement /wheels/requirements.txt
"""


def newest(name: str) -> Path:
    """Return the folder of the cached result that was used last."""
    return max((ARTIFACTS / name).iterdir(), key=lambda path: path.stat().st_mtime if path.is_dir() else 0)


def docker(*arguments: str, text: str | None = None) -> str:
    """Run the docker client and return its output."""
    done = subprocess.run(["docker", *arguments], input=text, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def main() -> None:
    """Load what the cache has, build the one stage, and print the sizes in MB (10^6 bytes, uncompressed)."""
    images = {}
    for name in ("python-root", "counter"):
        result = newest(f"counter-platform_{name}")
        docker("load", "--quiet", "--input", str(result / "image.tar"))
        images[name] = f"counter-platform/{name}:{result.name}"
    rows = {
        "base: Debian with Python and CA certificates, no pip": images["python-root"],
        "the service": images["counter"],
    }
    one_stage = "counter-platform/one-stage:sizes"
    recipe = ONE_STAGE.format(base=images["python-root"])
    docker("build", "--network=none", f"--tag={one_stage}", "--file=-", str(newest("counter-wheels")), text=recipe)
    rows["the same dependencies in one stage, with the wheels left"] = one_stage
    print("| image | MB |\n|---|---|")
    for label, image in rows.items():
        print(f"| {label} | {int(docker('image', 'inspect', '--format', '{{.Size}}', image)) / 1e6:.0f} |")
    docker("image", "rm", one_stage)


if __name__ == "__main__":
    main()
