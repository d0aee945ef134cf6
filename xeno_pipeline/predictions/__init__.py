"""Which customers will order again, how often, and for how much: models fitted per tenant, and their backtests.

Only `fit` and what it imports needs numpy and scipy: it is imported where a model is fitted, so that no other process
starts more slowly.
"""

import os

# OpenBLAS looks at this when scipy is imported. For small matrices, threads take longer to start than to work: ten
# times the CPU time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
