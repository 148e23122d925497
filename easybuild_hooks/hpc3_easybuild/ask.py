"""Ask EasyBuild for the record of an easyconfig: run by ``hpc3`` in the Python that has EasyBuild.

``hpc3 facts X.eb`` starts it as a process of its own; the answer goes to a file, as EasyBuild talks on both streams.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from easybuild.framework.easyconfig.tools import det_easyconfig_paths, parse_easyconfigs
from easybuild.tools.build_log import EasyBuildError
from easybuild.tools.options import set_up_configuration

from .closure import completed, plan_of
from .folder import write_json


def main(arguments: Sequence[str]) -> None:
    """Write the answer to the first argument: the record of the easyconfig that the second names, or a fault."""
    answer, easyconfig = arguments
    try:
        options, _ = set_up_configuration(args=[easyconfig], silent=True)
        paths = [(path, False) for path in det_easyconfig_paths(options.args)]
        easyconfigs, _ = parse_easyconfigs(paths, validate=False)
        document = completed(plan_of(easyconfigs[0]["ec"], {}))
    except EasyBuildError as error:
        document = {"fault": str(error.msg)}
    write_json(Path(answer), document)


if __name__ == "__main__":
    main(sys.argv[1:])
