"""Images' archives as files of another image."""

from __future__ import annotations

from ansible_collections.counter.platform.plugins.filter.archive_files import FilterModule, archive_files


def test_each_image_is_a_file_in_the_folder() -> None:
    images = {
        "pause": {"archive": "/cache/pause/1/image.tar", "key": "1", "image": "pause:3"},
        "etcd": {"archive": "/cache/etcd/2/image.tar", "key": "2", "image": "etcd:3"},
    }
    assert archive_files(images, "images") == [
        {"path": "/cache/pause/1/image.tar", "dest": "images/pause.tar", "key": "1"},
        {"path": "/cache/etcd/2/image.tar", "dest": "images/etcd.tar", "key": "2"},
    ]


def test_no_image_is_no_file() -> None:
    assert archive_files({}, "images") == []


def test_the_name_that_templates_use() -> None:
    assert FilterModule().filters() == {"archive_files": archive_files}
