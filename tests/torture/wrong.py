"""What could be wrong without a word: replies of other clips, and results that belong to something else.

Each ingredient of a result is changed: what lies there is refused, or computed anew, and never taken for the other's.
"""

import copy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import made_up_benchmarks
import made_up_video_benchmarks
import marked
import small
import torch
from case01 import CASE, HEADS
from harness import Table
from PIL import Image
from safetensors.torch import load_file, save_file

from llamavid_kit.data.pairs import InstructionPair, multiple_choice_question
from llamavid_kit.data.video import Video
from llamavid_kit.evaluation.benchmarks import benchmark
from llamavid_kit.evaluation.benchmarks.run import evaluate
from llamavid_kit.evaluation.judges.judge import RuleJudge
from llamavid_kit.evaluation.scoring import label_of
from llamavid_kit.experiments import ablation
from llamavid_kit.experiments.ablation import ablate
from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.experiments.prompts import wording
from llamavid_kit.experiments.tasks import question_of
from llamavid_kit.files import read_replies
from llamavid_kit.model import checkpoints
from llamavid_kit.model.answering import LlamaVidAnswerer, Reply
from llamavid_kit.model.frame_cache import FrameCache
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.lora import LoraSettings
from llamavid_kit.model.original import convert as conversion
from llamavid_kit.model.original.tensors import original_tensors
from llamavid_kit.model.tokenizers import load_question_tokenizer
from llamavid_kit.training.finetune import finetune
from llamavid_kit.training.stage import train_stage
from llamavid_kit.training.stages import TrainSettings

ONE_STEP = TrainSettings(max_steps=1)


def run(table: Table, work: Path, *, share: float = 1.0, seed: int = 0) -> None:
    """Everything at any share and seed: none of it is drawn."""
    for part in (replies, caches, runs, loras, stages, pictures, clips, labels, pieces):
        (work / part.__name__).mkdir()
        part(table, work / part.__name__)


def model(*, seed: int = 0) -> LlamaVid:
    return small.small_model(*small.tokenizers(), seed=seed)


def other_words(folder: Path):
    """The small question tokenizer with two words exchanged; and a question in which they differ."""
    words = sorted(small.tokenizers()[1].get_vocab().items(), key=lambda item: item[1])
    names = [name for name, _ in words]
    a, b = [k for k, name in enumerate(names) if name.isalpha() and len(name) > 2][:2]
    question = f"{names[a]} {names[b]} {names[a]}"
    names[a], names[b] = names[b], names[a]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(name for name in names if name != "[DEC]"))
    return load_question_tokenizer(folder), question


def refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except ValueError:
        return True
    return False


class Reads:
    """A model that says what it was asked, and which number each frame shows."""

    name = identity = "reads"

    def fits(self, *_, **__) -> None: ...

    def generate(self, clips, question, view, *, max_new_tokens):
        seen = [{marked.number(f) for f in v.frames(v.sample(view.fps).indices)} for v in clips]
        return [Reply(f"{question}|{numbers}|{view.fps}", (0.0,)) for numbers in seen]


def still(path: Path, *, number: int, n: int) -> None:
    """n frames that all show one number."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height = marked.SIZE
        stream.pix_fmt = "yuv420p"
        for _ in range(n):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(marked.picture(number), format="rgb24")))
        out.mux(stream.encode())


def replies(table: Table, work: Path) -> None:
    """Two folders hold clips of the same names; orders of the options are drawn."""
    names = ("alpha", "beta", "gamma")
    question, pairs = multiple_choice_question("Say it", names), []
    for k in range(24):
        name = f"{'xy'[k % 2]}/clip{k // 2}"
        (work / name).parent.mkdir(exist_ok=True)
        still(work / f"{name}.mp4", number=k, n=1 if k % 5 == 0 else 7 * (k % 4) + 2)
        pairs.append(
            InstructionPair(id=name, video=f"{name}.mp4", question=question, answer=names[k % 3], choices=names)
        )
    config = AblationConfig(
        model="reads",
        finetune=False,
        fps=(1, 6),
        batch=7,
        answering=("generation",),
        max_new_tokens=4,
        prompts=("study", "plain", "short"),
        shuffle_choices=5,
    )
    go = {"root": work, "out": work / "run", "config": config, "model": Reads()}
    ablate(pairs, **go)
    asked = question_of(pairs)
    for arm in config.arms(trainable=()):
        _, lines = read_replies(ablation.arm_path(work / "run", arm))
        for k, (pair, line) in enumerate(zip(pairs, lines, strict=True)):
            text, _ = wording(asked.text, asked.labels, prompt=arm.prompt, order=arm.order, clip=pair.id)
            expected = (pair.id, f"{text}|{{{k}}}|{arm.fps}")
            table.count("replies of their clip", (line["clip"], line["reply"]) == expected, f"{arm.name} {line}")
    shutil.copy(work / "x" / "clip3.mp4", work / "x" / "clip9.mp4")
    ablate(pairs, **go)
    for arm in config.arms(trainable=()):
        line = read_replies(ablation.arm_path(work / "run", arm))[1][18]
        table.count("replies of their clip", "{6}" in line["reply"], f"{arm.name}, a clip was replaced: {line}")


def caches(table: Table, work: Path) -> None:
    clip, folder, fps = small.write_clip(work / "a.mp4", seed=1), work / "cache", 3

    def check(what: str, one: LlamaVid, question: str = "Which colours are there?") -> None:
        kept, new = (FrameCache(one, f).tokens(Video(clip), question, fps=fps)[0] for f in (folder, None))
        same = kept.content.shape == new.content.shape
        same = same and kept.context.equal(new.context) and kept.content.equal(new.content)
        table.count("frame tokens of their model", same, what)

    check("itself", model())
    changes = {
        "content": "all",
        "image_mean": [0.1, 0.2, 0.3],
        "drop_cls": False,
        "question_max_length": 6,
    }
    for name, value in changes.items():
        other = model()
        setattr(other.config, name, value)
        check(f"{name}={value}", other)
    check("other weights", model(seed=3))
    other = model()
    other.question_tokenizer, question = other_words(work / "words")
    check("the question that two tokenizers read otherwise", model(), question)
    check("another question tokenizer", other, question)


def runs(table: Table, work: Path) -> None:
    """An ablation that was cut off goes on after one thing has changed."""
    pairs = [small.pair(f"c{k}", small.LABELS[k % 3]) for k in range(4)]
    for k in range(4):
        small.write_clip(work / f"c{k}.mp4", seed=k)
    config = AblationConfig(finetune=False, fps=(1,), batch=2, max_new_tokens=4)

    def changed(name: str) -> LlamaVid:
        other = model(seed=1) if name == "weights" else model()
        text = other.config.text_config
        if name == "template":
            other.config.template = "vicuna_v1"
        elif name == "rope":
            text.rope_parameters = {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4}
        elif name == "norm":
            text.rms_norm_eps = 0.5
        elif name == "question tokenizer":
            other.question_tokenizer, _ = other_words(work / "words")
        elif name == "precision":
            other = other.to(torch.bfloat16)
        elif name == "tokenizer":
            other.tokenizer = copy.deepcopy(other.tokenizer)
            other.tokenizer.add_tokens(["video"])
        return other

    for name in ("weights", "template", "rope", "norm", "question tokenizer", "precision", "tokenizer"):
        out = work / f"run {name}"
        go = {"root": work, "out": out, "config": replace(config, model="small")}
        ablate(pairs, model=model(), **go)
        for arm in (out / "arms").iterdir():
            arm.write_bytes(b"".join(arm.read_bytes().splitlines(keepends=True)[:3]))
        other = changed(name)
        table.count("runs of their model", refused(lambda go=go, other=other: ablate(pairs, model=other, **go)), name)


def loras(table: Table, work: Path) -> None:
    one, other = model(), model()
    with torch.no_grad():
        for parameter in other.language_model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    retold = model()
    retold.config.template = "vicuna_v1"
    pairs, tokens = [small.pair("c0", "Red", split="train")], [small.random_tokens(one, 2)]
    given = {"pairs": pairs, "tokens": tokens, "settings": ONE_STEP, "lora": LoraSettings(r=2, alpha=4)}
    folder = finetune(one, out=work / "lora", **given)
    changes = {
        "another language model": {"model": other},
        "another template": {"model": retold},
        "another precision": {"model": model().to(torch.bfloat16)},
        "another answer": {"pairs": [replace(pairs[0], answer="Blue")]},
        "other frames": {"tokens": [small.random_tokens(one, 2, seed=1)]},
        "other settings": {"settings": replace(ONE_STEP, seed=1)},
        "another rank": {"lora": LoraSettings(r=3, alpha=4)},
    }
    for what, change in changes.items():
        again = refused(lambda change=change: finetune(**{"model": one, "out": work / "lora", **given} | change))
        table.count("a training of its model", again, f"LoRA, {what}")
    for name, weights in (("mine", one), ("other", other)):
        checkpoints.save(weights, work / name)
    checkpoints.load(work / "mine", adapter=folder)
    tensors = load_file(folder / "adapter_model.safetensors")
    broken = {
        "without half of its tensors": {n: t for n, t in tensors.items() if "lora_B" not in n},
        "with a tensor more": tensors | {"base_model.model.extra": torch.zeros(2)},
        "with NaN": {n: torch.full_like(t, float("nan")) for n, t in tensors.items()},
    }
    for what, content in broken.items():
        place = Path(shutil.copytree(folder, work / what))
        save_file(content, place / "adapter_model.safetensors")
        table.count("adapters", refused(lambda place=place: checkpoints.load(work / "mine", adapter=place)), what)
    table.count("adapters", refused(lambda: checkpoints.load(work / "other", adapter=folder)), "of another model")


def stages(table: Table, work: Path) -> None:
    small.write_clip(work / "c0.mp4", seed=5)
    pairs = [small.pair("c0", "Red", split="train")]
    given = {"stage": "freeze_all", "root": work, "out": work / "out", "settings": ONE_STEP}
    train_stage(model(), pairs, **given)
    changes = {
        "another model": (model(seed=1), {}),
        "another rate": (model(), {"fps": 2}),
        "another stage": (model(), {"stage": "align"}),
        "other settings": (model(), {"settings": replace(ONE_STEP, seed=1)}),
        "another answer": (model(), {"pairs": [replace(pairs[0], answer="Blue")]}),
    }
    for what, (one, change) in changes.items():
        again = refused(lambda one=one, change=change: train_stage(one, **{"pairs": pairs, **given} | change))
        table.count("a training of its model", again, f"stage, {what}")
    small.write_clip(work / "c0.mp4", seed=6, label="Blue")
    again = refused(lambda: train_stage(model(), pairs, **given))
    table.count("a training of its model", again, "stage, another clip under its name")


def pictures(table: Table, work: Path) -> None:
    """Two pictures of one size change names before a benchmark goes on."""
    made_up_benchmarks.pope(work / "pope")
    bench, one = benchmark("pope"), model()
    given = {"data": work / "pope", "out": work / "run", "name": "small", "batch": 2}
    answerer = LlamaVidAnswerer(one, FrameCache(one), 4)
    files = sorted({item.media for item in bench.load(work / "pope")})
    for path in files:
        Image.open(path).convert("RGB").save(path, format="BMP")
    evaluate(bench, answerer, **given)
    a, b = files[0].read_bytes(), files[1].read_bytes()
    assert len(a) == len(b) and a != b
    files[0].write_bytes(b)
    files[1].write_bytes(a)
    table.count("a benchmark of its files", refused(lambda: evaluate(bench, answerer, **given)), "swapped pictures")


def clips(table: Table, work: Path) -> None:
    """A clip of the same size takes the place of another before a benchmark goes on."""
    made_up_video_benchmarks.activitynet(work / "data")
    bench, one = benchmark("activitynet"), model()
    judges = [RuleJudge("mention")]
    given = {"data": work / "data", "out": work / "run", "name": "small", "judges": judges}
    answerer = LlamaVidAnswerer(one, FrameCache(one), 4, "small")
    evaluate(bench, answerer, **given)
    path = bench.load(work / "data")[0].media
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    table.count("a benchmark of its files", refused(lambda: evaluate(bench, answerer, **given)), "a clip's last bit")


def labels(table: Table, work: Path) -> None:
    for odd in ("Fight", "rock 'n'", '"quoted"', "C++", "日本", "no", "ſhooting", "x$\\y$", "ﬁre", "İstanbul"):
        names = (odd, "Other")
        for rule in ("exact", "normalised", "unique_mention", "first_mention"):
            for reply, expected in ((odd, odd), (f"{odd}.", odd if rule != "exact" else None), ("Other", "Other")):
                found = label_of(reply, names, rule=rule)
                table.count("labels read back", found == expected, f"{odd!r} by {rule} from {reply!r}: {found!r}")


def pieces(table: Table, work: Path) -> None:
    """An interrupted conversion, then another checkpoint into the same folder: what does `export` write?"""
    for name in "ab":
        shutil.copytree(CASE, work / name)
    for file, tensors in list(original_tensors(work / "b" / "checkpoint")):
        new = {n: t + 1 if t.is_floating_point() else t.clone() for n, t in tensors.items()}
        (work / "b" / "checkpoint" / file).unlink()
        torch.save(new, work / "b" / "checkpoint" / file)
    save, size, n_saved = conversion.save_file, conversion.PIECE_BYTES, 0

    def interrupted(*args, **kwargs) -> None:
        nonlocal n_saved
        n_saved += 1
        if n_saved == 30:
            raise KeyboardInterrupt
        save(*args, **kwargs)

    conversion.PIECE_BYTES, conversion.save_file = 20_000, interrupted
    try:
        conversion.convert(work / "a" / "checkpoint", out=work / "out", vision_heads=HEADS)
    except KeyboardInterrupt:
        pass
    finally:
        conversion.save_file, conversion.PIECE_BYTES = save, size
    conversion.convert(work / "b" / "checkpoint", out=work / "out", vision_heads=HEADS)
    report = conversion.export(work / "out", out=work / "back")
    true = {n: t for _, tensors in original_tensors(work / "b" / "checkpoint") for n, t in tensors.items()}
    for _, tensors in original_tensors(work / "back"):
        for name, tensor in tensors.items():
            if name in report.exact:
                table.count("pieces of a conversion", torch.equal(tensor, true[name]), f"{name} is another's")
