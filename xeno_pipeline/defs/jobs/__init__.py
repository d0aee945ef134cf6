"""The jobs, one module each, with their ops. `extraction` is what several share; `names` has the names of all."""
