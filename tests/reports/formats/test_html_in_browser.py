"""The page as Chromium shows it, clicked and typed into through its driver; skipped where they are not installed."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from reports.build import build_report
from reports.formats.choice import Forms
from tests.factories import make_cell, make_cells, make_failed_cell, make_run, write_run

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium and its driver are not installed")

QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *(
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--force-device-scale-factor=1",
    ),
)
SECONDS = {"backprop": 1234.5, "noprop": 98.7, "noprop[T=20]": 100.2, "forward": 9.5, "noprop[eta=1]": None}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training times that are in another order as text than as numbers, and a method without any."""
    cells = [
        make_cell(method, seed=seed, epochs=2, diagnostics=True, train_seconds=(seconds or 0) + seed)
        for method, seconds in SECONDS.items()
        for seed in range(2)
        if seconds is not None
    ]
    failed = [make_failed_cell("noprop[eta=1]", seed=seed) for seed in range(2)]
    planned = make_cells(list(SECONDS), seeds=range(2), epochs=2)
    run = write_run(tmp_path_factory.mktemp("runs") / "run", cells + failed, make_run(planned))
    return build_report(run, forms=Forms(html=True)).parent / "report.html"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    assert CHROMIUM is not None
    options.binary_location = CHROMIUM
    for flag in (*QUIET, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium: webdriver.Chrome, page: Path) -> webdriver.Chrome:
    """The page, freshly opened in a window of ordinary size with light colours wished for."""
    chromium.set_window_size(1400, 900)
    wish(chromium, "light")
    chromium.get(page.as_uri())
    chromium.execute_script("localStorage.clear()")
    for log in ("browser", "performance"):
        chromium.get_log(log)  # reads what is there, so that it is not there again
    chromium.get(page.as_uri())
    show_details(chromium)
    return chromium


def show_details(browser: webdriver.Chrome) -> None:
    browser.execute_script("document.getElementById('details').open = true")


def wish(browser: webdriver.Chrome, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def press(element: WebElement) -> None:
    """Click it where it is; a header may be scrolled out of sight."""
    element.parent.execute_script("arguments[0].scrollIntoView({block: 'center', inline: 'center'})", element)
    element.click()


def times(browser: webdriver.Chrome) -> WebElement:
    """The table of accuracies and times, which is among the details."""
    return browser.find_elements(By.TAG_NAME, "table")[1]


def header(browser: webdriver.Chrome, text: str) -> WebElement:
    table = times(browser)
    return next(th for th in table.find_elements(By.TAG_NAME, "th") if th.text.startswith(text))


def column(browser: webdriver.Chrome, number: int) -> list[str]:
    table = times(browser)
    return [
        row.find_elements(By.TAG_NAME, "td")[number].text for row in table.find_elements(By.CSS_SELECTOR, "tbody tr")
    ]


def luminance(color: str) -> float:
    """Relative luminance as the WCAG define it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def colors(browser: webdriver.Chrome, selector: str) -> tuple[float, float]:
    """Luminance of the text of an element and of the page."""
    script = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    text = browser.execute_script(script, selector, "color")
    return luminance(text), luminance(browser.execute_script(script, "body", "backgroundColor"))


def contrast(browser: webdriver.Chrome, selector: str) -> float:
    low, high = sorted(colors(browser, selector))
    return (high + 0.05) / (low + 0.05)


def test_a_click_on_a_header_sorts_by_value_both_ways_and_then_as_written(browser: webdriver.Chrome) -> None:
    written = column(browser, 0)
    assert sorted(written) == sorted(SECONDS)
    seconds = header(browser, "training time, s")
    rising = ["forward", "noprop", "noprop[T=20]", "backprop", "noprop[eta=1]"]
    press(seconds.find_element(By.TAG_NAME, "button"))
    assert column(browser, 0) == rising
    assert seconds.get_attribute("aria-sort") == "ascending"
    assert column(browser, 4)[-1] == "–"
    press(seconds.find_element(By.TAG_NAME, "button"))
    assert column(browser, 0) == [*rising[-2::-1], "noprop[eta=1]"]
    assert seconds.get_attribute("aria-sort") == "descending"
    press(seconds.find_element(By.TAG_NAME, "button"))
    assert column(browser, 0) == written
    assert seconds.get_attribute("aria-sort") is None


def test_headings_of_groups_are_hidden_where_rows_are_in_another_order(
    chromium: webdriver.Chrome, tmp_path: Path
) -> None:
    said = {"backprop": "end to end", "noprop": "in a block", "noprop[T=20]": "in a block"}
    cells = [
        make_cell(method, method_name=method.partition("[")[0], credit=credit, train_seconds=SECONDS[method])
        for method, credit in said.items()
    ]
    run = write_run(tmp_path / "run", cells, make_run(cells))
    chromium.get((build_report(run, forms=Forms(html=True)).parent / "report.html").as_uri())
    show_details(chromium)
    written = column(chromium, 0)
    assert [written[0], written[2]] == ["end to end", "in a block"]
    button = header(chromium, "training time, s").find_element(By.TAG_NAME, "button")
    press(button)
    assert [name for name in column(chromium, 0) if name] == ["noprop", "noprop[T=20]", "backprop"]
    press(button)
    press(button)
    assert column(chromium, 0) == written


def test_headers_are_reached_and_pressed_by_key_and_one_at_a_time_is_sorted_by(browser: webdriver.Chrome) -> None:
    first = header(browser, "method").find_element(By.TAG_NAME, "button")
    first.send_keys(Keys.ENTER)
    assert column(browser, 0) == ["backprop", "forward", "noprop", "noprop[eta=1]", "noprop[T=20]"]
    browser.switch_to.active_element.send_keys(Keys.TAB)
    browser.switch_to.active_element.send_keys(Keys.SPACE)
    states = [th.get_attribute("aria-sort") for th in times(browser).find_elements(By.TAG_NAME, "th")]
    assert states[:2] == [None, "ascending"]
    assert sum(state is not None for state in states) == 1
    assert column(browser, 1)[0].startswith("0 of 2")


def test_it_follows_the_wish_for_dark_and_the_button_overrules_it(browser: webdriver.Chrome) -> None:
    text, ground = colors(browser, "p")
    assert text < ground
    wish(browser, "dark")
    text, ground = colors(browser, "p")
    assert text > ground
    button = browser.find_element(By.ID, "theme")
    assert button.text == "Light colours"
    button.click()
    text, ground = colors(browser, "p")
    assert text < ground
    browser.refresh()
    assert colors(browser, "p") == (text, ground)
    assert browser.find_element(By.ID, "theme").text == "Dark colours"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both(scheme: str, browser: webdriver.Chrome) -> None:
    wish(browser, scheme)
    assert contrast(browser, "p") > 7
    for selector in ("figcaption", "nav a", "main a", "td", "th button"):
        assert contrast(browser, selector) > 4.5


def test_all_pictures_show_nothing_is_fetched_and_nothing_is_complained_of(browser: webdriver.Chrome) -> None:
    widths = browser.execute_script("return [...document.images].map((image) => image.naturalWidth)")
    assert len(widths) > 5
    assert min(widths) > 300
    logged = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [each["params"]["request"]["url"] for each in logged if each["method"] == "Network.requestWillBeSent"]
    assert {url.split(":")[0] for url in asked} <= {"file", "data"}
    assert {url.split("/")[-1].split("#")[0] for url in asked if url.startswith("file")} == {"report.html"}
    assert browser.get_log("browser") == []


def test_on_a_phone_tables_scroll_and_the_page_does_not(browser: webdriver.Chrome, page: Path) -> None:
    size = {"width": 375, "height": 700, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.get(page.as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 375
        wide = "return [...document.querySelectorAll('.scroll')].filter((each) => each.scrollWidth > each.clientWidth)"
        assert len(browser.execute_script(wide)) > 3
        assert browser.find_element(By.CSS_SELECTOR, "nav details").get_attribute("open") is None
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_contents_lead_to_their_sections(browser: webdriver.Chrome) -> None:
    link = browser.find_element(By.LINK_TEXT, "Limitations")
    press(link)
    heading = browser.find_element(By.ID, "limitations")
    assert browser.current_url.endswith("#limitations")
    assert heading.is_displayed()
    bottom = browser.execute_script("return arguments[0].getBoundingClientRect().bottom <= innerHeight", heading)
    assert bottom
