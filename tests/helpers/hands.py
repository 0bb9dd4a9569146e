"""Eyes and hands of the browser tests: wait, look at pixels, drag, click, save."""

import io
import time
from contextlib import contextmanager
from pathlib import Path

import lab
import numpy as np
from PIL import Image

CHART, HEAT, FRAME, TITLE = ".js-plotly-plot", ".heatmaplayer image", ".imagelayer image", ".gtitle"
UPLOADS = ".modebar-btn[data-title*=hare], .modebar-btn[data-title*=loud]"  # plotly: "Share chart...", to its cloud


def until(page, true, what: str):
    """Wait until `true()` holds, at most `PATIENCE_S`; returns what it gave. A failure says what the page reads."""
    end = time.monotonic() + lab.PATIENCE_S
    while not (found := true()):
        late = time.monotonic() > end
        assert not late, f"{what}: not within {lab.PATIENCE_S} s; the page reads\n{page.inner_text('body')[-3000:]}"
        page.wait_for_timeout(100)
    return found


def href(locator) -> str:
    """The picture that an SVG image holds."""
    return locator.get_attribute("xlink:href") or locator.get_attribute("href")


def pixels(locator) -> np.ndarray:
    """(H, W, 3) int of an element as it stands on the screen."""
    return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB")).astype(int)


@contextmanager
def changes(page, locator, read, what: str):
    """What `read(locator)` gives must become another, and a hundredth of the element's pixels visibly so."""
    before, seen = read(locator), pixels(locator)
    yield
    until(page, lambda: read(locator) != before, f"{what} changes")

    def visibly() -> bool:
        now = pixels(locator)
        return now.shape != seen.shape or (np.abs(now - seen).max(-1) > 12).mean() > 0.01

    until(page, visibly, f"{what} looks different")


def drag(page, handle, by_px: int) -> None:
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by_px, y, steps=6)
    page.mouse.up()


def slider(page, name: str):
    """(handle, readout) of the slider with that label."""
    box = page.locator(".widget-slider", has=page.get_by_text(name, exact=True))
    return box.locator(".noUi-handle"), box.locator(".widget-readout")


def drag_slider(page, name: str, by_px: int) -> str:
    """Drag it; what its readout says then."""
    handle, readout = slider(page, name)
    before = readout.inner_text()
    drag(page, handle, by_px)
    until(page, lambda: readout.inner_text() != before, f"slider {name} moves")
    return readout.inner_text()


def retype(page, name: str, text: str) -> None:
    """Write over what the field with that label holds."""
    field = page.get_by_label(name, exact=True)
    field.click()
    field.press("Control+a")
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def save_as(page, name: str, folder: Path) -> Path:
    box = page.get_by_label("Save as")
    box.fill(name)
    box.press("Tab")
    page.get_by_role("button", name="Save", exact=True).click()
    page.locator(".widget-label", has_text=f"Saved {name}").wait_for()  # beside the button
    return folder / name


def matrix_cell(page, chart, *, diagonal: bool) -> tuple[str, str, dict]:
    """(true class, answered, place on the screen) of a cell that holds clips, on or off the diagonal."""
    cell = chart.evaluate(
        """(gd, diagonal) => {
        const {z, x, y} = gd._fullData[0], {xaxis, yaxis} = gd._fullLayout, found = [];
        z.forEach((row, i) => row.forEach((share, j) => {
            if (share > 0 && (y[i] === x[j]) === diagonal) found.push([y[i], x[j], xaxis._offset + xaxis.c2p(j),
                                                                    yaxis._offset + yaxis.c2p(i)]);
        }));
        return found.at(-1);
    }""",
        diagonal,
    )
    assert cell, "no such cell holds a clip"
    return cell[0], cell[1], {"x": cell[2], "y": cell[3]}


def selected(dropdown) -> str:
    """The chosen text; ipywidgets shows every blank of it as one that does not break."""
    return dropdown.locator("option:checked").inner_text().replace("\xa0", " ")


def click_matrix(page, *, diagonal: bool) -> tuple[str, str]:
    """Click a cell: the frame around it and the selections follow. Gives (true class, answered)."""
    chart = page.locator(".js-plotly-plot", has=page.locator(HEAT)).first
    chart.scroll_into_view_if_needed()
    truth, answered, place = matrix_cell(page, chart, diagonal=diagonal)
    with changes(page, chart, lambda c: c.locator(".shapelayer path").get_attribute("d"), "the frame around the cell"):
        chart.click(position=place)
    chosen = [page.get_by_label(name, exact=True) for name in ("True class", "Answered")]
    until(page, lambda: [selected(c) for c in chosen] == [truth, answered], "selections")
    return truth, answered


def cell_shown(browser) -> tuple[list[str], list[list[str]], list[list[float]]]:
    """What a PredictionBrowser shows of a cell: its clips, the rows of one's replies, its probabilities arm by arm."""
    clips = browser.get_by_label("Clip", exact=True).locator("option").all_text_contents()
    said = "table => [...table.rows].slice(1).map(row => [...row.cells].map(cell => cell.textContent))"
    bars = browser.locator(CHART).nth(1).evaluate("gd => (gd._fullData || []).map(bar => [...bar.y])")
    return clips, browser.locator(".widget-html table").evaluate(said), bars
