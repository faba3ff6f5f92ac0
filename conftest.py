"""What every test of the project has in common.

Collections are imported as Ansible does. Lookups and filters need Ansible's own finder of collections. It keeps a
record of each collection that it imported, and ends with an error at one that Python's usual import brought in before
it was installed. So it is installed before any test can import one.

Tests that run make do not inherit the settings of the make that started pytest.
"""

import os

from ansible.plugins.loader import init_plugin_loader

init_plugin_loader()
for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
    os.environ.pop(name, None)
