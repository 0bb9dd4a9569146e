"""A report of labels, replies, names and a question that try to be markup: they are shown, and nothing else happens."""

import json

import pytest
from made_up_runs import MadeUp, write_run

from llamavid_kit.experiments.report.page import write_report

pytestmark = pytest.mark.slow

LABELS = (
    "<img src=x onerror=window.ran=1>",
    "<script>window.ran=1</script>",
    "![p](http://127.0.0.1:9/a.png)",
    "![f](/etc/hostname)",
    "[c](javascript:window.ran=1)",
    "http://127.0.0.1:9/",
    r"$\y$ **b** `c`",
    "</p><style>*{display:none}</style>",
    "</details></main><a href=//127.0.0.1:9>x</a>",
    "nothing ſ “q” '\"",
)
MADE = MadeUp({(False, 1): 0.3, (False, 6): 0.5}, n_test=40, labels=LABELS, groups=True, source=LABELS[0])


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = write_run(tmp_path_factory.mktemp("hostile") / "run", MADE)
    for name in ("config", "summary", "clips"):
        path = folder / f"{name}.json"
        record = json.loads(path.read_text())
        if name == "summary":
            record["worlds"] = {LABELS[4]: LABELS[2]}
            for arm in record["arms"]:
                arm["model"] = LABELS[2]
        if name == "clips":
            record["question"] = "# " + " ".join(LABELS)
            record["excluded"] = [{"clip": LABELS[0], "split": "test", "reason": LABELS[3]}]
        path.write_text(json.dumps(record))
    for path in (folder / "arms").iterdir():
        head, *lines = map(json.loads, path.read_text().splitlines())
        lines = [line | {"reply": line["reply"] + LABELS[k % 9]} for k, line in enumerate(lines)]
        path.write_text("\n".join(map(json.dumps, (head, *lines))) + "\n")
    return write_report(folder)


def test_nothing_runs_nothing_is_fetched_and_all_is_shown(alone, report):
    alone.goto(report.as_uri())
    assert alone.evaluate("window.ran") is None
    for tag in ("a", "script", "style:not(head style)", "iframe", "link", "form", "object"):
        assert alone.locator(tag).count() == 0, tag
    sources = alone.evaluate("[...document.images].map(image => image.src.slice(0, 15))")
    assert sources and set(sources) == {"data:image/png;"}
    text = alone.evaluate("document.body.textContent")
    for label in LABELS:
        assert label in text, label
    assert alone.evaluate("document.querySelectorAll('blockquote h1').length") == 0
    assert alone.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_wall_behind_holds_alone(chromium, report, tmp_path):
    """What would come through unescaped runs nothing and fetches nothing either: the page's policy refuses it."""
    attack = "<script>window.ran=1</script><img src=http://127.0.0.1:9/a.png onerror=window.ran=1>"
    page = report.read_text(encoding="utf-8").replace("<main>", f"<main>{attack}", 1)
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    context, lines = chromium.new_context(), []
    tab = context.new_page()
    tab.on("console", lambda line: lines.append(line.text))
    tab.goto((tmp_path / "page.html").as_uri())
    assert tab.evaluate("window.ran") is None
    assert (
        sum("Content Security Policy" in line for line in lines) >= 3
    )  # the script, its picture, what follows an error
    context.close()
