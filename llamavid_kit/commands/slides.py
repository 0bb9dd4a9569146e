"""`slides`: saved notebooks as slides for a lecture, an HTML file each."""

import argparse
from pathlib import Path


def slides_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("notebooks", nargs="+", type=Path, help="notebooks that were saved with their outputs")
    parser.add_argument("--out", type=Path, default=Path("runs/slides"), help="folder (default: runs/slides)")


def slides(args: argparse.Namespace) -> None:
    import nbformat

    from llamavid_kit.files import write_whole
    from llamavid_kit.viz.slides import slides

    args.out.mkdir(parents=True, exist_ok=True)
    for path in args.notebooks:
        try:
            page = slides(nbformat.read(path, as_version=4))
        except (ValueError, nbformat.reader.NotJSONError) as error:
            raise ValueError(f"{path}: {error}") from None
        out = args.out / f"{path.stem}.html"
        write_whole(out, page)
        print(out)
