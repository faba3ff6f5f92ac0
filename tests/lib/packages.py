"""Debian packages with nothing in them."""

from pathlib import Path

from lib.command import run


def build_package(folder: Path, name: str, *fields: str) -> Path:
    """Write an empty package with further fields of its control file into a folder, and return its path."""
    control = folder / name / "DEBIAN/control"
    control.parent.mkdir(parents=True)
    lines = (f"Package: {name}", "Version: 1", "Architecture: all", "Maintainer: x", "Description: x", *fields)
    control.write_text("".join(f"{line}\n" for line in lines))
    package = folder / f"{name}.deb"
    run("dpkg-deb", "--build", str(folder / name), str(package))
    return package
