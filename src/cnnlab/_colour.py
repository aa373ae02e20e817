"""Colours that several rooms draw with, and the weights of the channels in grey."""

# ITU-R BT.601-7, section 2.5.1: the luma of R, G, B, as OpenCV's and Pillow's grey. Sums to 1: grey keeps its value.
LUMA = (0.299, 0.587, 0.114)
# Zero is the white middle of the colour map in every picture: sign is what a derivative kernel is about.
DIVERGING = "RdBu_r"
# Okabe & Ito 2008, "Color Universal Design": told apart by all common kinds of colour vision.
OKABE_ITO = {
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "yellow": "#F0E442",
    "black": "#000000",
}
BLUE, RED, GREY = "#2457b3", "#c9471f", "#596170"  # better, worse, neither: as on the pages
# Ten are matplotlib's; a study of all starts, some of them frozen too, has more.
LINES = (
    *(f"C{number}" for number in range(10)),
    "#7b1e3a", "#35309b", "#f0b429", "#14594a", "#ff5db1", "#66d9a8", "#6b4b00", "#000000",
)  # fmt: skip
