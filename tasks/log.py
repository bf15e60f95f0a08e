"""The logger of the tasks: a child of Luigi's, so that Luigi's logging configuration holds for it."""

import logging

logger = logging.getLogger("luigi-interface.daystone")
