"""Arms as data: an arm is a record of factors; a configuration names the values of each and how they are crossed.

A new factor costs one field of `Arm` with the words for its values, one field of `AblationConfig` with the values, and
what it does (in `ablation` or in the model). Names of files, pairs of arms, tables, figures and sections of the report
follow from the fields.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import combinations, product
from pathlib import PurePath
from typing import Any, Literal

from llamavid_kit.data.pairs import InstructionPair
from llamavid_kit.data.sampling import RULES as FRAME_RULES
from llamavid_kit.data.sampling import Rule, check_fps
from llamavid_kit.evaluation.scoring import RULES, RuleName
from llamavid_kit.experiments.prompts import PROMPTS, STUDY
from llamavid_kit.model.answering import View
from llamavid_kit.model.changes import change_file, change_words, parse_change
from llamavid_kit.model.config import parse_content
from llamavid_kit.model.four_bits import Quantise
from llamavid_kit.model.lora import LoraSettings
from llamavid_kit.study.setup import CRIME
from llamavid_kit.training.stages import TrainSettings

Answering = Literal["generation", "likelihood"]
SEED = "seed"  # the family of two adapters of one recipe: nothing but the luck of training differs
OPEN_DEFAULTS = {"answering": ("generation",), "max_new_tokens": 128}  # the longest of 104 real answers has 78 words


@dataclass(frozen=True)
class Lora:
    """A LoRA adapter, trained with `seed` on clips at `fps`; None: at the rate of the arm that it answers for."""

    seed: int
    fps: float | None = None


def _factor(default: Any, title: str, words: Callable[[Any], str], file: Callable[[Any], str] | None = None) -> Any:
    """A field of `Arm`. title: of its section in a report; words, file: of a value in tables and in file names."""
    return field(default=default, metadata={"title": title, "words": words, "file": file or words})


def _adapter_words(adapter: Lora | None) -> str:
    if adapter is None:
        return "zero-shot"
    return f"fine-tuned, seed {adapter.seed}" + ("" if adapter.fps is None else f", trained at {adapter.fps:g} fps")


def _adapter_file(adapter: Lora | None) -> str:
    if adapter is None:
        return "zero-shot"
    return f"lora-seed{adapter.seed}" + ("" if adapter.fps is None else f"-trained{adapter.fps:g}fps")


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "_", PurePath(text).name or text)


@dataclass(frozen=True)
class Arm:
    """One way to answer every clip: a record of factors. Two arms that differ in exactly one of them are compared.

    model: as the configuration names it. adapter: None is zero-shot. fps: frames a second. content: content tokens a
    frame (`config.parse_content`), None the model's own. frames: the rule that a rate picks frames by
    (`sampling.RULES`). change: what is done to the frames or their tokens (`changes.parse_change`), in training and in
    the test; None leaves them as they are. prompt: of `prompts.PROMPTS`. order: None asks with the options as they are
    listed, a seed shuffles them clip by clip. answering: a greedy reply, or the likeliest choice. name: of the arm's
    file.
    """

    model: str = _factor("tiny", "Does another model do better?", str, _slug)
    adapter: Lora | None = _factor(None, "Does fine-tuning help?", _adapter_words, _adapter_file)
    fps: float = _factor(1.0, "Does the frame rate matter?", "{:g} fps".format, "{:g}fps".format)
    content: str | None = _factor(
        None,
        "Do more tokens a frame help?",
        lambda x: "content as configured" if x is None else f"content {x}",
        lambda x: "" if x is None else _slug(x),
    )
    frames: Rule = _factor(
        "time",
        "Does it matter which frames a rate picks?",
        lambda x: f"frames by rule {x}",
        lambda x: "" if x == "time" else x,
    )
    change: str | None = _factor(
        None,
        "Does it matter what becomes of the frames?",
        change_words,
        lambda x: "" if x is None else change_file(x),
    )
    prompt: str = _factor(
        STUDY.name,
        "The same question in other words",
        lambda x: f"{x} prompt",
        lambda x: "" if x == STUDY.name else _slug(x),
    )
    order: int | None = _factor(
        None,
        "The same options in another order",
        lambda x: "options as listed" if x is None else "shuffled options",
        lambda x: "" if x is None else f"shuffled{x}",
    )
    answering: Answering = _factor("generation", "Written replies against likelihoods", str)
    name: str = field(default="", compare=False)

    @property
    def view(self) -> View:
        """How the clips are shown to the model."""
        return View(self.fps, self.content, self.frames, self.change)

    @property
    def trained_at(self) -> float:
        """The rate at which its adapter is trained."""
        return (self.adapter and self.adapter.fps) or self.fps

    def factors(self) -> dict[str, Any]:
        """Factor → value, as JSON: what heads the arm's file, and what `of` reads."""
        values = asdict(self)
        return {name: values[name] for name in FACTORS}

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Arm":
        """The arm whose `factors` and name stand in a file's head or in the summary; an older run's has no change."""
        values = {"change": None} | {name: record[name] for name in ("name", *FACTORS) if name in record}
        adapter = values.pop("adapter")
        return cls(adapter=None if adapter is None else Lora(**adapter), **values)


FACTORS: dict[str, dict[str, Any]] = {f.name: dict(f.metadata) for f in fields(Arm) if f.metadata}
"""Factor → "title", "words", "file", in the order in which they name an arm."""
INNERMOST = ("adapter", "fps", "answering")
NESTING = (
    *(name for name in FACTORS if name not in INNERMOST),
    *INNERMOST,
)  # in a list of arms the last changes fastest


def difference(a: Arm, b: Arm) -> str | None:
    """The factor in which two arms differ, where it is one alone; SEED for adapters of one recipe; else None."""
    names = [name for name in FACTORS if getattr(a, name) != getattr(b, name)]
    if len(names) != 1:
        return None
    if names == ["adapter"] and a.adapter and b.adapter and a.adapter.fps == b.adapter.fps:
        return SEED
    return names[0]


def pairs_of(arms: Sequence[Arm]) -> dict[str, list[tuple[Arm, Arm]]]:
    """Family → every two arms that differ in that factor alone, the earlier arm first. Each has its own Holm family."""
    families: dict[str, list[tuple[Arm, Arm]]] = {name: [] for name in (*FACTORS, SEED)}
    for a, b in combinations(arms, 2):
        if family := difference(a, b):
            families[family].append((a, b))
    return {name: pairs for name, pairs in families.items() if pairs}


def varying(arms: Iterable[Arm]) -> list[str]:
    """Factors with more than one value among `arms`."""
    arms = list(arms)
    return [name for name in FACTORS if len({getattr(arm, name) for arm in arms}) > 1]


def words(arm: Arm, among: Sequence[Arm], *, without: Collection[str] = ()) -> str:
    """An arm in words: training and rate, and whatever else varies `among` the arms; its seed where there are several.

    without: factors that are said elsewhere, such as a table's heading.
    """
    names = [name for name in FACTORS if name in ("adapter", "fps", *varying(among)) and name not in without]
    parts = [FACTORS[name]["words"](getattr(arm, name)) for name in names]
    several = len({other.adapter.seed for other in among if other.adapter}) > 1
    return ", ".join(parts if several else [re.sub(r", seed \d+", "", part) for part in parts])


def title(family: str) -> str:
    """The heading of a family's section."""
    return "How much the training seed alone decides" if family == SEED else FACTORS[family]["title"]


@dataclass(frozen=True)
class AblationConfig:
    """What a run is. Two runs with equal configuration, pairs and models give equal arm files.

    The values of each factor (see `Arm`); two values of one factor that stand first and second are compared as first
    and second:
    model: "tiny", a folder, or the name of a `VideoModel` that `ablate` is given; several make several arms.
    fps: the rates; finetune: an adapter for each of `seeds` beside zero-shot, of each model that the kit can train.
    train_fps: rates at which adapters are trained, each then answers at every rate; (): each rate has its own adapter.
    content, frames, change, prompts: see `Arm`. shuffle_choices: a seed: each arm gets a rival with shuffled options.
    answering: "generation" (greedy reply, mapped to a label by `rule`), "likelihood" (the likeliest choice). An open
        question is answered by generation alone, and neither `rule` nor `groups` are for it (`for_pairs`).
    crossed: the factors whose values are combined with each other; any other factor varies alone, all else being at
        its first value.

    What is the same for all arms:
    rule: how a reply becomes a label (`scoring.RULES`). batch: clips asked at a time.
    max_new_tokens: of a generated reply; for an open question no true answer may be longer.
    quantise: "4bit" packs the language model of each model that is loaded, as `checkpoints.load` does.
    shuffle_labels: a seed: the training answers are permuted first. A control: accuracy must fall to chance.
    groups: name → labels, for results split by groups of classes. train, lora: how adapters are trained.
    """

    model: str | tuple[str, ...] = "tiny"
    source: str = ""
    fps: tuple[float, ...] = (1, 6)
    finetune: bool = True
    seeds: tuple[int, ...] = (0,)
    train_fps: tuple[float, ...] = ()
    content: tuple[str | None, ...] = (None,)
    frames: tuple[Rule, ...] = ("time",)
    change: tuple[str | None, ...] = (None,)
    prompts: tuple[str, ...] = (STUDY.name,)
    shuffle_choices: int | None = None
    answering: tuple[Answering, ...] = ("generation", "likelihood")
    crossed: tuple[str, ...] = NESTING
    rule: RuleName = "normalised"
    batch: int = 32
    max_new_tokens: int = 24
    quantise: Quantise | None = None
    shuffle_labels: int | None = None
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    train: TrainSettings = field(default_factory=TrainSettings)
    lora: LoraSettings = field(default_factory=LoraSettings)

    def __post_init__(self):
        for rate in (*self.fps, *self.train_fps):
            check_fps(rate)
        for content in filter(None, self.content):
            parse_content(content)
        for change in self.change:
            parse_change(change)
        _choose("model", self.models)
        _choose("fps", self.fps)
        _choose("content", self.content)
        _choose("frames", self.frames, FRAME_RULES)
        _choose("change", self.change)
        _choose("prompts", self.prompts, PROMPTS)
        _choose("answering", self.answering, ("generation", "likelihood"))
        _choose("crossed", self.crossed, FACTORS, at_least=0)
        _choose("rule", (self.rule,), RULES)
        if self.finetune:
            _choose("seeds", self.seeds)
            _choose("train_fps", self.train_fps, at_least=0)
        if self.batch < 1 or self.max_new_tokens < 1:
            raise ValueError(f"batch={self.batch}, max_new_tokens={self.max_new_tokens}: expected at least 1 each")

    @classmethod
    def for_pairs(cls, pairs: Sequence[InstructionPair], **settings: Any) -> "AblationConfig":
        """A configuration whose defaults suit the pairs' question.

        An open one is answered in sentences. Labels that are not the study's are found where a reply mentions one of
        them alone, as people expect of their own labels; the study's must be the reply.
        """
        choices = pairs[0].choices if pairs else ()
        own: dict[str, Any] = {} if {*choices} == {*CRIME.labels} else {"rule": "unique_mention"}
        return cls(**(own if choices else OPEN_DEFAULTS) | settings)

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,) if isinstance(self.model, str) else tuple(self.model)

    def values(self) -> dict[str, tuple]:
        """Factor → its values, the reference first; a field of the factor's name holds them."""
        rates: tuple[float | None, ...] = tuple(sorted(map(float, self.train_fps))) or (None,)
        trained = [Lora(seed, rate) for seed in self.seeds for rate in rates] if self.finetune else []
        others = {
            "model": self.models,
            "adapter": (None, *trained),
            "fps": tuple(sorted(map(float, self.fps))),  # 1 and 1.0 head an arm file alike
            "prompt": self.prompts,
            "order": (None,) if self.shuffle_choices is None else (None, self.shuffle_choices),
        }
        return {name: others[name] if name in others else getattr(self, name) for name in FACTORS}

    def arms(self, *, trainable: Collection[str] | None = None) -> list[Arm]:
        """Every arm, by NESTING: by model and prompt, zero-shot before fine-tuned, slow before fast.

        trainable: names of the models that adapters can be trained for, None for all; others are zero-shot alone.
        Raises ValueError where two arms would have one name.
        """
        values = self.values()
        records = []
        for alone in (None, *(name for name in NESTING if name not in self.crossed)):
            free = [name for name in NESTING if name in self.crossed or name == alone]
            for chosen in product(*(values[name] if name in free else values[name][:1] for name in NESTING)):
                records.append(dict(zip(NESTING, chosen, strict=True)))
        arms = [
            Arm(**record)
            for record in records
            if record["adapter"] is None or trainable is None or record["model"] in trainable
        ]
        arms = [replace(arm, name=self._file(arm)) for arm in dict.fromkeys(arms)]
        name, n = Counter(arm.name for arm in arms).most_common(1)[0]
        if n > 1:
            raise ValueError(f"two arms would be called {name!r}: give rates that differ in their first six digits")
        return arms

    def adapter_folder(self, arm: Arm) -> str | None:
        """Where the adapter of an arm lies below the run's folder; arms that were trained alike share it."""
        if arm.adapter is None:
            return None
        view = [FACTORS[name]["file"](getattr(arm, name)) for name in ("content", "frames", "change")]
        parts = [self._model(arm), f"fps{arm.trained_at:g}-seed{arm.adapter.seed}", *view]
        return "finetune/" + "-".join(filter(None, parts))

    def _file(self, arm: Arm) -> str:
        parts = [meta["file"](getattr(arm, name)) for name, meta in FACTORS.items() if name != "model"]
        return "-".join(filter(None, [self._model(arm), *parts]))

    def _model(self, arm: Arm) -> str:
        """The arm's model in file names, where there are several; folders of equal name are told apart by place."""
        slugs, at = [_slug(model) for model in self.models], self.models.index(arm.model)
        if len(slugs) == 1:
            return ""
        return slugs[at] if slugs.count(slugs[at]) == 1 else f"{slugs[at]}-{at + 1}"

    def record(self) -> dict[str, Any]:
        """JSON values of everything."""
        return asdict(self)

    @classmethod
    def of(cls, record: dict[str, Any]) -> "AblationConfig":
        """The configuration whose `record` stands in a run's `config.json`, beside other things."""
        values = {f.name: record[f.name] for f in fields(cls) if f.name in record}
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        groups = {name: tuple(labels) for name, labels in record["groups"].items()}
        return cls(
            **values
            | {"groups": groups, "train": TrainSettings(**record["train"]), "lora": LoraSettings(**record["lora"])}
        )


def _choose(name: str, values: Sequence, known: Collection | None = None, *, at_least: int = 1) -> None:
    """ValueError for too few values, the same one twice, and one that is not `known`."""
    unknown = [value for value in values if known is not None and value not in known]
    if len(values) < at_least or len(set(values)) != len(values) or unknown:
        expected = "different values" if known is None else f"some of {', '.join(map(str, known))}, each once"
        raise ValueError(f"{name}={tuple(values)!r}: expected {expected}" + (", at least one" if at_least else ""))
