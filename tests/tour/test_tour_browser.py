"""The tour's page in a real browser: what its JavaScript computes is what torch computes."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cnnlab.edges.borders import pad
from cnnlab.tour.html import highlight, part_page, render
from cnnlab.tour.photograph import photograph
from cnnlab.tour.playground import KERNELS, playground
from cnnlab.tour.sheet import Sheet, show_image
from cnnlab.tour.step import Part, Step

PHONE, DESK = 390, 1280
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
ASYMMETRIC = [1.5, -2, 0.25, 3, 0, -0.5, 7, -1, 0.125]
BORDERS = ("reflect", "replicate", "zeros", "circular")


@pytest.fixture(scope="module")
def played() -> dict[str, Any]:
    return playground(photograph()[:, :, 10:250])


@pytest.fixture(scope="module")
def html(played: dict[str, Any]) -> str:
    sheet = Sheet()
    for _ in range(3):
        show_image(sheet.panel(3, 3, "a\nb"), torch.rand(40, 40))
    sheet.caption = f"{EVIL} measured"
    part = part_page(sheet, f"# {EVIL}\nx = '{EVIL}'\n")
    steps = [Step(key, EVIL, (EVIL,), (Part("1_x", (), ""),)) for key in ("one", "slide", "three")]
    return render(steps, {"1_x": part}, played, {"photograph": EVIL, "setup": "photo_CHW = 1\n"})


@pytest.fixture
def page(browser: Any, html: str, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    def show(width: int = DESK, dark: bool = False, touch: bool = False) -> Any:
        path = tmp_path / "index.html"
        path.write_text(html, encoding="utf-8")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": touch})
        browser.get(path.as_uri())
        return browser

    for kind in ("browser", "performance"):
        browser.get_log(kind)
    yield show
    assert browser.get_log("browser") == []
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def choose(browser: Any, selector: str, value: object, event: str = "change", number: int = 0) -> None:
    script = (
        "const one = document.querySelectorAll(arguments[0])[arguments[3]]; one.value = arguments[1];"
        "one.dispatchEvent(new Event(arguments[2], {bubbles: true}))"
    )
    browser.execute_script(script, selector, str(value), event, number)


def write_kernel(browser: Any, weights: list[float]) -> None:
    for number, weight in enumerate(weights):
        choose(browser, ".edit input", weight, "input", number)


def pixels_of(played: dict[str, Any], mode: str) -> torch.Tensor:
    """(1, C, H, W) float64, 0 to 255."""
    height, width = played["size"]
    values = np.frombuffer(base64.b64decode(played[mode]), np.uint8).reshape(height, width, -1)
    return torch.from_numpy(values.copy()).permute(2, 0, 1)[None].double()


def expected(played: dict[str, Any], mode: str, kernel_1Chw: torch.Tensor, border: str) -> np.ndarray:
    padded = pad(pixels_of(played, mode), 1, 1, 1, 1, border)
    return F.conv2d(padded, kernel_1Chw)[0, 0].numpy()


def answered(browser: Any, size: list[int]) -> np.ndarray:
    found = browser.execute_script("return [...document.querySelector('.playground').response]")
    return np.array(found, float).reshape(size)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("kernel", [ASYMMETRIC, [0, 0, 0, 0, 0, 1, 0, 0, 0], [-1, 0, 1, -2, 0, 2, -1, 0, 1]])
def test_a_kernel_written_by_hand_answers_as_conv2d(
    page: Callable, played: dict[str, Any], kernel: list[float], border: str
) -> None:
    browser = page()
    write_kernel(browser, kernel)
    choose(browser, ".border", border)
    weight = torch.tensor(kernel, dtype=torch.float64).view(1, 1, 3, 3)
    np.testing.assert_allclose(answered(browser, played["size"]), expected(played, "grey", weight, border), atol=1e-9)
    assert browser.find_element("css selector", ".chosen").get_attribute("value") == ""


@pytest.mark.parametrize("number", range(len(KERNELS)), ids=list(KERNELS))
def test_each_of_our_kernels_answers_as_conv2d(page: Callable, played: dict[str, Any], number: int) -> None:
    browser = page()
    choose(browser, ".chosen", number)
    weight = torch.tensor(played["kernels"][number]["weights"], dtype=torch.float64).view(1, 1, 3, 3)
    found = answered(browser, played["size"])
    np.testing.assert_allclose(found, expected(played, "grey", weight, "reflect"), atol=1e-9)
    shown = [float(one.get_attribute("value")) for one in browser.find_elements("css selector", ".edit input")]
    np.testing.assert_allclose(shown, weight.flatten().numpy(), atol=5e-5)


@pytest.mark.parametrize("border", ["reflect", "zeros"])
def test_a_colour_picture_has_a_slice_for_each_channel(page: Callable, played: dict[str, Any], border: str) -> None:
    browser = page()
    colour = browser.find_element("css selector", "input[value=colour]")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", colour)
    colour.click()
    write_kernel(browser, ASYMMETRIC)
    choose(browser, ".border", border)
    shares = (1, -0.5, 0.25)
    for number, share in enumerate(shares):
        choose(browser, ".share", share, "input", number)
    slice_hw = torch.tensor(ASYMMETRIC, dtype=torch.float64).view(3, 3)
    weight = torch.stack([share * slice_hw for share in shares])[None]
    found = answered(browser, played["size"])
    np.testing.assert_allclose(found, expected(played, "colour", weight, border), atol=1e-9)
    lines = [one for one in browser.find_elements("css selector", ".product") if one.is_displayed()]
    assert len(lines) == 3


def number(text: str) -> float:
    return float(text.replace("\N{MINUS SIGN}", "-"))


def test_pointer_keys_and_numbers_show_the_same_dot_product(page: Callable, played: dict[str, Any]) -> None:
    from selenium.webdriver import ActionChains, Keys

    browser = page()
    height, width = played["size"]
    write_kernel(browser, ASYMMETRIC)
    picture = browser.find_element("css selector", ".picture")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", picture)
    box = browser.execute_script(
        "const a = arguments[0].querySelector('canvas').getBoundingClientRect(); return [a.width, a.height]", picture
    )
    row, column = 30, 41
    away = [
        round((place + 0.5) * length / count - length / 2)
        for place, length, count in zip((column, row), box, (width, height), strict=True)
    ]
    ActionChains(browser).move_to_element_with_offset(picture, *away).perform()
    read = lambda what: browser.find_element("css selector", what)  # noqa: E731
    assert (read(".row").get_attribute("value"), read(".column").get_attribute("value")) == (str(row), str(column))
    grey = pixels_of(played, "grey")[0, 0]
    window = grey[row - 1 : row + 2, column - 1 : column + 2]
    tiles = [number(one.text) for one in browser.find_elements("css selector", ".product:first-of-type .pixels span")]
    assert tiles == window.flatten().tolist()
    answer = float((window.flatten() * torch.tensor(ASYMMETRIC, dtype=torch.float64)).sum())
    assert number(read(".total").text) == pytest.approx(answer, abs=0.51)
    assert answered(browser, played["size"])[row, column] == pytest.approx(answer)
    picture.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.SHIFT + Keys.ARROW_UP)
    assert (read(".row").get_attribute("value"), read(".column").get_attribute("value")) == ("21", "42")
    choose(browser, ".row", 10**6)
    assert read(".row").get_attribute("value") == str(height - 1)
    assert f"Row {height - 1}, column 42" in read(".said").text


def test_a_finger_moves_the_window(page: Callable, played: dict[str, Any]) -> None:
    browser = page(width=PHONE, touch=True)
    script = (
        "const stage = document.querySelector('.picture');"
        "stage.scrollIntoView({block: 'center', behavior: 'instant'});"
        "const a = stage.querySelector('canvas').getBoundingClientRect(); return [a.left, a.top, a.width, a.height]"
    )
    left, top, wide, high = browser.execute_script(script)
    height, width = played["size"]
    for kind, row, column in (("touchStart", 20, 20), ("touchMove", 60, 90)):
        point = {"x": left + (column + 0.5) * wide / width, "y": top + (row + 0.5) * high / height}
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        found = [browser.find_element("css selector", f".{name}").get_attribute("value") for name in ("row", "column")]
        assert found == [str(row), str(column)]
    browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_the_kernel_slides_by_itself_and_leaves_its_map(page: Callable) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    browser = page()
    drawn = "return document.querySelector('.response canvas').toDataURL()"
    whole = browser.execute_script(drawn)
    button = browser.find_element("css selector", ".slide")
    browser.execute_script("arguments[0].click()", button)
    WebDriverWait(browser, 20).until(lambda _: browser.execute_script(drawn) != whole)
    assert button.get_attribute("aria-pressed") == "true"
    WebDriverWait(browser, 120).until(lambda _: browser.execute_script(drawn) == whole)
    assert button.get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, PHONE, DESK])
def test_nothing_sticks_out_and_a_phone_gets_the_narrow_figure(page: Callable, width: int, dark: bool) -> None:
    browser = page(width=width, dark=dark)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    ratio = browser.execute_script(
        "const i = document.querySelector('.sheet img'); return i.naturalHeight / i.naturalWidth"
    )
    assert (ratio > 1) == (width < 700)
    light = browser.execute_script(
        "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
    )
    assert (sum(light) < 150) == dark


def test_names_are_text_nothing_is_loaded_and_everything_has_a_name(page: Callable) -> None:
    browser = page()
    assert EVIL in browser.find_element("css selector", "h2").text
    assert browser.execute_script("return document.querySelectorAll('script').length") == 2
    assert browser.execute_script("return document.querySelectorAll('img[src=x]').length") == 0
    sent = [entry["message"] for entry in browser.get_log("performance") if "requestWillBeSent" in entry["message"]]
    assert sent
    assert not [message for message in sent if '"url":"http' in message]
    nameless = browser.execute_script(
        "return [...document.querySelectorAll('img:not([alt]), button, select, input, [tabindex]')].filter((one) =>"
        " one.matches('img') || !(one.innerText?.trim() || one.labels?.length || one.getAttribute('aria-label')))"
        ".map((one) => one.outerHTML.slice(0, 90))"
    )
    assert nameless == []


def test_highlighting_changes_no_letter() -> None:
    code = "def f(x: int) -> str:\n    '''<b>&'''\n    return f\"{x!r}<i>\" + 'a'  # 1 < 2 & 3\n"
    marked = str(highlight(code))
    import html as text
    import re

    assert text.unescape(re.sub(r"</?span[^>]*>", "", marked)) == code
    assert "<b>" not in marked
    assert '<span class="k">def</span>' in marked
    assert '<span class="c1"># 1 &lt; 2 &amp; 3</span>' in marked
