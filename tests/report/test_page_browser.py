"""The page in a real browser: a headless Chromium of the system's, driven by selenium."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cnnlab.nn.rebuilding import rebuild
from cnnlab.receptive import receptive_fields
from cnnlab.report.reported import ReportedRun, collect, render, write_report
from cnnlab.runs.checkpoints import read_checkpoint
from cnnlab.runs.run import Run

SCRIPT = Path(__file__).parents[2] / "scripts" / "train.py"
EVIL = ("<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "<!--<script>")
PHONE, DESK = 390, 1280


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs on digits."""
    home = tmp_path_factory.mktemp("report")
    arguments = ["trainer.max_epochs=2", "trainer=cpu", "model.widths=[8,8]", "figures=false", "hydra.run.dir=run"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], cwd=home, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return home / "run"


Page = tuple[ReportedRun, dict[str, Any]]  # a run, and section -> what it shows


@pytest.fixture(scope="module")
def gathered(folder: Path) -> Page:
    return shown(folder)


def shown(folder: Path) -> Page:
    run = Run.open(folder).reported()
    return run, {key: part for key, (part,) in collect([run], 10**6).items()}


@pytest.fixture
def page(browser: Any, gathered: Page, tmp_path: Path) -> Callable[..., Any]:
    """Open the page of some runs, by default the real one, in a window of some width; a quiet console is checked."""

    def show(*runs: Page, width: int = DESK, dark: bool = False) -> Any:
        path = tmp_path / "report.html"
        pages = list(runs) or [gathered]
        collected = {key: [parts[key] for _, parts in pages] for key in pages[0][1]}
        path.write_text(render([run for run, _ in pages], collected), encoding="utf-8")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        browser.get(path.as_uri())
        return browser

    for kind in ("browser", "performance"):
        browser.get_log(kind)
    return show


@pytest.fixture(autouse=True)
def _quiet_console(browser: Any) -> Iterator[None]:
    yield
    assert browser.get_log("browser") == []


def pictures(browser: Any, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map((canvas) => canvas.toDataURL())"
    return browser.execute_script(script, selector)


def choose(browser: Any, selector: str, value: object, event: str) -> None:
    script = (
        "const one = document.querySelector(arguments[0]); one.value = arguments[1];"
        "one.dispatchEvent(new Event(arguments[2], {bubbles: true}))"
    )
    browser.execute_script(script, selector, str(value), event)


def click_unit(browser: Any, row: int, column: int, grid: tuple[int, int]) -> None:
    from selenium.webdriver import ActionChains

    canvas = browser.find_element("css selector", ".map canvas")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", canvas)
    size = canvas.size
    across = (column + 0.5) * size["width"] / grid[1] - size["width"] / 2
    down = (row + 0.5) * size["height"] / grid[0] - size["height"] / 2
    ActionChains(browser).move_to_element_with_offset(canvas, round(across), round(down)).click().perform()


def drawn_box(browser: Any) -> list[float]:
    box = browser.find_element("css selector", ".sight .box")
    assert box.is_displayed()
    return [float(box.get_attribute(name)) for name in ("x", "y", "width", "height")]


def test_a_click_on_a_unit_draws_the_box_that_the_analysis_gives(page: Callable, folder: Path) -> None:
    browser = page()
    saved = read_checkpoint(folder / "checkpoints" / "best.ckpt")
    network = rebuild(saved["network"]).eval()
    fields = receptive_fields(network, (1, 8, 8))
    options = browser.find_elements("css selector", "select.layer option")
    seen = 0
    for number, option in enumerate(options):
        name = option.text.split(" (")[0]
        field = fields.get(name)
        if field is None or field.unbounded:
            continue
        choose(browser, "select.layer", number, "change")
        for row, column in {(0, 0), (field.grid[0] - 1, 0), (field.grid[0] // 2, field.grid[1] - 1)}:
            click_unit(browser, row, column, field.grid)
            box = field.box(row, column)
            expected = [box.left, box.top, box.right - box.left + 1, box.bottom - box.top + 1]
            assert drawn_box(browser) == expected, f"{name} ({row}, {column})"
            said = browser.find_element("css selector", "p.said").text
            assert said.startswith(f"Unit ({row}, {column}) of {name} sees {expected[3]} × {expected[2]} pixels")  # noqa: RUF001
            seen += 1
    assert seen >= 9


def test_the_glow_changes_with_the_unit_and_can_be_switched_off(page: Callable) -> None:
    browser = page()
    choose(browser, "select.layer", 0, "change")
    glows = set()
    for row, column in ((1, 1), (6, 3)):
        click_unit(browser, row, column, (8, 8))
        glows.add(browser.find_element("css selector", ".sight .heat").get_attribute("href"))
    assert len(glows) == 2
    assert all(glow.startswith("data:image/png") for glow in glows)
    browser.find_element("css selector", "input.glow").click()
    assert not browser.find_element("css selector", ".sight .heat").is_displayed()


def test_arrow_keys_move_the_unit_and_stop_at_the_border(page: Callable) -> None:
    from selenium.webdriver import Keys

    browser = page()
    choose(browser, "select.layer", 0, "change")
    click_unit(browser, 1, 6, (8, 8))
    browser.find_element("css selector", ".map").send_keys(Keys.ARROW_UP * 3 + Keys.ARROW_RIGHT * 3)
    assert browser.find_element("css selector", "p.said").text.startswith("Unit (0, 7) of")
    assert browser.find_element("css selector", "input.row").get_attribute("value") == "0"


def test_an_unbounded_layer_says_why_and_has_no_box(page: Callable) -> None:
    browser = page()
    options = [option.text for option in browser.find_elements("css selector", "select.layer option")]
    number = next(index for index, text in enumerate(options) if "unbounded" in text)
    choose(browser, "select.layer", number, "change")
    assert not browser.find_element("css selector", ".sight .box").is_displayed()
    assert "global pooling" in browser.find_element("css selector", "p.said").text


def test_the_slider_changes_the_kernels_and_at_the_start_they_are_the_initial_ones(page: Callable) -> None:
    from selenium.webdriver import Keys

    browser = page()
    before, after = (pictures(browser, f".tiles .{which}") for which in ("before", "now"))
    assert before != after
    slider = browser.find_element("css selector", "input[type=range]")
    slider.send_keys(Keys.HOME)
    assert pictures(browser, ".tiles .now") == before
    assert browser.find_element("css selector", ".slider output").text == "0"
    assert {one.text for one in browser.find_elements("css selector", ".tiles .cosine")} == {"cos 1.000"}
    slider.send_keys(Keys.END)
    assert pictures(browser, ".tiles .now") == after
    assert slider.get_attribute("aria-valuetext") == "after epoch 2"


def test_exploding_weights_are_shown_on_a_scale_an_epoch_and_on_one_for_all_if_asked(
    page: Callable, gathered: Page
) -> None:
    grown = [limit * 100**number for number, limit in enumerate(gathered[1]["kernels"]["limits"])]
    kernels = {**gathered[1]["kernels"], "limits": grown, "common": False}
    browser = page((gathered[0], {**gathered[1], "kernels": kernels}))
    ends, own = browser.find_element("css selector", ".scale-bar .high"), pictures(browser, ".tiles .before")
    assert float(ends.text) == pytest.approx(grown[-1], rel=0.05)
    assert "a colour scale of its own" in browser.find_element("css selector", ".kernels .which").text
    common = browser.find_element("css selector", "input.common")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", common)
    common.click()
    assert len(set(pictures(browser, ".tiles .before"))) == 1, "beside the last epoch, the start is blank"
    assert pictures(browser, ".tiles .before") != own
    assert "One colour scale" in browser.find_element("css selector", ".kernels .which").text


def test_on_paper_the_fields_stand_beside_each_other_without_controls(page: Callable) -> None:
    browser = page(width=PHONE)
    columns = "return getComputedStyle(document.querySelector('.stage')).gridTemplateColumns.split(' ').length"
    assert browser.execute_script(columns) == 1
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert browser.execute_script(columns) == 2
        hidden = ("nav", ".controls", ".play", "input[type=range]", ".scale-bar label")
        assert not [one for one in hidden if browser.find_element("css selector", one).is_displayed()]
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@pytest.mark.parametrize("column", [3, 5, 6, 10])
def test_a_click_on_a_head_sorts_the_table_and_a_second_one_turns_it_round(page: Callable, column: int) -> None:
    browser = page()
    rows = "[...document.querySelectorAll('.sortable tbody tr')]"
    script = f"return {rows}.map((row) => row.cells[arguments[0]].dataset.value)"
    head = browser.find_elements("css selector", ".sortable th button")[column]
    original = browser.execute_script(script, column)
    found = []
    for order in ("ascending", "descending"):
        browser.execute_script("arguments[0].focus()", head)
        head.send_keys("\n")  # as by keyboard
        values = browser.execute_script(script, column)
        numbers = [float(value) for value in values if value]
        assert numbers == sorted(numbers, reverse=order == "descending")
        assert values[len(numbers) :] == [""] * (len(values) - len(numbers))
        assert head.find_element("xpath", "..").get_attribute("aria-sort") == order
        found.append(values)
    assert sorted(found[0]) == sorted(original)
    assert found[0] != found[1]


def test_evil_names_are_shown_as_text_and_run_nothing(page: Callable, gathered: Page) -> None:
    run, parts = gathered
    names = [*EVIL, *parts["predictions"]["names"][3:]]
    error = {"picture": "data:,", "true": EVIL[0], "predicted": EVIL[1], "confidence": 0.9, "probability": 0.1}
    predictions = {**parts["predictions"], "names": names, "errors": [error], "confusion": [(0, 1, 5), (1, 1, 5)]}
    kernels = {**parts["kernels"], "rows": [{**row, "name": EVIL[0]} for row in parts["kernels"]["rows"]]}
    layers = [{**layer, "name": EVIL[1], "notes": [EVIL[0]]} for layer in parts["fields"]["layers"]]
    fields = {**parts["fields"], "layers": layers}
    evil = {**parts, "predictions": predictions, "kernels": kernels, "fields": fields}
    browser = page((replace(run, name=EVIL[1]), evil))
    text = browser.execute_script("return document.body.innerText")
    for name in EVIL[:2]:
        assert name in text
    assert browser.execute_script("return document.querySelectorAll('script').length") == 2
    assert browser.execute_script("return document.querySelectorAll('img[onerror], img[src=x]').length") == 0
    assert EVIL[0] in browser.find_element("css selector", "p.said").text


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, PHONE, DESK])
def test_nothing_sticks_out_of_the_window(page: Callable, gathered: Page, width: int, dark: bool) -> None:
    for runs in (
        [gathered],
        [gathered, (replace(gathered[0], name="another_run_with_quite_a_long_name_" * 3), gathered[1])],
    ):
        browser = page(*runs, width=width, dark=dark)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    colours = browser.execute_script(
        "return [getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
        ".map((text) => text.match(/\\d+/g).slice(0, 3).map(Number).reduce((a, b) => a + b))"
    )
    assert (colours[0] > colours[1] + 400) if dark else (colours[1] > colours[0] + 400)


def test_the_page_asks_the_network_for_nothing(page: Callable) -> None:
    browser = page()
    sent = [entry["message"] for entry in browser.get_log("performance") if "requestWillBeSent" in entry["message"]]
    assert sent, "the page itself is there"
    assert not [message for message in sent if '"url":"http' in message]
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_every_picture_and_control_has_a_name(page: Callable) -> None:
    browser = page()
    nameless = browser.execute_script(
        "return [...document.querySelectorAll('img:not([alt]), [role=img]:not([aria-label]), button, select, input')]"
        ".filter((one) => one.matches('img, [role=img]') || !(one.innerText.trim() || one.labels?.length"
        " || one.querySelector('img[alt]'))).map((one) => one.outerHTML.slice(0, 80))"
    )
    assert nameless == []


def test_two_runs_stand_side_by_side_with_their_own_kernels(page: Callable, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    out = write_report([Run.open(one).reported() for one in (folder, other)], tmp_path / "both" / "report.html")
    assert out.stat().st_size < 8_000_000
    browser = page(shown(folder), shown(other))
    assert len(browser.find_elements("css selector", ".kernels")) == 2
    assert len(browser.find_elements("css selector", ".chart:first-of-type path")) == 8
    assert [head.text for head in browser.find_elements("css selector", ".facts thead th")] == ["run", "other"]
