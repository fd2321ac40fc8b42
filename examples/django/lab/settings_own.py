# SPDX-License-Identifier: Apache-2.0
"""The application answers conditional requests itself, with the faults that lab/own_etags.py tells of."""
from .settings import *  # noqa: F401,F403

LAB_OWN_ETAGS = True
LAB_BUMP_ON_COMMIT = False
LAB_VERSION_TIMEOUT = 300
