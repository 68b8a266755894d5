import os

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_wine
from sklearn.model_selection import train_test_split

# Tests compute on the processor, wherever they run.
DEVICE = "cpu"


@pytest.fixture(scope="session")
def wine():
    x, y = load_wine(return_X_y=True)
    return train_test_split(x, y, random_state=0, stratify=y)


@pytest.fixture(scope="session")
def digits():
    x, y = load_digits(return_X_y=True)
    return train_test_split(x.astype(np.float32), y, random_state=0, stratify=y)


@pytest.fixture(scope="session")
def program():
    """The program itself, where FFCL_PROGRAM says where it is."""
    path = os.environ.get("FFCL_PROGRAM")
    if not path:
        pytest.skip("FFCL_PROGRAM does not say where the program is")
    return path
