"""`xeno doctor`: diagnoses an installation and says how to fix it, without changing anything."""
