"""What the tour says of networks holds: receptive fields grow as computed by hand, and kernels come from the runs."""

from pathlib import Path

import pytest
import torch

from cnnlab.tour.fields import cascade, field_growth, measured_fields
from cnnlab.tour.learned import ARMS, first_layers, train_arm, train_arms


def test_fields_grow_as_the_sum_over_layers_says() -> None:
    plain, pooled = field_growth(depth=10).values()
    assert [field.size for field in plain] == [(3 + 2 * n, 3 + 2 * n) for n in range(10)]
    size, step, expected = 1, 1, []
    for number in range(10):
        size += 2 * step
        expected.append(size)
        if number % 2:  # a pool of 2
            size += step
            step *= 2
    assert [field.size[0] for field in pooled] == expected


def test_a_unit_sees_what_a_gradient_says() -> None:
    network = cascade(3)
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    with torch.no_grad():
        for layer in network[::2]:
            layer.weight.abs_()  # no ways cancel
            layer.bias.zero_()
    network(image)[0, :, 16, 16].sum().backward()
    seen = image.grad[0].abs().sum(0).nonzero()
    field = field_growth(depth=3)["convolutions alone"][-1].box(16, 16)
    assert (*seen.amin(0).tolist(), *seen.amax(0).tolist()) == tuple(field)


def test_the_middle_counts_most_and_the_more_so_the_deeper() -> None:
    found = measured_fields()
    shares = [field.fraction[95] for field in found]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < 0.5
    for field in found[1:]:
        box = field.theoretical.box(*field.unit)
        heat = field.heat_HW[box.top : box.bottom + 1, box.left : box.right + 1]
        rim = torch.cat([heat[0], heat[-1], heat[:, 0], heat[:, -1]]).mean()
        assert heat[heat.shape[0] // 2, heat.shape[1] // 2] > 3 * rim
        assert float(heat.sum()) == pytest.approx(float(field.heat_HW.sum())), "nothing lies outside of the box"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return train_arms(tmp_path_factory.mktemp("tour") / "runs", epochs=2)


def test_fixed_kernels_stay_and_learned_ones_move(runs: list[Path]) -> None:
    fixed, started, random = first_layers(runs)
    assert [layer.name.partition(",")[0] for layer in (fixed, started, random)] == list(ARMS)
    torch.testing.assert_close(fixed.start, fixed.end, rtol=0, atol=0)
    torch.testing.assert_close(fixed.start, started.start)
    assert not torch.equal(started.start, started.end)
    assert not torch.allclose(random.start, started.start, atol=0.1)
    assert min(fixed.alike) == pytest.approx(1)
    assert 0.5 < min(started.alike) < 1
    assert fixed.named == len(fixed.end) == 8
    assert random.named < 8
    assert all(layer.accuracy > 0.5 for layer in (fixed, started, random))


def test_a_completed_training_is_taken_as_it_is_and_another_folder_is_refused(runs: list[Path], tmp_path: Path) -> None:
    kept = {path: path.stat().st_mtime_ns for path in runs[0].rglob("*")}
    assert train_arms(runs[0].parent, epochs=5) == runs
    assert {path: path.stat().st_mtime_ns for path in runs[0].rglob("*")} == kept
    (tmp_path / "edge_fixed").mkdir()
    with pytest.raises(ValueError, match="is there already and is not a completed run"):
        train_arm(tmp_path / "edge_fixed", "edge_fixed", 1, 0)


def test_a_run_without_kernels_is_refused(runs: list[Path], tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text('{"model": {}}')
    with pytest.raises(ValueError, match="keeps no kernels of its first layer"):
        first_layers([tmp_path])
