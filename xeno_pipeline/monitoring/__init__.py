"""Monitoring: checks, the alerts raised from them, and `xeno doctor`."""
