# SPDX-License-Identifier: GPL-2.0-or-later

# scapy.contrib.description = OpenD, the gateway of Futu and moomoo
# scapy.contrib.status = loads

"""Names the layer and the session, for Scapy, which loads this file as ``scapy.contrib.opend``.

Code in this file would exist twice, here and in Scapy's namespace.
"""

from decoder.scapy.layer import OpenD
from decoder.scapy.session import OpenDSession

__all__ = ["OpenD", "OpenDSession"]
