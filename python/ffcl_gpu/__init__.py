"""Local learning without backpropagation, on GPUs or the processor.

`FFCLClassifier` is an estimator of scikit-learn; `Trainer` is for loops of one's own.
"""

from ._ffcl import __version__
from ._options import options
from .classifier import FFCLClassifier
from .trainer import Trainer

__all__ = ["FFCLClassifier", "Trainer", "__version__", "options"]
