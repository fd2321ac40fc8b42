# SPDX-License-Identifier: Apache-2.0
"""Versions are bumped in the signal, before the transaction is committed: what ETagVersionSettle is for."""
from .settings import *  # noqa: F401,F403

LAB_BUMP_ON_COMMIT = False
