"""`python -m data_prep animal`: files, printed counts, options and faults."""

import json

from data_prep import animal_kingdom
from data_prep.__main__ import main
from llamavid_kit.data.pairs import read_jsonl, read_llava


def test_the_command_writes_and_says_what_it_did(animals, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--lists", str(animals), "--lists-only", "--out", str(out), "--seed", "7", "--choices", "3"]
    assert main(["animal", *options]) == 0
    printed = capsys.readouterr().out
    assert "grounding train: 2 listed → 2 kept" in printed and "actions test: 12 listed → 12 kept" in printed
    assert "sentences: 8, 1 of them doubles, median 3 a video" in printed and "note: LIONLION: 8 to 7 s" in printed
    assert "choice_action: 60 with 3 choices" in printed
    kinds = ("grounding", "choice_species", "choice_action", "choice_class")
    expected = {
        f"{kind}_{split}.{end}" for kind in kinds for split in ("train", "test") for end in ("jsonl", "llava.json")
    }
    expected |= {"actions_train.llava.json", "actions_test.llava.json", "excluded.json"}
    assert {path.name for path in out.glob("[!.]*")} == expected
    assert all(f"{out / name}\n" in printed for name in expected)
    result = animal_kingdom.build(None, lists=animals, lists_only=True, seed=7, n_choices=3)
    for kind, split, records in result.kinds():
        if kind != "actions":
            assert read_jsonl(out / f"{kind}_{split}.jsonl") == records
            again = read_llava(out / f"{kind}_{split}.llava.json", split=split)
            assert [(p.question, p.answer, p.choices) for p in again] == [
                (p.question, p.answer, p.choices) for p in records
            ]
        else:
            written = json.loads((out / f"actions_{split}.llava.json").read_text())
            assert written == [talk.to_llava() for talk in records]
    report = json.loads((out / "excluded.json").read_text())
    assert report["settings"] == {"seed": 7, "n_choices": 3, "fps": [1, 6], "max_sampled_frames": 1800}
    assert report["counts"] == result.counts() and report["notes"] == result.notes
    assert len(report["excluded"]) == len(result.excluded)


def test_the_command_hands_its_options_on(animals, tmp_path, capsys):
    def told(*options: str) -> str:
        assert main(["animal", str(animals), "--lists-only", "--out", str(tmp_path / "out"), *options]) == 0
        return capsys.readouterr().out

    assert "grounding test: 1 listed, 1 too long → 0 kept" in told("--max-frames", "1799")
    assert "grounding test: 1 listed → 1 kept" in told("--max-frames", "1799", "--fps", "1", "3")
    table = animals / "annotation" / "durations.csv"
    table.write_text(table.read_text().replace("300.0", "400.0"))
    assert "too long" in told() and "too long" not in told("--max-frames", "0")
    assert "no grounding lists" in told("--ignore", "annotation") and "no grounding lists" not in told()


def test_the_command_names_the_fault(animals, capsys):
    assert main(["animal", str(animals / "nowhere")]) == 2
    assert "nowhere is not a folder" in capsys.readouterr().err
