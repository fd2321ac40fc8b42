#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Django's command line for the example."""
import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lab.settings")
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
