"""The file that ``eb --hooks`` points at: records, annotations, SBOM and a Dockerfile for what was asked for.

EasyBuild loads it by path, outside of any package, and takes every name that ends in ``_hook``. It stays readable to
Python 3.6, so that an EasyBuild on an old Python gets a warning and not a broken build.
"""

import os
import sys

# Installed by pip into EasyBuild's Python there is nothing to add. From a checkout, or from another environment, the
# folders come last: they must not hide a package of EasyBuild's own.
_PACKAGES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
for _folder in (_PACKAGES, os.path.join(os.path.dirname(_PACKAGES), "shared")):
    if os.path.isdir(_folder) and _folder not in sys.path:
        sys.path.append(_folder)

from hpc3_easybuild.session import hooks_of_session

globals().update(hooks_of_session())
