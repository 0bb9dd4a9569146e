"""What tests of explorers share: clicks as a page sends them, saves by the button, and the words of a picture."""

import html
import re
from pathlib import Path


def words(fig) -> str:
    """Every word in a matplotlib figure."""
    return "\n".join(t.get_text() for t in fig.findobj(lambda x: hasattr(x, "get_text")))


def click(figure, **point) -> None:
    """A click on a point of a LiveFigure, as its page sends it."""
    figure._handle_custom_msg(point, [])


def saved(explorer, folder: Path) -> str:
    """Saves all three kinds by the button; the page's text, after checks that hold for every explorer."""
    for name in ("map.png", "map.svg", "map.html"):
        explorer.target.value = str(folder / "new" / name)
        explorer.save_button.click()
        assert explorer.message == f"Saved {folder / 'new' / name}" and explorer.save_note.value == f"Saved {name}"
    assert explorer.saving in explorer.view.children
    assert (folder / "new" / "map.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "new" / "map.svg").read_text()
    page = (folder / "new" / "map.html").read_text(encoding="utf-8")
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=[\"'](?!data:)", page)
    assert "default-src 'none'" in page and "plotly.js v" in page and f"<h1>{html.escape(explorer.title)}</h1>" in page
    explorer.target.value = str(folder / "map.doc")
    explorer.save_button.click()
    assert "ends in .png, .svg or .html" in explorer.message and not (folder / "map.doc").exists()
    return page
