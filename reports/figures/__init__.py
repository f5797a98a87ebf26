"""The figures of a report, and their one style."""

import logging

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # that its cache cannot be written is nobody's concern
