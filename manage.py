#!/usr/bin/env python
"""Everything that needs the database: `python manage.py help`."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "neuronjury.settings.dev")
    execute_from_command_line(sys.argv)
