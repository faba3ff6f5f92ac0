"""Collections are imported as Ansible does, in every test of the project.

Lookups and filters need Ansible's own finder of collections. It keeps a record of each collection that it imported, and
ends with an error at one that Python's usual import brought in before it was installed. So it is installed before any
test can import one.
"""

from ansible.plugins.loader import init_plugin_loader

init_plugin_loader()
