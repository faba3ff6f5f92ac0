"""A version that stands in two places is the same in both."""

import json
import re
from pathlib import Path

import pytest
from contracts.manifests import catalogue, value_of
from contracts.project import load, project_files
from lib.command import run
from lib.paths import ROOT

from tools import versions

# The third-party image that each of ours replaces.
IMAGES: dict[str, str] = {name: entry["replaces"] for name, entry in catalogue().items() if "replaces" in entry}
KUBERNETES: str = value_of("local", "platform", "kubernetes_version")
DAY: str = value_of("local", "platform", "platform_packages_date")
GO_MOD = (ROOT / versions.NODE_PROGRAMS / "go.mod").read_text()
# Its value is the same for every one of them.
OF_KUBERNETES = {"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"}


@pytest.fixture(scope="module")
def source() -> Path:
    """The source of Kubernetes that the programs are compiled from."""
    return versions.kubernetes_source(ROOT / versions.NODE_PROGRAMS, KUBERNETES)


@pytest.mark.mirrors
def test_table_has_the_versions_of_go_mod_and_the_tags_that_kubeadm_asks_for(source: Path) -> None:
    text = (ROOT / versions.TABLE).read_text()
    assert versions.table(text, versions.required(GO_MOD), versions.tags_of_kubeadm(source)) == text
    assert {IMAGES[name].rpartition(":")[2] for name in OF_KUBERNETES} == {KUBERNETES}


def required_in(folder: Path) -> dict[str, str]:
    """Return the modules that the Go module in a folder requires for itself, with their versions."""
    return versions.required((ROOT / folder / "go.mod").read_text())


def test_every_program_has_a_name_to_bump_it_by() -> None:
    folders = [path.parent.relative_to(ROOT) for path in ROOT.glob("roles/*/files/*/go.mod")]
    here = {(folder, module) for folder in folders for module in required_in(folder)}
    assert {*versions.PROGRAMS.values(), (versions.NODE_PROGRAMS, versions.COREDNS)} <= here
    assert set(folders) == versions.FOLDERS
    of_the_node = {module for folder, module in versions.PROGRAMS.values() if folder == versions.NODE_PROGRAMS}
    assert {*of_the_node, versions.COREDNS} == set(required_in(versions.NODE_PROGRAMS))


def compiled_in(folder: Path) -> dict[str, str]:
    """Return the packages that the programs of a Go module are compiled from, each with its version and its files."""
    (tags,) = {",".join(entry.get("tags", [])) for entry in catalogue().values() if entry.get("source") == str(folder)}
    # Also of what is replaced: with -trimpath the compiler has the files under the version that is required.
    each = "{{.ImportPath}} {{with .Module}}{{.Version}}{{end}} {{.GoFiles}}"
    packages = ["tool"] if "\ntool " in (ROOT / folder / "go.mod").read_text() else []
    listing = ["list", f"-tags={tags}", "-deps", "-f", each, *packages, "./..."]
    return dict(line.split(" ", maxsplit=1) for line in versions.go(ROOT / folder, *listing).splitlines())


@pytest.mark.mirrors
def test_go_compiles_a_package_once_for_all_programs() -> None:
    seen: dict[str, tuple[str, Path]] = {}
    # What has a version by the name of a program has another one in the others.
    modules = {module for modules in versions.HELD.values() for module in modules}
    modules |= {module for _, module in versions.PROGRAMS.values()}
    apart = (*versions.OWN, *(f"{module}/" for module in modules), "counter-platform/")
    again = []
    for folder in sorted(versions.FOLDERS, key=versions.NODE_PROGRAMS.__ne__):
        for package, version in compiled_in(folder).items():
            before, first = seen.setdefault(package, (version, folder))
            if before != version and not f"{package}/".startswith(apart):
                again.append(f"{package}: {version} in {folder}, {before} in {first}")
    assert not again, "`make bump` with a program's version as it is brings them to one; the node's by kubernetes"


@pytest.mark.mirrors
def test_coredns_has_the_plugins_of_the_corefile_that_kubeadm_writes(source: Path) -> None:
    manifests = (source / "cmd/kubeadm/app/phases/addons/dns/manifests.go").read_text()
    (corefile,) = re.findall(r"^    \.:53 \{\n(.*?)^    \}", manifests, re.MULTILINE | re.DOTALL)
    directives = set(re.findall(r"^        ([a-z]\w*)", corefile, re.MULTILINE))
    main = (ROOT / versions.NODE_PROGRAMS / "coredns/main.go").read_text()
    plugins = set(re.findall(r'_ "github\.com/coredns/coredns/plugin/(\w+)"', main))
    # The plugin that Corefiles call prometheus.
    assert plugins - {"metrics"} | {"prometheus"} == directives


def test_parts_of_the_collector_have_one_version() -> None:
    required = required_in(versions.PROGRAMS["collector"][0])
    assert len({required[name] for name in required if name.startswith(versions.OF_THE_COLLECTOR)}) == 1


def test_every_module_is_compiled_by_the_catalogue() -> None:
    assert {entry["source"] for entry in catalogue().values() if entry["type"] == "go"} == set(
        map(str, versions.FOLDERS)
    )


def test_image_of_another_module_has_the_version_of_its_go_mod() -> None:
    own = {name: of for name, of in versions.PROGRAMS.items() if of[0] != versions.NODE_PROGRAMS}
    images = {name: image for name, image in IMAGES.items() if name in own}
    assert images
    for name, image in images.items():
        folder, module = own[name]
        assert image.endswith(f":{required_in(folder)[module]}")


@pytest.mark.mirrors
def test_staging_modules_are_those_of_that_version(source: Path) -> None:
    replaced = re.findall(r"^\s*(\S+) => (\S+) (\S+)$", GO_MOD, re.MULTILINE)
    version = KUBERNETES.replace("v1.", "v0.", 1)
    staging = versions.staging_modules(source)
    assert staging
    assert {entry for entry in replaced if entry[0].startswith("k8s.io/")} == {
        (name, name, version) for name in staging
    }


@pytest.mark.parametrize("version", [KUBERNETES.removeprefix("v1."), DAY], ids=["Kubernetes", "packages"])
def test_version_stands_in_no_other_file(version: str) -> None:
    # The changelog and the decisions have days of the past, and locks have versions of other things.
    places = {ROOT / versions.TABLE, *ROOT.glob("roles/*/files/*/go.*")}
    others = [path for path in project_files() if path.name not in {"CHANGELOG.md", "decisions.md", "uv.lock"}]
    number = re.compile(rf"(?<!\d){re.escape(version)}(?!\d)")
    found = {path for path in others if path.is_file() and number.search(path.read_text(errors="replace"))}
    assert found <= places


def test_every_image_is_replaced_once_and_has_a_version() -> None:
    names = [image.rpartition(":")[0] for image in IMAGES.values()]
    assert all(names)
    assert len(set(names)) == len(names)
    assert not [image for image in IMAGES.values() if not re.search(r":v?\d[\w.-]*$", image)]


def test_bootstrap_installs_the_locked_uv(tmp_path: Path) -> None:
    bootstrap = (ROOT / versions.BOOTSTRAP).read_text()
    (tmp_path / "bootstrap.txt").write_text(bootstrap)
    versions.write_bootstrap(tmp_path / "bootstrap.txt", versions.locked((ROOT / "uv.lock").read_text(), "uv"))
    assert (tmp_path / "bootstrap.txt").read_text() == bootstrap
    assert bootstrap.count("--hash=sha256:") >= 2


def test_collections_that_are_used_are_listed_with_the_locked_version() -> None:
    # Of the locked package ansible, without ansible.builtin, which is in its core.
    manifests = (ROOT / ".venv/lib").glob("python3.*/site-packages/ansible_collections/*/*/MANIFEST.json")
    about = [json.loads(path.read_text())["collection_info"] for path in manifests]
    brought = {f"{entry['namespace']}.{entry['name']}": entry["version"] for entry in about}
    files = [path for pattern in ("*.yml", "*.j2", "*.cfg", "*.py") for path in project_files(pattern)]
    named = re.compile(rf"(?<![\w./@-])({'|'.join(map(re.escape, brought))})\.\w")
    used = {name for path in files for name in named.findall(path.read_text())}
    listed = {entry["name"]: entry["version"] for entry in load(ROOT / versions.COLLECTIONS)["collections"]}
    assert listed == {name: brought[name] for name in used}


def test_collection_builds(tmp_path: Path) -> None:
    source = ROOT / "collections/ansible_collections/counter/platform"
    run("ansible-galaxy", "collection", "build", str(source), "--output-path", str(tmp_path))


def test_no_module_under_the_agpl_is_fetched_or_built() -> None:
    # One decision says why; nothing else of the project names them.
    modules = "github.com/grafana/(loki|grafana|tempo)"
    left_out = [f"--exclude-dir={name.strip('/')}" for name in (ROOT / ".gitignore").read_text().split()]
    listing = ["grep", "--recursive", "-I", "--files-with-matches", "--extended-regexp", "--exclude-dir=.git"]
    assert set(run(*listing, *left_out, modules, ".").stdout.split()) == {"./docs/decisions.md"}
