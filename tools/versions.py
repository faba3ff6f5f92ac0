"""Bring one version of the project to another one, and list what is newer on the package mirrors.

``make bump WHAT=NAME TO=VERSION`` and ``make outdated``. A bump works on a copy, and what changed there is written at
the end, so a version that the mirrors lack leaves every file as it was. With ``tests`` and ``collections`` in
``PYTHONPATH``: ``python -m tools.versions bump NAME VERSION`` and ``python -m tools.versions outdated``.
"""

import functools
import json
import re
import shutil
import sys
import tomllib
from datetime import date
from email.utils import parsedate_to_datetime
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import yaml
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, run
from ansible_collections.counter.platform.plugins.module_utils.debian import APT_GET, mirrors, sources
from ansible_collections.counter.platform.plugins.module_utils.go import go_environment
from lib.paths import CACHE, ROOT

TABLE = Path("roles/platform/defaults/main/artifacts.yml")
SETTINGS = TABLE.with_name("main.yml")
IMAGES = Path("roles/offline_images")
PROJECTS = [Path(), Path("app"), Path("tests/iac/checkov")]
BOOTSTRAP = Path("bootstrap.txt")
COLLECTIONS = Path("collections/requirements.yml")

KUBERNETES = "k8s.io/kubernetes"
COREDNS = "github.com/coredns/coredns"
NODE_PROGRAMS = IMAGES / "files/node-programs"
OF_THE_COLLECTOR = "github.com/open-telemetry/opentelemetry-collector-contrib/"
MONITORING = Path("roles/monitoring/files")
PROGRAMS = {
    "alertmanager": (MONITORING / "alertmanager", "github.com/prometheus/alertmanager"),
    "collector": (Path("roles/logging/files/collector"), f"{OF_THE_COLLECTOR}receiver/filelogreceiver"),
    "etcd": (NODE_PROGRAMS, "go.etcd.io/etcd/server/v3"),
    "kind": (NODE_PROGRAMS, "sigs.k8s.io/kind"),
    "kube-state-metrics": (MONITORING / "kube-state-metrics", "k8s.io/kube-state-metrics/v2"),
    "kubernetes": (NODE_PROGRAMS, KUBERNETES),
    "licensecheck": (IMAGES / "files/licences", "github.com/google/licensecheck"),
    "metrics-server": (IMAGES / "files/metrics-server", "sigs.k8s.io/metrics-server"),
    "network-policy-agent": (NODE_PROGRAMS, "sigs.k8s.io/kube-network-policies"),
    "prometheus": (MONITORING / "prometheus", "github.com/prometheus/prometheus"),
    "victorialogs": (Path("roles/log_host/files/victorialogs"), "github.com/VictoriaMetrics/VictoriaLogs"),
}
"""The folder and the module of each program that has a version of its own. CoreDNS is not among them: kubeadm names its
version. Nor are the collector's other parts: they have the version of the one here."""
FOLDERS = {folder for folder, _ in PROGRAMS.values()}
OWN = ("go.opentelemetry.io/collector/", OF_THE_COLLECTOR)
"""What the names of modules begin with that work in one release only, the collector's. Prometheus has newer ones."""
HELD = {"collector": ("k8s.io/api", "k8s.io/client-go")}
"""Modules that a program does not compile with in a newer version. The collector's processor for Kubernetes implements
an interface of this client that has one more method from v0.36 on."""
OF_THE_API_SERVER = {
    "github.com/google/cel-go",
    "k8s.io/kube-openapi",
    "sigs.k8s.io/structured-merge-diff/v6",
}
"""Modules that decide how the API server evaluates policies and merges objects. The node has them as Kubernetes was
released with them, and a program that would have a newer one excludes that."""
PACKAGES = {"packages": "platform_packages_date", "node-packages": "platform_node_packages_date"}
"""The variable of each day of Debian's packages: the nodes' day is one of its own, as another takes other nodes."""
TAGS_OF_KUBEADM = {"coredns": "CoreDNSVersion", "etcd": "DefaultEtcdVersion", "pause": "PauseVersion"}
"""Images whose tags kubeadm decides, with the constants that it has them in."""
FILES = [
    TABLE,
    SETTINGS,
    *FOLDERS,
    BOOTSTRAP,
    COLLECTIONS,
    *(project / name for project in PROJECTS for name in ("pyproject.toml", "uv.lock")),
]
"""What a bump reads and may change."""


class VersionError(Exception):
    """A version cannot be had; the text says why."""


def tool(name: str) -> str:
    """Return the path of one of the controller's locked tools."""
    return str(Path(sys.executable).parent / name)


def go(folder: Path, *arguments: str) -> str:
    """Run Go in a module's folder by the settings that the programs are compiled by, and return what it prints.

    Raises :class:`CommandError` when it fails.
    """
    return run([tool("go"), *arguments], cwd=folder, env=go_environment(CACHE))


def required(go_mod: str) -> dict[str, str]:
    """Return the versions of the modules that a go.mod requires for themselves and not for another."""
    return dict(re.findall(r"^(?:require )?\s*(\S+) (v\S+)$", go_mod, re.MULTILINE))


def replacements(go_mod: str) -> dict[str, str]:
    """Return the versions that a go.mod replaces those of modules by."""
    return dict(re.findall(r"^(?:replace )?\s*(\S+) => \S+ (v\S+)$", go_mod, re.MULTILINE))


def selected(go_mod: str) -> dict[str, str]:
    """Return the versions of all modules that a go.mod requires, also of those that it requires for another."""
    versions = required(go_mod.replace(" // indirect", ""))
    return versions | {module: to for module, to in replacements(go_mod).items() if module in versions}


def once(text: str, pattern: str) -> str:
    """Return what the pattern's only group matches; raise :class:`VersionError` unless the pattern matches once."""
    found: list[str] = re.findall(pattern, text, re.MULTILINE)
    if len(found) != 1:
        raise VersionError(f"{pattern} is there {len(found)} times instead of once")
    return found[0]


def replaced(text: str, pattern: str, value: str) -> str:
    """Return a text with a value after what :func:`once` returns, instead of the value that is there."""
    before = once(text, pattern)
    return re.sub(pattern, lambda _: before + value, text, flags=re.MULTILINE)


@functools.cache
def kubernetes_source(folder: Path, version: str) -> Path:
    """Return the folder with the source of a release of Kubernetes, fetched and verified by Go."""
    return Path(json.loads(go(folder, "mod", "download", "-json", f"{KUBERNETES}@{version}"))["Dir"])


def staging_modules(source: Path) -> set[str]:
    """Return the modules that Kubernetes keeps in its own source, and publishes as v0 beside each v1."""
    replaces = json.loads(go(source, "mod", "edit", "-json"))["Replace"]
    return {entry["Old"]["Path"] for entry in replaces if entry["New"]["Path"].startswith("./staging/")}


def tags_of_kubeadm(source: Path) -> dict[str, str]:
    """Return the tags that the kubeadm of a source of Kubernetes asks for, by the names of the catalogue."""
    text = (source / "cmd/kubeadm/app/constants/constants.go").read_text()
    return {image: once(text, rf'^\s*{constant} = "(\S+)"$') for image, constant in TAGS_OF_KUBEADM.items()}


def tag_of(image: str) -> str:
    """Return the pattern of the tag that an image of the catalogue replaces."""
    return rf"^(  {image}:\n(?:    .*\n)*?    replaces: (?:&\S+ )?\S+:)\S+"


def tagged(text: str, image: str, tag: str) -> str:
    """Return the catalogue with another tag of one of its images."""
    return replaced(text, tag_of(image), tag)


def table(text: str, versions: dict[str, str], tags: dict[str, str]) -> str:
    """Return the catalogue with the versions of the node's go.mod and the tags that kubeadm asks for.

    Raises :class:`VersionError` when go.mod has another CoreDNS than the one that kubeadm asks for.
    """
    if versions[COREDNS] != tags["coredns"]:
        raise VersionError(
            f"coredns would be {versions[COREDNS]}, and kubeadm {versions[KUBERNETES]} asks for {tags['coredns']}"
        )
    text = replaced(text, r"^(kubernetes_version: )\S+", versions[KUBERNETES])
    for image, tag in {**tags, "network-policy-agent": versions[PROGRAMS["network-policy-agent"][1]]}.items():
        text = tagged(text, image, tag)
    return text


def bump_program(root: Path, name: str, to: str) -> None:
    """Require another version of a program; with Kubernetes comes what kubeadm asks for.

    Go selects every indirect version anew, so that the result depends on nothing but the versions that go.mod names.
    """
    program, module = PROGRAMS[name]
    folder = root / program
    try:
        found = go(folder, "list", "-m", "-f", "{{.Version}}", f"{module}@{to}").strip()
    except CommandError as error:
        raise VersionError(f"Go finds no {to} of {module}: {str(error).splitlines()[-1].strip()}") from error
    if found != to:
        raise VersionError(f"{to} is no version of {module}; Go takes it for {found}")
    here = (folder / "go.mod").read_text()
    parts = [module]
    if module.startswith(OF_THE_COLLECTOR):
        parts = [part for part in required(here) if part.startswith(OF_THE_COLLECTOR)]
    edits = [f"-require={part}@{to}" for part in parts]
    if module == KUBERNETES:
        source = kubernetes_source(folder, to)
        new, version = staging_modules(source), to.replace("v1.", "v0.", 1)
        old = set(re.findall(r"^\s(k8s\.io/\S+) => ", here, re.MULTILINE))
        edits += [f"-require={COREDNS}@{tags_of_kubeadm(source)['coredns']}"]
        edits += [f"-dropreplace={entry}" for entry in sorted(old - new)]
        edits += [f"-replace={entry}={entry}@{version}" for entry in sorted(new)]
    go(folder, "mod", "edit", *edits)
    level(root, program)
    versions = required((folder / "go.mod").read_text())
    if versions[module] != to:
        raise VersionError(f"{name} would be {versions[module]}: another program needs that")
    images = (root / TABLE).read_text()
    if program == NODE_PROGRAMS:
        images = table(images, versions, tags_of_kubeadm(kubernetes_source(folder, versions[KUBERNETES])))
    elif re.search(tag_of(name), images, re.MULTILINE):
        images = tagged(images, name, to)
    (root / TABLE).write_text(images)


def order(version: str) -> tuple[list[int], bool, list[tuple[bool, int, str]]]:
    """Return what sorts the versions of a module as Go does (source: semver.org, 11)."""
    numbers, _, before = version.removeprefix("v").partition("+")[0].partition("-")
    parts = [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in before.split(".")]
    return [int(number) for number in numbers.split(".")], not before, parts


def level(root: Path, changed: Path) -> None:
    """Let Go select the indirect versions anew, and bring what programs share to the newest version that one needs.

    Go compiles a package once for all programs that have it, and all that it imports, in the same version. The node's
    programs only follow where they are what changes: another version of theirs takes other nodes.

    Parameters:
        root: the copy of the project.
        changed: the folder of the module that requires something else now.
    """
    free = sorted(folder for folder in FOLDERS if folder == changed or folder != NODE_PROGRAMS)
    for folder in free:
        go_mod = root / folder / "go.mod"
        go_mod.write_text(re.sub(r"^.* // indirect\n", "", go_mod.read_text(), flags=re.MULTILINE))
        excluded = json.loads(go(root / folder, "mod", "edit", "-json")).get("Exclude") or []
        drops = [f"-dropexclude={entry['Path']}@{entry['Version']}" for entry in excluded]
        go(root / folder, "mod", "edit", *drops, "-fmt")
        select_versions(root, folder)
    while edits := raised(root, free):
        for folder, raises in edits.items():
            go(root / folder, "mod", "edit", *raises)
            select_versions(root, folder)


def raised(root: Path, free: list[Path]) -> dict[Path, list[str]]:
    """Return what `go mod edit` takes to bring each of the free modules to the versions that all of them shall have."""
    texts = {folder: (root / folder / "go.mod").read_text() for folder in FOLDERS}
    here = {folder: selected(text) for folder, text in texts.items()}
    wanted: dict[str, str] = {}
    for versions in here.values():
        for module, version in versions.items():
            if not module.startswith(OWN):
                wanted[module] = max(version, wanted.get(module, version), key=order)
    wanted |= {module: here[NODE_PROGRAMS][module] for module in OF_THE_API_SERVER}
    edits = {}
    for folder in free:
        # Some versions are no other program's business.
        own = [(module, *HELD.get(name, ())) for name, (where, module) in PROGRAMS.items() if where == folder]
        movable = wanted.keys() - {COREDNS, *chain(*own)} - replacements(texts[folder]).keys()
        other = {module: version for module, version in here[folder].items() if version != wanted.get(module, version)}
        steps = [f"-require={module}@{wanted[module]}" for module in other if module in movable]
        # Whoever requires an excluded version takes an older one. By a replacement, Go would name the package's files
        # after the newer version, and compile it and all above it again.
        steps += [
            f"-exclude={module}@{version}"
            for module, version in other.items()
            if module in movable and order(version) > order(wanted[module])
        ]
        if steps:
            edits[folder] = steps
    return edits


def select_versions(root: Path, folder: Path) -> None:
    """Let Go write into a module what it needs besides what it requires, and all checksums, verified.

    Not by ``go mod tidy``: it would add what only tests and other systems need.
    """
    tags = yaml.safe_load((root / SETTINGS).read_text())["offline_images_go_tags"]
    (root / folder / "go.sum").write_text("")
    go(root / folder, "list", "-mod=mod", f"-tags={','.join(tags)}", "-deps", "tool", "./...")


def packages_day(root: Path) -> str:
    """Return the day of the newest of Debian's signed release files on the mirrors, as in 2026-01-31."""
    suite = yaml.safe_load((root / SETTINGS).read_text())["offline_images_suite"]
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # apt fetches as another user where it can.
        folder.chmod(0o755)
        (folder / "lists/partial").mkdir(parents=True)
        # Without a target it fetches the release files alone.
        lines = [line.replace("]", " target=none]", 1) for line in sources(suite, [], mirrors())]
        (folder / "sources.list").write_text("".join(f"{line}\n" for line in lines))
        settings = {
            "Dir::Etc::SourceList": f"{folder}/sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State::Lists": f"{folder}/lists",
            "Dir::Cache": str(folder),
            "Acquire::Check-Valid-Until": "false",
            "APT::Update::Error-Mode": "any",
        }
        run([*APT_GET, *(f"-o{name}={value}" for name, value in settings.items()), "update"])
        texts = [path.read_text() for path in (folder / "lists").glob("*Release")]
    days = [parsedate_to_datetime(day) for text in texts for day in re.findall(r"^Date: (.*)$", text, re.MULTILINE)]
    return max(days).date().isoformat()


def bump_packages(root: Path, variable: str, to: str) -> None:
    """Set the day of the packages in a variable."""
    try:
        day = date.fromisoformat(to)
    except ValueError as error:
        raise VersionError(f"{to} is no day; write it as in 2026-01-31") from error
    newest = packages_day(root)
    if day.isoformat() > newest:
        raise VersionError(f"Debian's mirrors have the packages of {newest}, and none of {to} yet")
    images = root / TABLE
    images.write_text(replaced(images.read_text(), rf'^({variable}: )"\S+"', f'"{day.isoformat()}"'))


def packages_of(project: Path) -> set[str]:
    """Return the names of the packages that a Python project requires, those of its groups too, by its uv.lock."""
    (own,) = [entry for entry in tomllib.loads((project / "uv.lock").read_text())["package"] if "metadata" in entry]
    groups = [own["metadata"]["requires-dist"], *own["metadata"].get("requires-dev", {}).values()]
    return {entry["name"] for group in groups for entry in group}


def python_packages(root: Path) -> dict[str, str]:
    """Return each Python package that a project requires, by the name that it has here.

    That is its own but where something else has it: the client for Kubernetes is ``python-kubernetes``.
    """
    names = sorted(set.union(*(packages_of(root / project) for project in PROJECTS)))
    return {f"python-{name}" if name in PROGRAMS else name: name for name in names}


def locked(lock: str, package: str) -> dict[str, Any]:
    """Return what a uv.lock says of a package."""
    (found,) = [entry for entry in tomllib.loads(lock)["package"] if entry["name"] == package]
    return dict(found)


def bump_python(root: Path, package: str, to: str) -> None:
    """Lock another version of a Python package in every project that requires it."""
    for project in PROJECTS:
        if package in packages_of(root / project):
            lock_python(root, project, package, to)
    lock = (root / "uv.lock").read_text()
    if package == "uv":
        write_bootstrap(root / BOOTSTRAP, locked(lock, package))
    if package == "ansible":
        text = (root / COLLECTIONS).read_text()
        for name, version in collections(locked(lock, package)).items():
            if f"name: {name}\n" in text:
                text = replaced(text, rf"^(  - name: {re.escape(name)}\n    version: )\S+", version)
        (root / COLLECTIONS).write_text(text)


def lock_python(root: Path, project: Path, package: str, to: str) -> None:
    """Lock another version of a package in one project; an exact pin gets it, and any other has to allow it."""
    pyproject, lock = root / project / "pyproject.toml", root / project / "uv.lock"
    before = hosts(lock.read_text())
    pin = rf'("{package}(?:\[[^]]*\])?==)[^";\s]+'
    pyproject.write_text(re.sub(pin, rf"\g<1>{to}", pyproject.read_text(), flags=re.IGNORECASE))
    wanted = [f"--upgrade-package={package}=={to}", f"--python={sys.executable}"]
    try:
        run([tool("uv"), "lock", "--quiet", *wanted], cwd=lock.parent, env={"UV_CACHE_DIR": str(CACHE / "uv")})
    except CommandError as error:
        reason = str(error).partition("\n")[2]
        raise VersionError(f"no {package} {to} for {project / 'pyproject.toml'}: {reason}") from error
    # A lock is for everyone, and uv writes the addresses of the index that it is set up with.
    if foreign := hosts(lock.read_text()) - before:
        raise VersionError(
            f"uv would write addresses at {', '.join(sorted(foreign))} into {project / 'uv.lock'}, which has those of"
            f" {', '.join(sorted(before))} alone: lock where no other index is set up"
        )
    if (version := locked(lock.read_text(), package)["version"]) != to:
        raise VersionError(f"{to} is {version} of {package}: write it like that")


def hosts(lock: str) -> set[str]:
    """Return the hosts of all addresses in a uv.lock."""
    return set(re.findall(r'"https?://([^/"]+)', lock))


def write_bootstrap(path: Path, uv: dict[str, Any]) -> None:
    """Write the bootstrap's requirements, below their first comment, for a locked uv."""
    wheels = [wheel for wheel in uv["wheels"] if re.search(r"-manylinux\w*_(x86_64|aarch64)\b", wheel["url"])]
    lines = [f"uv=={uv['version']}", *(f"    --hash={entry}" for entry in sorted(wheel["hash"] for wheel in wheels))]
    text = path.read_text()
    path.write_text(text[: text.index("uv==")] + " \\\n".join(lines) + "\n")


def collections(ansible: dict[str, Any]) -> dict[str, str]:
    """Return the versions of the collections that a locked package ansible brings, read out of its wheel."""
    with TemporaryDirectory() as temporary:
        (wheel,) = ansible["wheels"]
        listed = Path(temporary, "requirements.txt")
        listed.write_text(f"ansible=={ansible['version']} --hash={wheel['hash']}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        run([*pip, f"--dest={temporary}", f"--requirement={listed}"])
        (path,) = Path(temporary).glob("*.whl")
        with ZipFile(path) as archive:
            names = [name for name in archive.namelist() if re.fullmatch(r"[\w/]+/MANIFEST\.json", name)]
            found = [json.loads(archive.read(name))["collection_info"] for name in names]
    return {f"{about['namespace']}.{about['name']}": about["version"] for about in found}


def copy_files(root: Path, to: Path) -> None:
    """Copy what a bump reads and may change."""
    for path in FILES:
        (to / path).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (root / path).is_dir() else shutil.copyfile)(root / path, to / path)


def bump(root: Path, what: str, to: str) -> dict[Path, str]:
    """Return the new texts of files, by their paths in the project, with another version of something.

    Parameters:
        root: the project.
        what: a program of :data:`PROGRAMS`, one of :data:`PACKAGES`, or a Python package that a project requires.
        to: the version, written as where it stands now; of packages a day.

    Raises :class:`VersionError` or :class:`CommandError` when there is no such thing or no such version.
    """
    python = python_packages(root)
    with TemporaryDirectory() as temporary:
        copy = Path(temporary)
        copy_files(root, copy)
        if what in PACKAGES:
            bump_packages(copy, PACKAGES[what], to)
        elif what in PROGRAMS:
            bump_program(copy, what, to)
        elif what in python:
            bump_python(copy, python[what], to)
        else:
            names = ", ".join([*PACKAGES, *PROGRAMS, *python])
            raise VersionError(
                f"{what!r} has no version of its own. These have: {names}."
                " CoreDNS, pause and etcd's tag follow kubernetes"
            )
        texts = {path.relative_to(copy): path.read_text() for path in copy.rglob("*") if path.is_file()}
    return {path: text for path, text in texts.items() if text != (root / path).read_text()}


def write(root: Path, changes: dict[Path, str]) -> None:
    """Write the files, all or none."""
    before = {path: (root / path).read_text() for path in changes}
    try:
        for path, text in changes.items():
            (root / path).write_text(text)
    except BaseException:
        for path, text in before.items():
            (root / path).write_text(text)
        raise


def outdated(root: Path) -> list[tuple[str, str, str, str]]:
    """Return what is newer on the mirrors: each with the version here, the newest one, and where that is."""
    rows = []
    newer = "{{with .Update}}{{$.Version}} {{.Version}}{{end}}"
    for name, (folder, module) in PROGRAMS.items():
        try:
            told = go(root / folder, "list", "-m", "-u", "-f", newer, module)
        except CommandError as error:
            # Some mirrors serve a version and no list of them.
            if not re.search(r"/@v/list: 40[34] ", str(error)):
                raise
            told = f"{go(root / folder, 'list', '-m', '-f', '{{.Version}}', module).strip()} unknown"
        if told.strip():
            here, newest = told.split()
            rows.append((name, here, newest, "Go modules"))
    days, newest = yaml.safe_load((root / TABLE).read_text()), packages_day(root)
    rows += [(name, days[day], newest, "Debian") for name, day in PACKAGES.items() if newest > days[day]]
    names = {package: name for name, package in python_packages(root).items()}
    python = set()
    for project in PROJECTS:
        listing = run(
            [tool("uv"), "tree", "--frozen", "--outdated", "--depth=1", "--all-groups", f"--python={sys.executable}"],
            cwd=root / project, env={"UV_CACHE_DIR": str(CACHE / "uv")},
        )  # fmt: skip
        for package, here, newest in re.findall(r"─ ([\w.-]+)\S* v(\S+).* \(latest: v(\S+)\)", listing):
            python.add((names[package], here, newest, "PyPI"))
    return [*rows, *sorted(python)]


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Do what the command line says with a project; return the exit status."""
    try:
        match arguments:
            case ["bump", what, to]:
                changes = bump(root, what, to)
                write(root, changes)
                print("\n".join(f"changed {path}" for path in changes) or f"{what} is at {to} already")
            case ["outdated"]:
                for row in [("what", "here", "newest", "where"), *outdated(root)]:
                    print("{:<24}  {:<20}  {:<20}  {}".format(*row))
            case _:
                print("error: use bump NAME VERSION, or outdated", file=sys.stderr)
                return 2
    except (VersionError, CommandError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
