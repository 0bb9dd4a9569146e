"""The rule judge reads the real annotation's sentences; the study's table is quoted as it was published."""

import json

from llamavid_kit.evaluation.judges.animal_judge import animals_of, judge, parse
from llamavid_kit.study.results import TABLE_4_ANIMALS


def test_the_real_annotation_is_read(real):
    """What the head of `animal_claims` says: 417 of 420 sentences, 397 without a lexicon; each answers itself."""
    lines = [
        line
        for name in ("train.head300", "test.head120")
        for line in (real / "animal_kingdom" / f"{name}.txt").read_text().splitlines()
    ]
    sentences = [line.split("##")[1] for line in lines]
    animals = animals_of(sentences)
    assert len(sentences) == 420 and len(animals) == 131
    for lexicon, n in ((animals, 417), ((), 397)):
        assert sum(all(c.animal for c in parse(sentence, animals=lexicon)) for sentence in sentences) == n
    assert all(judge(sentence, sentence, animals).score == 5 for sentence in sentences)


def test_the_published_table_is_the_studys(real):
    study = json.loads((real / "published.json").read_text())["study_results"]["table4_animal"]
    names = {
        name: name.replace("_fps", " ").replace("_", "-").replace("finetuned", "fine-tuned") for name in TABLE_4_ANIMALS
    }
    assert {names[name]: list(numbers) for name, numbers in TABLE_4_ANIMALS.items()} == {
        name: row for name, row in study.items() if name != "columns"
    }
