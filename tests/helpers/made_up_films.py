"""Three made-up films on disk: one with all texts, one with subtitles only, one with faulty texts."""

from pathlib import Path

PARAGRAPHS = [f"Act {k}. The count of castle no. {k} rises at dusk, and $5 buys him a ship.\r\n" for k in range(40)]
SRT = "".join(f"{k}\n00:{k:02d}:01,000 --> 00:{k:02d}:02,000\nLine {k} is said.\n\n" for k in range(1, 50))


def make_films(root: Path) -> Path:
    """Folders Alpha (1922), Beta and Gamma below `root`, and two things that are no films. Returns `root`."""
    for name, files in {
        "Alpha (1922)": {
            "synopsis.txt": "\ufeffA count buys a house.\n\nHe meets the agent’s wife, and the sun ends him.",
            "script.txt": "\r\n".join(PARAGRAPHS),
            "subtitles.srt": SRT,
            "video.mkv": "",
        },
        "Beta": {"subtitles.srt": SRT},
        "Gamma": {"synopsis.txt": "  \n", "subtitles.srt": "no cues", "subtitles.vtt": "WEBVTT\n"},
    }.items():
        (root / name).mkdir(parents=True)
        for file, text in files.items():
            (root / name / file).write_bytes(text.encode())
    (root / "notes.txt").write_text("not a film")
    (root / ".git").mkdir()
    return root
