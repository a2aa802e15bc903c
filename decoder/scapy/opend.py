# SPDX-License-Identifier: GPL-2.0-or-later

# scapy.contrib.description = OpenD, the gateway of Futu and moomoo
# scapy.contrib.status = loads

"""What Scapy loads as ``scapy.contrib.opend``.

It only names what is defined elsewhere: code in this file would exist twice, here and in Scapy's namespace.
"""

from decoder.scapy.layer import OpenD
from decoder.scapy.session import OpenDSession

__all__ = ["OpenD", "OpenDSession"]
