"""Analysing a module leaves it, and all generators of random numbers, as they were."""

import copy
import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cnnlab.receptive import effective_field, random_inputs, receptive_fields


class Busy(nn.Module):
    """Does in its forward pass what real networks do to themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.utils.spectral_norm(nn.Conv2d(3, 4, 3, padding=1))
        self.norm = nn.BatchNorm2d(4)
        self.bounded = nn.Conv2d(4, 4, 1)
        self.scaled = nn.Conv2d(4, 4, 1)
        self.register_buffer("seen", torch.zeros(()))
        self.calls, self.last = 0, None

    def forward(self, image: Tensor) -> Tensor:
        self.calls += 1
        self.seen += 1
        self.bounded.weight.data = torch.renorm(self.bounded.weight.data, 2, 0, 0.1)
        with torch.no_grad():
            self.scaled.weight[0].mul_(0.5)
        image = nn.functional.dropout(self.norm(self.conv(image)), 0.5, self.training)
        noise = random.random() + np.random.rand() + torch.rand(())
        self.last = self.scaled(self.bounded(image)) * noise
        return self.last


def analyse(module: nn.Module) -> None:
    receptive_fields(module, (2, 3, 8, 10))


def measure(module: nn.Module) -> None:
    effective_field(module, "bounded", random_inputs((3, 8, 10), 4))


def fail(module: nn.Module) -> None:
    with pytest.raises(ValueError, match="wants 3 channels"):
        receptive_fields(module, (2, 5, 8, 10))


@pytest.mark.parametrize("what", [analyse, measure, fail])
@pytest.mark.parametrize("training", [True, False])
def test_nothing_is_left_behind(what: Callable[[nn.Module], None], training: bool) -> None:
    torch.manual_seed(0)
    module = Busy().train(training)
    module.bounded.weight.requires_grad_(False)
    pending = module.scaled(torch.rand(1, 4, 2, 2)).square().sum()  # a graph that holds the weights
    hook = module.norm.register_forward_hook(lambda *_: None)
    module.norm.weight.grad = torch.ones(4)
    state, attributes = (
        copy.deepcopy(module.state_dict()),
        {name: dict(part.__dict__) for name, part in module.named_modules()},
    )
    versions = {name: value._version for name, value in module.state_dict(keep_vars=True).items()}
    identities = {name: id(value) for name, value in module.state_dict(keep_vars=True).items()}
    generators = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()

    what(module)

    after = module.state_dict(keep_vars=True)
    assert {name: id(value) for name, value in after.items()} == identities
    assert {name: value._version for name, value in after.items()} == versions
    for name, value in after.items():
        assert torch.equal(value, state[name]), name
    for name, part in module.named_modules():
        assert part.__dict__.keys() == attributes[name].keys()
        assert all(part.__dict__[key] is value for key, value in attributes[name].items()), name
    assert (module.calls, module.last, module.training) == (0, None, training)
    assert list(module.norm._forward_hooks) == [hook.id]
    assert torch.equal(module.norm.weight.grad, torch.ones(4))
    assert module.scaled.weight.grad is None
    assert torch.equal(generators[0], torch.get_rng_state())
    assert generators[1:] == (random.getstate(), np.random.get_state()[1].tolist())
    pending.backward()  # fails if the version of a weight had moved


def test_no_global_hook_stays() -> None:
    from torch.nn.modules import module as hooks

    before = len(hooks._global_forward_hooks), len(hooks._global_forward_pre_hooks)
    for what in (analyse, measure, fail):
        what(Busy())
    assert (len(hooks._global_forward_hooks), len(hooks._global_forward_pre_hooks)) == before


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_dtype(dtype: torch.dtype) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    assert receptive_fields(network.to(dtype), (3, 9, 9)) == receptive_fields(network.float(), (3, 9, 9))


def test_a_module_without_memory_can_be_analysed() -> None:
    with torch.device("meta"):
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    assert receptive_fields(network, (3, 9, 9))["1"].size == (3, 3)


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")
def test_a_module_made_in_inference_mode_can_be_analysed_and_a_lazy_one_is_an_error() -> None:
    with torch.inference_mode():
        assert receptive_fields(nn.Conv2d(3, 4, 5), (3, 9, 9))[""].size == (5, 5)
    with pytest.raises(ValueError, match="run the network once"):
        receptive_fields(nn.LazyConv2d(4, 3), (3, 9, 9))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_fields_and_the_generators_are_the_same() -> None:
    module = Busy()
    expected = receptive_fields(module, (2, 3, 8, 10))
    state = torch.cuda.get_rng_state()
    assert receptive_fields(module.cuda(), (2, 3, 8, 10)) == expected
    measure(module)
    assert torch.equal(state, torch.cuda.get_rng_state())


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning")
def test_forms_that_torch_itself_transforms_can_be_analysed() -> None:
    """Weight parametrisations, scripted and traced modules."""
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    expected = receptive_fields(plain, (3, 9, 9))[""]
    scripted, traced = torch.jit.script(plain), torch.jit.trace(plain, torch.zeros(1, 3, 9, 9))
    normed = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), nn.ReLU())
    assert [receptive_fields(form, (3, 9, 9))[""] for form in (scripted, traced, normed)] == [expected] * 3


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning")
def test_the_statistics_of_a_scripted_module_stay() -> None:
    scripted = torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train())
    state = copy.deepcopy(scripted.state_dict())
    assert receptive_fields(scripted, (3, 9, 9))[""].unbounded == "batch statistics in the network itself"
    effective_field(scripted, "", random_inputs((3, 9, 9), 4))
    assert all(torch.equal(value, state[name]) for name, value in scripted.state_dict().items())
