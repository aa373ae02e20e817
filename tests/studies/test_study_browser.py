"""The page of a study in a real browser."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cnnlab.studies.html import StudyPage, render_study

PHONE, DESK = 390, 1280


@pytest.fixture
def page(browser: Any, study_page: StudyPage, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens the page; in the end the console must be quiet."""

    def show(shown: StudyPage = study_page, width: int = DESK, dark: bool = False) -> Any:
        path = tmp_path / "study.html"
        path.write_text(render_study(shown), encoding="utf-8")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        browser.get(path.as_uri())
        return browser

    for kind in ("browser", "performance"):
        browser.get_log(kind)
    yield show
    assert browser.get_log("browser") == []


def visible_lines(browser: Any, section: str) -> list[str]:
    script = (
        "return [...document.querySelectorAll(`#${arguments[0]} .banded:first-child g.arm`)]"
        ".filter((one) => getComputedStyle(one).display !== 'none').map((one) => one.dataset.arm)"
    )
    return browser.execute_script(script, section)


def click(browser: Any, element: Any) -> None:
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    element.click()


def point_at(browser: Any, element: Any, across: float = 0.5) -> None:
    from selenium.webdriver import ActionChains

    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    offset = round((across - 0.5) * element.rect["width"])
    ActionChains(browser).move_to_element_with_offset(element, offset, 0).perform()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, PHONE, 800, DESK])
def test_nothing_sticks_out_of_the_window(page: Callable, width: int, dark: bool) -> None:
    browser = page(width=width, dark=dark)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    clipped = browser.execute_script(
        "return [...document.querySelectorAll('.forest .number, .badge, .toggles button')].filter((one) => "
        "one.getBoundingClientRect().right > document.documentElement.clientWidth + 1).length"
    )
    assert clipped == 0


def test_arms_can_be_switched_off_one_by_one_and_all_but_the_reference(page: Callable) -> None:
    browser = page()
    assert visible_lines(browser, "curves") == [str(arm) for arm in range(10)]
    buttons = browser.find_elements("css selector", "#curves .toggles button")
    click(browser, buttons[3])
    assert "3" not in visible_lines(browser, "curves")
    assert buttons[3].get_attribute("aria-pressed") == "false"
    assert "3" in visible_lines(browser, "drift"), "each section has its own"
    click(browser, buttons[11])
    assert visible_lines(browser, "curves") == ["0"]
    click(browser, buttons[10])
    assert len(visible_lines(browser, "curves")) == 10


def test_pointing_at_a_curve_shows_the_numbers_of_the_arms_at_that_step(page: Callable, study_page: StudyPage) -> None:
    browser = page()
    click(browser, browser.find_elements("css selector", "#curves .toggles button")[11])
    point_at(browser, browser.find_element("css selector", "#curves svg"), across=0.97)
    step, mean, low, high = study_page.curves[0].lines[0].points[-1]
    said = browser.find_element("css selector", "#curves .values").text.split("\n")
    assert said == ["step", f"{step}", "kaiming", f"{mean:.4g} ({low:.4g} to {high:.4g})"]


@pytest.mark.parametrize("section", ["differences", "corruptions"])
def test_pointing_at_an_interval_or_a_cell_says_its_verdict(page: Callable, section: str) -> None:
    browser = page()
    cell = browser.find_elements("css selector", f"#{section} [data-said]")[4]
    point_at(browser, cell)
    said = browser.find_element("css selector", f"#{section} .read").text
    assert said == cell.get_attribute("data-said")
    assert any(word in said for word in ("better by", "worse by", "larger than", "undecided"))


def test_the_table_sorts(page: Callable) -> None:
    browser = page()
    browser.find_elements("css selector", "#table th button")[2].send_keys("\n")
    script = "return [...document.querySelectorAll('#table tbody tr')].map((row) => Number(row.cells[2].dataset.value))"
    values = browser.execute_script(script)
    assert len(values) == 20
    assert values == sorted(values)


def test_the_page_asks_the_network_for_nothing_and_names_every_control(page: Callable) -> None:
    browser = page()
    sent = [entry["message"] for entry in browser.get_log("performance") if "requestWillBeSent" in entry["message"]]
    assert sent
    assert not [message for message in sent if '"url":"http' in message]
    nameless = browser.execute_script(
        "return [...document.querySelectorAll('[role=img]:not([aria-label]), button')]"
        ".filter((one) => one.matches('[role=img]') || !one.innerText.trim()).length"
    )
    assert nameless == 0


def test_evil_names_run_nothing(page: Callable, study_page: StudyPage) -> None:
    evil = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
    browser = page(replace(study_page, name=evil, limits=[evil], hypotheses=[(evil, evil, "refuted")]))
    assert evil in browser.find_element("css selector", "h1").text
    assert browser.execute_script("return document.querySelectorAll('script').length") == 2


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_an_interval_is_drawn_from_its_lower_to_its_upper_end(
    page: Callable, study_page: StudyPage, width: int
) -> None:
    """As wide as its numbers say, on the axis that the track is; the style of another page's part may not cut it."""
    forest, condition = study_page.forests[0], study_page.conditions[0]
    wide = replace(forest.rows[0], condition=condition, mean=2.0, low=-30.0, high=34.0)
    shown = replace(study_page, conditions=[condition], forests=[replace(forest, rows=[wide])])
    ((left, said, place, drawn, pixel),) = page(shown, width=width).execute_script(
        "return [...document.querySelectorAll('.forest .track .bar')].map((one) => {"
        "const part = one.getBoundingClientRect(), whole = one.parentElement.getBoundingClientRect();"
        "return [parseFloat(one.style.left), parseFloat(one.style.width), "
        "100 * (part.left - whole.left) / whole.width, 100 * part.width / whole.width, 100 / whole.width]})"
    )
    assert said > 60
    assert place == pytest.approx(left, abs=pixel)
    assert drawn == pytest.approx(said, abs=pixel)
