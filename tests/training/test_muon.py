import pytest
import torch
from torch import nn

from cnnlab.training.muon import Muon

pytestmark = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
SETTINGS = {"lr": 0.02, "momentum": 0.95, "weight_decay": 0.01, "adamw_lr": 0.005}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 36, 5))


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, seeds: range) -> None:
    for seed in seeds:
        image = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        optimizer.zero_grad()
        model(image).square().mean().backward()
        optimizer.step()


def test_a_kernel_steps_as_torch_steps_its_matrix() -> None:
    kernel = nn.Parameter(torch.randn(6, 2, 3, 3))
    matrix = nn.Parameter(kernel.detach().reshape(6, 18).clone())
    ours = Muon([kernel], **SETTINGS)
    theirs = torch.optim.Muon([matrix], lr=0.02, momentum=0.95, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        gradient = torch.randn(6, 2, 3, 3)
        kernel.grad, matrix.grad = gradient, gradient.reshape(6, 18)
        ours.step()
        theirs.step()
    torch.testing.assert_close(kernel.reshape(6, 18), matrix)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_every_parameter_moves_in_any_memory_layout(layout: torch.memory_format) -> None:
    model = network().to(memory_format=layout)
    before = [p.detach().clone() for p in model.parameters()]
    # The bias before a batch norm has no gradient to speak of; AdamW moves it all the same.
    steps(model, Muon(model.parameters(), **SETTINGS), range(2))
    assert all(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def test_a_resumed_optimizer_goes_on_exactly() -> None:
    whole, stopped = network(), network()
    first, second = Muon(whole.parameters(), **SETTINGS), Muon(stopped.parameters(), **SETTINGS)
    steps(whole, first, range(4))
    steps(stopped, second, range(2))
    resumed = network()
    resumed.load_state_dict(stopped.state_dict())
    third = Muon(resumed.parameters(), **SETTINGS)
    third.load_state_dict(second.state_dict())
    steps(resumed, third, range(2, 4))
    for expected, found in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(expected, found)


def test_a_schedule_reaches_both_parts() -> None:
    optimizer = Muon(network().parameters(), **SETTINGS)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=0.0, total_iters=10)
    model = network()
    optimizer = Muon(model.parameters(), **SETTINGS)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=0.0, total_iters=10)
    before = [p.detach().clone() for p in model.parameters()]
    steps(model, optimizer, range(2))
    assert schedule.get_last_lr() == [0.0] * len(optimizer.param_groups)
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
