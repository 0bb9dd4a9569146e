"""What is known about a film: one folder each, with texts; and the passages into which a long text is cut.

    films/
      Nosferatu (1922)/
        synopsis.txt      → summary, plot and character
        script.txt        → detail and reasoning
        subtitles.srt     → detail and reasoning where there is no script (or subtitles.vtt)
        video.mp4         named in the pairs; nothing here opens it

Every text is optional and in UTF-8. What a kind of question needs, and what becomes of the passages, is told in `plan`.
"""

from dataclasses import dataclass, field
from pathlib import Path

from llamavid_kit.data.subtitles import read_subtitles
from llamavid_kit.files import TO_UTF8, decoded

NAMES = {
    "synopsis": ("synopsis.txt",),
    "script": ("script.txt",),
    "subtitles": ("subtitles.srt", "subtitles.vtt"),
}
VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".mov", ".avi")
_CUTS = ("\r\n\r\n", "\n\n", "\n", ". ", " ")  # where a text may be cut, best first


@dataclass(frozen=True)
class Passage:
    """A stretch of a source, word for word. file: relative to the films' folder.

    start, end: characters from the start of the file, decoded as UTF-8 without a byte-order mark, line ends as they are
    """

    file: str
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Film:
    """One folder. texts: source → (file, whole text); faults: source → why it cannot be used; video: relative path.

    has_video: whether that file is there; without one, `video` says where it is expected
    """

    name: str
    video: str
    has_video: bool
    texts: dict[str, tuple[str, str]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


def read_films(root: str | Path) -> list[Film]:
    """The films below `root`, by name. Raises FileNotFoundError, and ValueError if `root` holds no folders."""
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; expected one with a folder a film in it")
    if known := [name for names in NAMES.values() for name in names if (root / name).is_file()]:
        raise ValueError(f"{root} holds {known[0]} itself: give the folder above it, which has a folder a film")
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise ValueError(f"{root} has no folders; expected one a film, with {', '.join(n[0] for n in NAMES.values())}")
    return [_read_film(folder) for folder in folders]


def _read_film(folder: Path) -> Film:
    videos = sorted(p.name for p in folder.glob("video.*") if p.suffix.lower() in VIDEO_SUFFIXES)
    name = videos[0] if videos else "video.mp4"
    film = Film(folder.name, f"{folder.name}/{name}", bool(videos))
    for source, names in NAMES.items():
        files = [name for name in names if (folder / name).is_file()]
        if len(files) != 1:
            several = f"{' and '.join(files)} are both there, keep one"
            film.faults[source] = several if files else f"no {' or '.join(names)}"
            continue
        try:
            film.texts[source] = (f"{folder.name}/{files[0]}", _text(folder / files[0]))
        except ValueError as error:
            film.faults[source] = str(error)
    return film


def _text(path: Path) -> str:
    content = path.read_bytes()  # not read_text: line ends stay as they are
    text = decoded(content, Path(path.name), encoding="utf-8-sig", way_out=TO_UTF8)
    if not text.strip():
        raise ValueError(f"{path.name} is empty")
    if path.name in NAMES["subtitles"]:
        read_subtitles(path)  # raises for what is not subtitles
    return text


def passages(file: str, text: str, most_chars: int) -> list[Passage]:
    """`text` in passages of at most `most_chars` characters and about one length, without white space at the ends.

    Cut between paragraphs where possible, else between lines, sentences or words. All text is in exactly one of them.
    """
    if most_chars < 1:
        raise ValueError(f"{most_chars=}, expected at least 1")
    stretches, start = [], 0
    while start < len(text):
        n_chars = len(text) - start
        n_more = -(-n_chars // most_chars)
        end = len(text) if n_more == 1 else _cut(text, start, start + -(-n_chars // n_more))
        stretch = text[start:end]
        if stretch.strip():
            first = start + len(stretch) - len(stretch.lstrip())
            last = start + len(stretch.rstrip())
            stretches.append(Passage(file, first, last, text[first:last]))
        start = end
    return stretches


def _cut(text: str, start: int, end: int) -> int:
    """The best place to end a passage that starts at `start`: at `end`, or up to half a passage before it."""
    for mark in _CUTS:
        at = text.rfind(mark, start + (end - start) // 2, end)
        if at >= 0:
            return at + len(mark)
    return end
