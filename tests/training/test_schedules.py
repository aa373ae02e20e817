import pytest
import torch

from cnnlab.training.schedules import Constant, Cosine, OneCycle


def rates(schedule, steps: int, lr: float = 0.4) -> list[float]:
    """The learning rate of every step, of two groups that must agree."""
    optimizer = torch.optim.SGD([{"params": [torch.zeros(1)]}, {"params": [torch.zeros(1)]}], lr=lr)
    scheduler = schedule(optimizer, steps)
    used = []
    for _ in range(steps):
        assert len({group["lr"] for group in optimizer.param_groups}) == 1
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return used


@pytest.mark.parametrize("steps", [4, 10, 1000])
def test_one_cycle_rises_to_lr_and_falls_to_its_end(steps: int) -> None:
    used = rates(OneCycle(warmup=0.25, start_divisor=10, end_divisor=1000, cycle_momentum=False), steps)
    top = used.index(max(used))
    assert used[0] == pytest.approx(0.04)
    assert used[-1] == pytest.approx(0.0004)
    assert used[: top + 1] == sorted(used[: top + 1])
    assert used[top:] == sorted(used[top:], reverse=True)
    if steps == 1000:
        assert max(used) == pytest.approx(0.4, rel=1e-3)
        assert top == pytest.approx(250, abs=2)


def test_cosine_halves_in_the_middle_and_ends_at_its_floor() -> None:
    used = rates(Cosine(warmup=0.0, floor=0.1), 1000)
    assert used[0] == pytest.approx(0.4)
    assert used[500] == pytest.approx((0.4 + 0.04) / 2)
    assert used[-1] == pytest.approx(0.04, rel=1e-3)


def test_cosine_warms_up_linearly() -> None:
    used = rates(Cosine(warmup=0.1, floor=0.0), 100)
    steps = torch.tensor(used[:11]).diff()
    torch.testing.assert_close(steps, torch.full_like(steps, steps[0].item()))
    assert max(used) == used[10] == pytest.approx(0.4)


def test_constant_is_constant() -> None:
    assert rates(Constant(), 7) == [0.4] * 7


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("schedule", [OneCycle(0.25, 10, 1000, False), Cosine(0.05, 0.0), Constant()])
def test_a_run_may_be_a_few_steps_long(schedule, steps: int) -> None:
    assert all(0 <= rate <= 0.4 for rate in rates(schedule, steps))


@pytest.mark.parametrize("warmup", [-0.1, 1.0, 2])
def test_a_warmup_longer_than_the_run_is_refused(warmup: float) -> None:
    with pytest.raises(ValueError, match=r"schedule\.warmup"):
        OneCycle(warmup, 10, 1000, False)
    with pytest.raises(ValueError, match=r"schedule\.warmup"):
        Cosine(warmup, 0)
