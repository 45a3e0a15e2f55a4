"""Called by the control alone."""
