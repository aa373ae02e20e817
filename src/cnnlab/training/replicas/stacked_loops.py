"""Loops over activations on a CPU, compiled by numba. They wait for memory, so they go through it as rarely as can be.

M place (of all images), N channel, B batch, P place of one image, O response.
"""

from numpy import ndarray as Array

from cnnlab._compiled import compiled


@compiled
def measure(value_MN: Array, mean_N: Array, variance_N: Array) -> None:
    """Into two arrays of zeros, float64. Twice over the values: sums of squares alone would cancel."""
    count, channels = value_MN.shape
    for m in range(count):
        for n in range(channels):
            mean_N[n] += value_MN[m, n]
    for n in range(channels):
        mean_N[n] /= count
    for m in range(count):
        for n in range(channels):
            variance_N[n] += (value_MN[m, n] - mean_N[n]) ** 2
    for n in range(channels):
        variance_N[n] /= count


@compiled
def scale(value_MN: Array, gain_N: Array, offset_N: Array, scaled_MN: Array) -> None:
    count, channels = value_MN.shape
    for m in range(count):
        for n in range(channels):
            scaled_MN[m, n] = value_MN[m, n] * gain_N[n] + offset_N[n]


@compiled
def scale_rectified(value_MN: Array, gain_N: Array, offset_N: Array, scaled_MN: Array) -> None:
    """The positive part of `scale`. What is no number stays so, and is seen."""
    count, channels = value_MN.shape
    for m in range(count):
        for n in range(channels):
            scaled = value_MN[m, n] * gain_N[n] + offset_N[n]
            scaled_MN[m, n] = 0 if scaled < 0 else scaled


@compiled
def measure_gradient(gradient_MN: Array, value_MN: Array, mean_N: Array, sum_N: Array, product_N: Array) -> None:
    """Into two arrays of zeros, float64: the sum of the gradient, and of its product with the centred value."""
    count, channels = gradient_MN.shape
    for m in range(count):
        for n in range(channels):
            sum_N[n] += gradient_MN[m, n]
            product_N[n] += gradient_MN[m, n] * (value_MN[m, n] - mean_N[n])


@compiled
def measure_gradient_rectified(
    gradient_MN: Array, value_MN: Array, gain_N: Array, offset_N: Array, mean_N: Array, sum_N: Array, product_N: Array
) -> None:
    """The same of the gradient where `scale` is positive, 0 elsewhere."""
    count, channels = gradient_MN.shape
    for m in range(count):
        for n in range(channels):
            passes = value_MN[m, n] * gain_N[n] + offset_N[n] > 0
            gradient = gradient_MN[m, n] if passes else 0
            sum_N[n] += gradient
            product_N[n] += gradient * (value_MN[m, n] - mean_N[n])


@compiled
def combine(
    gradient_MN: Array, value_MN: Array, gain_N: Array, slope_N: Array, constant_N: Array, own_MN: Array
) -> None:
    count, channels = gradient_MN.shape
    for m in range(count):
        for n in range(channels):
            own_MN[m, n] = gradient_MN[m, n] * gain_N[n] + (value_MN[m, n] * slope_N[n] + constant_N[n])


@compiled
def combine_rectified(
    gradient_MN: Array, value_MN: Array, gain_N: Array, offset_N: Array, slope_N: Array, constant_N: Array,
    own_MN: Array,
) -> None:  # fmt: skip
    """The same with the gradient where `scale` is positive, 0 elsewhere."""
    count, channels = gradient_MN.shape
    for m in range(count):
        for n in range(channels):
            scaled = value_MN[m, n] * gain_N[n]
            passes = scaled + offset_N[n] > 0
            gradient = gradient_MN[m, n] if passes else 0
            own_MN[m, n] = gradient * gain_N[n] + (value_MN[m, n] * slope_N[n] + constant_N[n])


@compiled
def part_signs(response_RBOP: Array, part_BPR2O: Array) -> None:
    """Positive parts max(r, 0), then negative ones max(-r, 0). What is no number stays so in both."""
    replicas, batch, responses, places = response_RBOP.shape
    for b in range(batch):
        for p in range(places):
            for r in range(replicas):
                for o in range(responses):
                    value = response_RBOP[r, b, o, p]
                    positive = 0 if value < 0 else value
                    part_BPR2O[b, p, r, 0, o] = positive
                    part_BPR2O[b, p, r, 1, o] = positive - value


@compiled
def join_signs(gradient_BPR2O: Array, response_RBOP: Array, own_RBOP: Array) -> None:
    """From the gradient of the parts to that of the responses."""
    replicas, batch, responses, places = response_RBOP.shape
    for b in range(batch):
        for p in range(places):
            for r in range(replicas):
                for o in range(responses):
                    # both are read first: a branch on random signs would be guessed wrong half of the time
                    up, down = gradient_BPR2O[b, p, r, 0, o], gradient_BPR2O[b, p, r, 1, o]
                    own_RBOP[r, b, o, p] = up if response_RBOP[r, b, o, p] > 0 else -down
