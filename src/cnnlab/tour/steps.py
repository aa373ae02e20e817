"""The tour, step by step: words, the functions that compute, and the lines that draw."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cnnlab.tour import derivatives as tour_derivatives
from cnnlab.tour import linear as tour_linear
from cnnlab.tour import networks as tour_networks
from cnnlab.tour import patterns as tour_patterns


@dataclass(frozen=True)
class Part:
    """A figure: the functions that are shown, and the lines that call them and leave it in `figure`.

    `stem` names the picture's file. The lines know `photo_CHW`, `runs`, and what earlier parts left.
    """

    stem: str
    shown: tuple[Callable[..., Any], ...]
    lines: str


@dataclass(frozen=True)
class Step:
    """`words` are paragraphs in plain words; they hold for any photograph, so the numbers are in the figures."""

    key: str
    title: str
    words: tuple[str, ...]
    parts: tuple[Part, ...]


STEPS = (
    Step(
        "matrices",
        "A convolution is a matrix with few weights",
        (
            "A dense layer joins every neuron to every pixel, and each joint has a weight of its own. Written as a "
            "matrix, it is full: a row for each neuron, a column for each pixel.",
            "A convolution is a matrix too. But a neuron is joined to its neighbourhood only, and all neurons have the "
            "same weights. So the matrix is almost empty, and the same few numbers repeat along its diagonals (a "
            "Toeplitz matrix). What a neuron is joined to is its receptive field.",
        ),
        (
            Part(
                "1_matrices",
                (tour_linear.two_matrices,),
                "figure = matrices_figure(*two_matrices(), photo_CHW.shape[1:])",
            ),
        ),
    ),
    Step(
        "slide",
        "The kernel slides",
        (
            "A grey image is an array of numbers. The kernel is a small array of weights. Lay it on a place of the "
            "image, multiply each pixel by the weight on it, and add up the products: that is a dot product, and it is "
            "the answer at this place. Slide it over all places, and the answers are an image again, the response map.",
            "A colour image is three arrays, red, green and blue. The kernel then has a slice for each, and the answer "
            "is the sum over the three slices.",
        ),
        (
            Part("2_slide", (tour_linear.slide,), "figure = sliding_figure(photo_CHW, *slide(photo_CHW))"),
            Part(
                "2_slide_in_colour",
                (tour_linear.slide_in_colour,),
                "figure = colour_figure(photo_CHW, *slide_in_colour(photo_CHW))",
            ),
        ),
    ),
    Step(
        "derivatives",
        "An edge is a fast change, and a derivative measures it",
        (
            "A row of the image is a function: intensity over x. Where it changes fast there is an edge, and how fast "
            "a function changes is its derivative.",
            "On a grid a derivative is a difference. The central difference, (f(x + h) - f(x - h)) / 2h, is the filter "
            "[-1 0 1] / 2h. Taylor's formula says that it differs from the derivative by a multiple of h²: halve h, "
            "and the error is a quarter. The five-point difference gains h⁴. Both can be measured on a function whose "
            "derivative is known, until h is so small that the rounding of the computer's numbers is larger than the "
            "error of the formula.",
        ),
        (
            Part("3_row", (tour_derivatives.a_row,), "figure = row_figure(photo_CHW, *a_row(photo_CHW))"),
            Part("3_accuracy", (tour_derivatives.accuracy,), "figure = accuracy_figure([accuracy(2), accuracy(4)])"),
        ),
    ),
    Step(
        "contours",
        "Along x and along y",
        (
            "The same difference taken along x finds vertical contours, and along y horizontal ones. Prewitt's kernels "
            "add three rows, or columns, which makes the answer less noisy.",
            "Both answers together are a vector at each pixel, the gradient. Its length says how strong the contour "
            "is, and its direction which way the intensity grows.",
        ),
        (
            Part(
                "4_contours", (tour_derivatives.contours,), "figure = contours_figure(photo_CHW, *contours(photo_CHW))"
            ),
        ),
    ),
    Step(
        "rows",
        "What kernels can do, and why one after the other needs a ReLU",
        (
            "A kernel with a single 1 in its middle leaves the image as it is. Move the 1, and the image moves. Every "
            "kernel is a sum of such moved ones, each with its weight: a blur adds up many moved copies, a sharpening "
            "takes the neighbours away.",
            "Two kernels one after the other are a kernel again, a larger one. So a network of convolutions alone, "
            "however deep, is one convolution. Put a ReLU between them (negative answers become 0), and no single "
            "kernel does the same any more.",
        ),
        (
            Part("5_moved", (tour_linear.moved,), "figure = moved_figure(photo_CHW, moved(photo_CHW))"),
            Part("5_in_a_row", (tour_linear.in_a_row,), "figure = in_a_row_figure(in_a_row(photo_CHW))"),
        ),
    ),
    Step(
        "patterns",
        "A kernel is a pattern",
        (
            "A dot product is large where the image looks like the kernel. So take a patch of the image as the kernel, "
            "and look for it. But a dot product also grows with contrast: in a shadow the patch itself may answer less "
            "than something else in the light. Dividing by the contrast of each window mends that; the answer is then "
            "the cosine between window and patch, and this is no linear filter any more.",
            "One rigid pattern is still weak. Turn the image a little, and it no longer fits. Cut it into parts, let "
            "each lie a little off its place (take the largest answer near by), and add up what they answer: small "
            "patterns, combined, bear more. A convolutional network does so layer after layer.",
        ),
        (
            Part(
                "6_matching",
                (tour_patterns.correlation, tour_patterns.normalised, tour_patterns.match),
                "found = match(photo_CHW)\nfigure = matching_figure(found)",
            ),
            Part(
                "6_parts",
                (tour_patterns.parts_together, tour_patterns.turned),
                "figure = turned_figure(found, {degrees: turned(found, degrees) for degrees in range(0, 49, 6)})",
            ),
        ),
    ),
    Step(
        "corners",
        "Two layers find corners",
        (
            "A corner is where contours of two directions meet. The first layer takes derivatives along four "
            "directions and, by a ReLU, keeps rises and falls apart. The second layer gathers them near by and "
            "compares: along a straight contour a derivative only rises or only falls, but around a corner there is a "
            "direction along which it does both. The ReLU of the second layer computes the smaller of rise and fall.",
            "No single linear filter can do this. Whatever it answers to a bright corner on grey, it answers the "
            "opposite, as seen from its answer to even grey, to the dark corner in the same place. Where all shapes "
            "are equally bright a single filter gets far, as it may look for bright spots.",
        ),
        (Part("7_corners", (tour_patterns.corners,), "figure = corners_figure(*compared(corners))"),),
    ),
    Step(
        "fields",
        "Deeper units see more",
        (
            "A unit of the second layer looks at a neighbourhood of first-layer units, each of which looks at a "
            "neighbourhood of pixels. So what a unit can see, its receptive field, grows with depth: by two pixels for "
            "each 3 by 3 convolution, and much faster with pools or strides between them, which move the units apart.",
            "What a unit can see is not what it listens to. There are many ways from the middle of its field to the "
            "unit and few from the rim, so the middle counts most. This effective field can be measured, by gradients.",
        ),
        (
            Part(
                "8_fields",
                (tour_networks.cascade, tour_networks.field_growth, tour_networks.measured_fields),
                "figure = growth_figure(photo_CHW, field_growth(), measured_fields())",
            ),
        ),
    ),
    Step(
        "learned",
        "From fixed kernels to learned ones",
        (
            "So far people chose the kernels. A network can learn them. To compare, take networks that differ in "
            "nothing but their first layer: derivative kernels that stay as they are (edge_fixed), the same kernels "
            "as a start that may change (edge_init), and random kernels that may change (random_init).",
            "Kernels of 3 by 3 are so small that random ones resemble something by chance. So a likeness is counted "
            "only where it is larger than 95 % of random kernels reach.",
        ),
        (Part("9_learned", (tour_networks.first_layers,), "figure = learned_figure(first_layers(runs))"),),
    ),
)
