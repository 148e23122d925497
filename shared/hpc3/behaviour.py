"""What every recipe of ours gives by construction: no entrypoint, a login shell, one profile script.

An image that was made in another way need not have it: there it must be looked for.
"""

from __future__ import annotations

from .vocabulary import key

RECIPE_PROFILE = "/etc/profile.d/zz-hpc3.sh"
BEHAVIOUR = {
    key("userland.shell"): "/bin/bash",
    key("userland.entrypoint"): "none",
    key("userland.profile"): RECIPE_PROFILE,
}
