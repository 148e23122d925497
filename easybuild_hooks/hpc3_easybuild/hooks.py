"""The file that ``eb --hooks`` points at: records, annotations, SBOM and a Dockerfile for what was asked for.

EasyBuild loads it by path, outside of any package, and takes every name that ends in ``_hook``. Whatever keeps the
hooks from working, an old Python among it, is a warning and not a broken ``eb``: so this file stays readable to
Python 3.6.
"""

import os
import sys

# Installed by pip into EasyBuild's Python there is nothing to add. From a checkout, or from another environment, the
# folders come last: they must not hide a package of EasyBuild's own.
_PACKAGES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
for _folder in (_PACKAGES, os.path.join(os.path.dirname(_PACKAGES), "shared")):
    if os.path.isdir(_folder) and _folder not in sys.path:
        sys.path.append(_folder)

try:
    from hpc3_easybuild.session import hooks_of_session

    globals().update(hooks_of_session())
except Exception as _error:
    _why = "they need Python 3.9 or newer" if sys.version_info < (3, 9) else _error
    sys.stderr.write("WARNING: hpc3's hooks are off, nothing is recorded: %s\n" % _why)  # noqa: UP031
