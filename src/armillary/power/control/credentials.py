"""A password, from a file or the environment, never from the command line or the topology.

In:  the `redfish` section of a site. Out: (user, password), or None.
The file must not be readable by everybody. The password goes nowhere but into the header of a request.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from armillary.errors import InputError
from armillary.power.control.site import Redfish

LONGEST = 4096


def credentials(redfish: Redfish) -> tuple[str, str] | None:
    """Return user and password.

    Raises:
        InputError: the file or variable is missing or empty, or the file is open to everybody.
    """
    if redfish.user is None:
        return None
    if redfish.password_env is not None:
        password = os.environ.get(redfish.password_env, "")
        if not password:
            raise InputError(f"the variable {redfish.password_env} is not set", where="redfish.password_env")
        return redfish.user, password
    path = Path(redfish.password_file or "")
    try:
        mode = path.stat().st_mode
        password = path.read_bytes()[:LONGEST].decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the password cannot be read: {type(error).__name__}", where=str(path)) from error
    if mode & stat.S_IROTH:
        raise InputError("everybody can read the password", where=str(path), hint=f"chmod 600 {path}")
    if not password:
        raise InputError("holds no password", where=str(path))
    return redfish.user, password
