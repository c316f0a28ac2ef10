"""Settings of the metric core's tests."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Small tensors on many threads wait for each other, above all beside other test workers."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
