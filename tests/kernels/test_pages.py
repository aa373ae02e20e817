"""Pictures of kernels: zero is the middle, nothing overlaps, text can be read, every kernel is drawn."""

import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from cnnlab.draw.kernel_pages import called, kernel_pages, kernel_titles, spectrum_pages, what_they_do
from cnnlab.filters import bank
from cnnlab.filters.analysis.drift import drift
from cnnlab.filters.analysis.identify import identify
from cnnlab.filters.analysis.properties import properties
from cnnlab.filters.analysis.spectrum import spectrum
from cnnlab.kernels.drift import drift_figure
from cnnlab.kernels.responses import maximised_images, response_maps, top_patches
from cnnlab.kernels.tuning import FAMILY_COLOURS, match_pages, orientation_frequency
from cnnlab.receptive.maximise import Maximised
from cnnlab.receptive.stimuli import Patch

LEAST_POINTS = 7


def random_kernels(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mixed_kernels() -> torch.Tensor:
    planted = bank("sobel(orientations=4) + laplacian + kirsch").kernels
    return torch.cat([planted, 0.2 * random_kernels(8, 1, 3, 3), torch.zeros(1, 1, 3, 3)])


def drawn_texts(figure: Figure) -> list[tuple[str, Bbox, float]]:
    """What stands on the figure: the text, its box in pixels, its size in points."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    found = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
    unseen = {text for axes in figure.axes for text in unseen_labels(axes)}
    return [(t.get_text(), t.get_window_extent(renderer), t.get_fontsize()) for t in found if t not in unseen]


def unseen_labels(axes: Axes) -> list[Text]:
    """Tick labels that exist and are not drawn: beyond the limits, or of axes that are switched off."""
    labels = []
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        margin = 1e-6 * (high - low)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not axes.axison or not low - margin <= tick.get_loc() <= high + margin:
                labels += [tick.label1, tick.label2]
    return labels


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    boxes = drawn_texts(figure)
    pairs = ((one, other) for index, one in enumerate(boxes) for other in boxes[index + 1 :])
    return [
        (one[0], other[0])
        for one, other in pairs
        if min(one[1].x1, other[1].x1) - max(one[1].x0, other[1].x0) > 1
        and min(one[1].y1, other[1].y1) - max(one[1].y0, other[1].y0) > 1
    ]


def outside(figure: Figure) -> list[str]:
    width, height = figure.bbox.width, figure.bbox.height
    boxes = [(text, box) for text, box, _ in drawn_texts(figure)]
    return [name for name, box in boxes if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1]


def gallery() -> dict[str, list[Figure]]:
    grey, colour = mixed_kernels(), random_kernels(40, 3, 7, 7)
    matches, rows = identify(grey), properties(grey)
    order = what_they_do(rows, matches)
    patch = Patch(1.5, 0, 3, (2, 2), (0, 0, 5, 5), torch.rand(3, 5, 5))
    found = Maximised(random_kernels(3, 12, 12), 2.25, (1.0, 2.25))
    snapshots = {epoch: grey[:4] + 0.1 * epoch * random_kernels(4, 1, 3, 3, seed=epoch) for epoch in range(4)}
    return {
        "grey": kernel_pages(grey, kernel_titles(matches), order, "first layer"),
        "colour": kernel_pages(colour, heading="first layer"),
        "deep": kernel_pages(random_kernels(5, 8, 3, 5)),
        "spectra": spectrum_pages(spectrum(grey), kernel_titles(matches), order, "first layer"),
        "tuning": [orientation_frequency(rows, "first layer")],
        "matches": match_pages(matches, order, per_page=12),
        "drift": [drift_figure(drift(snapshots), "first layer")],
        "answers": [response_maps(torch.rand(3, 20, 30), random_kernels(9, 20, 30), heading="first layer")],
        "patches": [top_patches([[patch] * 4, [patch] * 2], heading="first layer")],
        "maximised": [maximised_images([found] * 3, heading="first layer")],
    }


@pytest.fixture(scope="module")
def pictures() -> dict[str, list[Figure]]:
    return gallery()


NAMES = (
    "grey",
    "colour",
    "deep",
    "spectra",
    "tuning",
    "matches",
    "drift",
    "answers",
    "patches",
    "maximised",
)
# Spectra are magnitudes, patches are intensities: these have no sign.
SIGNED = ("grey", "colour", "deep", "answers", "maximised")


@pytest.mark.parametrize("name", SIGNED)
def test_zero_is_the_middle_of_every_scale_and_there_is_one_with_a_colour_bar(pictures, name: str) -> None:
    limits = set()
    for figure in pictures[name]:
        numbers = [image for axis in figure.axes for image in axis.images if image.get_array().ndim == 2]
        assert all(image.norm.vmin == -image.norm.vmax for image in numbers)
        limits |= {image.norm.vmax for image in numbers}
        low, high = figure.axes[-1].get_ylim()
        assert low == -high
        assert figure.axes[-1].get_ylabel()
    assert len(limits) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_all_text_can_be_read_lies_on_the_page_and_apart(pictures, name: str) -> None:
    for figure in pictures[name]:
        assert min(points for _, _, points in drawn_texts(figure)) >= LEAST_POINTS
        assert outside(figure) == []
        assert overlaps(figure) == []


def test_every_kernel_is_drawn_once_in_the_order_given_on_as_many_pages_as_it_takes() -> None:
    kernels = random_kernels(25, 1, 3, 3)
    order = [*range(24, -1, -1)]
    figures = kernel_pages(kernels, [f"k{index}" for index in range(25)], order, per_page=10)
    assert len(figures) == 3
    assert [len(figure.axes[0].images) for figure in figures] == [10, 10, 5]
    drawn = [text.get_text() for figure in figures for text in figure.axes[0].texts]
    assert drawn == [f"k{index}" for index in order]
    first = figures[0].axes[0].images[0].get_array()
    torch.testing.assert_close(torch.tensor(first), kernels[24, 0])
    assert "page 3 of 3" in figures[2].texts[0].get_text()


def test_kernels_in_colour_have_a_composite_with_mid_grey_for_zero_and_a_tile_a_channel() -> None:
    kernels = random_kernels(2, 3, 5, 5)
    kernels[0, :, 0, 0] = 0
    images = kernel_pages(kernels)[0].axes[0].images
    assert len(images) == 8
    composite = torch.tensor(images[0].get_array())
    assert composite.shape == (5, 5, 3)
    torch.testing.assert_close(composite[0, 0], torch.full((3,), 0.5, dtype=torch.float64))
    for channel in range(3):
        torch.testing.assert_close(torch.tensor(images[1 + channel].get_array()), kernels[0, channel])


def test_one_large_weight_hides_no_kernel_and_the_bar_says_that_it_is_cut() -> None:
    kernels = 0.1 * random_kernels(30, 1, 5, 5).clamp(-3, 3)
    kernels[0, 0, 0, 0] = 50
    figure = kernel_pages(kernels)[0]
    assert figure.axes[0].images[0].norm.vmax < 0.31
    assert kernel_pages(torch.zeros(2, 1, 3, 3))[0].axes[0].images[0].norm.vmax == 1


def test_kernels_are_sorted_by_what_they_do() -> None:
    kernels = mixed_kernels()
    rows, matches = properties(kernels), identify(kernels)
    by_family = [matches[index] for index in what_they_do(rows, matches)]
    assert [match.significant for match in by_family] == sorted((m.significant for m in matches), reverse=True)
    by_angle = [rows[index].orientation for index in what_they_do(rows, matches, "orientation")]
    known = [angle for angle in by_angle if angle is not None]
    assert known == sorted(known)
    assert by_angle[: len(known)] == known
    norms = [rows[index].norm for index in what_they_do(rows, matches, "norm")]
    assert norms == sorted(norms, reverse=True)
    for by in ("family", "orientation", "frequency", "norm", "index"):
        assert sorted(what_they_do(rows, matches, by)) == list(range(len(kernels)))
    with pytest.raises(ValueError, match="family, orientation, frequency, norm, index"):
        what_they_do(rows, matches, "beauty")


def test_a_kernel_no_better_than_chance_gets_no_name_and_a_grey_bar() -> None:
    kernels = mixed_kernels()
    matches = identify(kernels)
    figure = match_pages(matches, per_page=len(matches))[0]
    bars = figure.axes[0].patches[1:]  # the first is the band
    assert len(bars) == len(matches)
    for bar, match in zip(bars, matches, strict=True):
        assert bar.get_width() == pytest.approx(match.cosine)
        grey = len(set(bar.get_facecolor()[:3])) == 1
        assert grey == (not match.significant)
        assert (called(match) in ("not named", "zero")) == (not match.significant)
    assert called(matches[4]) == "laplacian"


def test_every_family_that_can_be_found_has_a_colour() -> None:
    sizes = [random_kernels(300, 1, 3, 3), random_kernels(60, 1, 5, 5), bank("box + identity + sharpen").kernels]
    families = {match.family for kernels in sizes for match in identify(kernels)}
    assert families <= set(FAMILY_COLOURS)


def test_kernels_without_an_orientation_are_counted_and_not_drawn() -> None:
    rows = properties(bank("sobel + identity + box").kernels)
    figure = orientation_frequency(rows)
    (dots,) = figure.axes[0].collections
    torch.testing.assert_close(
        torch.tensor(dots.get_offsets().data), torch.tensor([[0, 0.25], [0.25, 0]]).double(), atol=1e-5, rtol=0
    )
    assert any("2 of 4 kernels" in text.get_text() for text in figure.texts)
    orientation_frequency(properties(bank("identity").kernels))


def test_the_figure_of_change_draws_what_changed_and_says_why_an_angle_is_missing() -> None:
    full = random_kernels(12, 1, 2, 2)
    rows = drift({0: full, 1: full + 0.1, 2: torch.zeros_like(full)}, fraction=1.0)
    figure = drift_figure(rows)
    distance = figure.axes[1].lines[0].get_ydata()
    assert list(distance) == pytest.approx([row.relative_distance for row in rows])
    assert any("cannot turn" in text.get_text() for text in figure.axes[2].texts)


def test_answers_are_drawn_over_their_own_largest_which_the_title_tells() -> None:
    maps = torch.tensor([1.0, -20.0]).view(2, 1, 1) * torch.rand(2, 6, 8)
    figure = response_maps(torch.rand(1, 6, 8), maps, ["a", "b"])
    drawn = [image.get_array() for image in figure.axes[0].images[1:]]
    assert [float(abs(array).max()) for array in drawn] == pytest.approx([1, 1])
    assert figure.axes[0].texts[2].get_text() == f"b\nlargest {float(maps[1].abs().max()):.3g}"
    with pytest.raises(ValueError, match="at least one patch"):
        top_patches([[], []])


def test_a_white_patch_has_a_frame_that_is_seen() -> None:
    white = Patch(1.0, 0, 0, (0, 0), (0, 0, 2, 2), torch.ones(3, 2, 2))
    figure = top_patches([[white, white], [white]])
    shown = [axis for axis in figure.axes if axis.images]
    assert len(shown) == 3
    for axis in shown:
        assert all(spine.get_visible() and spine.get_edgecolor()[:3] == (0.6,) * 3 for spine in axis.spines.values())
        assert not axis.get_xticks().size


def test_long_titles_are_cut_before_they_run_into_the_next_tile() -> None:
    kernels = random_kernels(12, 1, 3, 3)
    figure = kernel_pages(kernels, ["the kernel with a name of more than sixty characters " * 2] * 12)[0]
    assert overlaps(figure) == []
    assert figure.axes[0].texts[0].get_text().endswith("…")
