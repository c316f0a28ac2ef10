import re

import numpy as np
import pytest

from estimation.checks import EstimationError, standardized


@pytest.mark.parametrize("power", [-1000, -40, 0, 60, 1000])
def test_the_scale_of_activations_changes_no_bit(power):
    values = np.random.default_rng(0).normal(3.0, 1.0, 50)
    known = (values - values.mean()) / values.std()
    np.testing.assert_allclose(standardized(values), known, rtol=1e-12)
    np.testing.assert_array_equal(standardized(np.ldexp(values, power)), standardized(values))


@pytest.mark.parametrize("value", [0.0, 0.1, -1e300, 1e-300])
def test_a_constant_neuron_is_named(value):
    with pytest.raises(EstimationError, match=re.escape(f"all 30 inputs (value {value:g})")):
        standardized(np.full(30, value))


def test_one_odd_input_is_no_constant_neuron():
    values = np.full(1000, 1e-15)
    values[3] = 2e-15
    assert standardized(values)[3] == pytest.approx(np.sqrt(999))
