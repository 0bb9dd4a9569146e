"""Damaged and odd files of every kind that the kit reads but videos, each in a child with limits of time and memory.

Survived: an answer, or ValueError or OSError, which commands say in one line, with the file's name in it. Lost: any
other exception, a hang, a crash, memory over the limit, a message without the file's name, a result that is wrong.
"""

import json
import pickle
import random
import re
import resource
import shutil
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import made_up_animals
import made_up_benchmarks
import made_up_films
import made_up_logs
import made_up_open_runs
import made_up_runs
import made_up_video_benchmarks
import matplotlib
import nbformat
import numpy as np
import small
import torch
from harness import Table, seeded, spawn, wait
from PIL import Image

from data_prep import animal_kingdom, ucf_crime
from data_prep.movies.plan import KINDS, plan
from data_prep.movies.replies import MalformedReplyError, read_reply
from data_prep.movies.sources import read_films
from llamavid_kit.data.clips_csv import clips_from_csv
from llamavid_kit.data.pairs import read_jsonl, read_llava, write_jsonl, write_llava
from llamavid_kit.data.pixels import pixel_values
from llamavid_kit.data.subtitles import frame_texts, read_subtitles
from llamavid_kit.data.video import Video
from llamavid_kit.evaluation.benchmarks import benchmark
from llamavid_kit.evaluation.benchmarks.run import REPLIES, items_key, rescore
from llamavid_kit.evaluation.judges.chat.endpoint import Endpoint, RefusedError, Reply, ReplyLog, _TransientError
from llamavid_kit.evaluation.judges.chat.local import LocalModel
from llamavid_kit.evaluation.judges.judge import RuleJudge
from llamavid_kit.evaluation.judges.verdict_parser import read_verdict
from llamavid_kit.evaluation.visibility import read_events
from llamavid_kit.experiments.ablation import ablate
from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.experiments.judging import judge_open_run
from llamavid_kit.experiments.report import page
from llamavid_kit.experiments.run import Run
from llamavid_kit.files import append, read_replies, resume
from llamavid_kit.model import checkpoints
from llamavid_kit.model.ask import read_picture
from llamavid_kit.model.frame_cache import FrameCache
from llamavid_kit.model.original.convert import convert, export
from llamavid_kit.model.original.doctor import examine
from llamavid_kit.model.original.features import import_features
from llamavid_kit.study.logs import read_logs, records
from llamavid_kit.training.finetune import LoraSettings, TrainSettings, finetune

matplotlib.use("agg")
SECONDS, BYTES = 30, 8 * 2**30
CASE = Path(__file__).parents[2] / "llamavid_kit" / "assets" / "case01"
ODDITIES = (
    "", " ", "NaN", "-1", "1e999", "999999999999999999999999", "0", "null", "true", "[]", "{}", "\u0000", "\ufeff",
    "\u202e", "é", "🦁", '"', "'", ",", "\n", "\r", "\t", "\\", "<image>", "</s>", "<script>", "../../x", "/etc/passwd",
    "9" * 5000, "[" * 100_000, "A" * 200_000, "%s", "{0}", "$x$", "\\ud800", "\\u0000", "-0", "1_000", "١٢", "ſ", "İ",
)  # fmt: skip
WAYS = ("cut", "flip", "odd", "odd", "odd", "lines", "encoding", "field", "field", "value", "value", "bytes")


def mutate(data: bytes, rng: random.Random) -> bytes:
    """The content of a file with one thing wrong."""
    way, at = rng.choice(WAYS), rng.randrange(max(1, len(data)))
    odd = rng.choice(ODDITIES).encode("utf-8", "surrogatepass")
    if way == "cut":
        return data[:at]
    if way == "flip":
        changed = bytearray(data)
        for _ in range(rng.choice([1, 5]) if data else 0):
            changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return bytes(changed)
    if way == "bytes":
        return data[:at] + rng.randbytes(rng.choice([1, 3, 40])) + data[at:]
    if way == "encoding":
        return data.decode("utf-8", "replace").encode(rng.choice(["utf-16", "utf-8-sig", "utf-32", "cp037"]), "replace")
    if way == "lines":
        return _other_lines(data.split(b"\n"), rng)
    if way == "value" and (changed := _other_value(data, rng)) is not None:
        return changed
    fields = [*re.finditer(rb'"[^"\n]*"|-?\d+(\.\d+)?|[^,\n]+', data)]
    if way != "odd" and fields:  # one quoted text or number is another
        field = rng.choice(fields)
        quoted = field[0].startswith(b'"') and rng.random() < 0.7
        return data[: field.start()] + (b'"' + odd + b'"' if quoted else odd) + data[field.end() :]
    return data[:at] + odd + data[at + rng.choice([0, 0, len(odd)]) :]


def _other_lines(lines: list[bytes], rng: random.Random) -> bytes:
    at, kind = rng.randrange(len(lines)), rng.choice(["twice", "gone", "shuffled", "cr", "half"])
    if kind == "twice":
        lines.insert(at, lines[at])
    elif kind == "gone":
        lines.pop(at)
    elif kind == "shuffled":
        rng.shuffle(lines)
    elif kind == "half":
        lines[at] = lines[at][: len(lines[at]) // 2]
    return (b"\r" if kind == "cr" else b"\n").join(lines)


def _other_value(data: bytes, rng: random.Random) -> bytes | None:
    """JSON, or one line of JSON lines, in which one value is of another kind, or gone; None where it is no JSON."""
    lines = data.split(b"\n")
    for wholes in ([data], lines):
        at = rng.randrange(len(wholes))
        try:
            value = json.loads(wholes[at])
        except ValueError:
            continue
        places = list(_places(value))
        if not places:
            continue
        inside, key = rng.choice(places)
        if rng.random() < 0.3:
            del inside[key]
        else:
            inside[key] = rng.choice([None, [], {}, "", "x", -1, 0, 1.5, True, 10**30, float("nan"), [[1]], {"a": 1}])
        return b"\n".join([*wholes[:at], json.dumps(value).encode(), *wholes[at + 1 :]])
    return None


def _places(value):
    """(container, key) of every value inside."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield value, key
            yield from _places(item)


@dataclass(frozen=True)
class Target:
    """make(folder): a valid set of files → those to be mutated; read(folder): what the kit makes of it, or "WRONG …".

    n: mutations at full share; named: an error must name the file, which a text without one cannot
    """

    make: Callable[[Path], list[Path]]
    read: Callable[[Path], object]
    n: int = 20
    named: bool = True


def _each(paths, read: Callable) -> None:
    """All are read; the first error is raised at the end."""
    errors = []
    for path in paths:
        try:
            read(path)
        except (ValueError, OSError) as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _listed(folder: Path, *suffixes: str) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and (not suffixes or p.suffix in suffixes))


# --- pairs, clips, lists


def _csv(folder: Path) -> list[Path]:
    for k in range(4):
        (folder / f"c{k}.mp4").write_bytes(b"x")
    labels = [("fire", "train"), ("fight", "train"), ("fire", "test"), ('"a ""b"""', "test")]
    rows = [f"c{k}.mp4,{label},0.5,1.5,{split}" for k, (label, split) in enumerate(labels)]
    (folder / "my.csv").write_text("video,label,start_s,end_s,split\n" + "\n".join(rows) + "\n")
    return [folder / "my.csv"]


def _read_csv(folder: Path) -> None:
    clips_from_csv(folder / "my.csv", for_training=True)


def _events(folder: Path) -> list[Path]:
    (folder / "e.csv").write_text("clip,start_s,end_s\nc0.mp4,0.5,1.5\nc0.mp4,3,4\nc1.mp4,0,2\n")
    return [folder / "e.csv"]


def _read_events(folder: Path) -> None:
    read_events(folder / "e.csv")


def _pairs() -> list:
    more = {"events": ((0.5, 1.0),), "n_frames": 9, "fps": 3.0, "extra": {"a": [1]}}
    return [small.pair(f"c{k}", small.LABELS[k % 3], **more) for k in range(4)]


def _jsonl(folder: Path) -> list[Path]:
    return [write_jsonl(_pairs(), folder / "p.jsonl")]


def _read_jsonl(folder: Path) -> str | None:
    pairs = read_jsonl(folder / "p.jsonl")
    if read_jsonl(write_jsonl(pairs, folder / "again.jsonl")) != pairs:
        return "WRONG other pairs after writing"
    return None


def _llava(folder: Path) -> list[Path]:
    return [write_llava(_pairs(), folder / "p.json")]


def _read_llava(folder: Path) -> None:
    read_llava(folder / "p.json")


def _crime(folder: Path) -> list[Path]:
    train = "Abuse/Abuse001_x264.mp4\nTraining_Normal_Videos_Anomaly/Normal_Videos001_x264.mp4\n"
    (folder / "Anomaly_Train.txt").write_text(train)
    test = "Arson002_x264.mp4  Arson  154  185  -1  -1  \nNormal_Videos_002_x264.mp4  Normal  -1  -1  -1  -1  \n"
    (folder / "Temporal_Anomaly_Annotation.txt").write_text(test)
    counts = "video,n_frames,video_fps\nAbuse001_x264.mp4,900,30\nArson002_x264.mp4,900,30\n"
    (folder / "counts.csv").write_text(counts)
    return sorted(folder.iterdir())


def _read_crime(folder: Path) -> None:
    made = ucf_crime.build(None, lists=folder, lists_only=True, frame_counts=folder / "counts.csv")
    made.write(folder / "out")


def _animals(folder: Path) -> list[Path]:
    made_up_animals.make_lists(folder)
    return _listed(folder, ".txt", ".csv", ".json")


def _read_animals(folder: Path) -> None:
    animal_kingdom.build(None, lists=folder, lists_only=True).write(folder / "out")


def _films(folder: Path) -> list[Path]:
    made_up_films.make_films(folder)
    return _listed(folder, ".txt", ".srt", ".vtt")


def _read_films(folder: Path) -> None:
    plan(read_films(folder))


def _subtitles(folder: Path) -> list[Path]:
    cues = "1\n00:00:01,000 --> 00:00:02,500\nHello <i>there</i>\nyou\n\n2\n00:00:03,000 --> 00:00:04,000\nBye &amp;\n"
    (folder / "s.srt").write_text(cues)
    (folder / "s.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.500\nHello\n\n00:00:03.000 --> 00:00:04.000\nBye\n")
    return [folder / "s.srt", folder / "s.vtt"]


def _read_subtitles(folder: Path) -> None:
    _each(_listed(folder), lambda path: frame_texts(read_subtitles(path), [0.0, 1.0, 2.0], end_s=3))


def _pictures(folder: Path) -> list[Path]:
    picture = Image.effect_noise((60, 40), 50).convert("RGB")
    for suffix in ("png", "jpg", "webp", "bmp"):
        picture.save(folder / f"a.{suffix}")
    return _listed(folder)


def _read_pictures(folder: Path) -> None:
    _each(_listed(folder), lambda path: pixel_values(read_picture(path)[None], pad=True))


# --- runs


def _logs(folder: Path) -> list[Path]:
    made_up_logs.make_logs(folder)
    return sorted(folder.iterdir())


def _read_logs(folder: Path) -> None:
    records(read_logs(folder))


def _open_run(folder: Path) -> list[Path]:
    made_up_open_runs.by_hand(folder / "run")
    return _listed(folder, ".json", ".jsonl")


def _read_open_run(folder: Path) -> None:
    _read_run(folder)
    judge_open_run(folder / "run", [RuleJudge("mention")])


def _closed_run(folder: Path) -> list[Path]:
    made_up_runs.write_run(folder / "run", made_up_runs.RUNS["one_rate"])
    return _listed(folder, ".json", ".jsonl")


def _read_run(folder: Path) -> None:
    report_cells(folder / "run")


def report_cells(folder: Path, *, figures: bool = False) -> None:
    """Every cell of a run's report, in this process; figures: all that lies in files beside it, too."""
    run = Run(folder)
    run.check()
    if figures:
        page.write_figures(run)
    absent = page.absent_tags(run)
    notebook = nbformat.read(page.notebook_path(page.OPEN_NOTEBOOK if run.open else page.NOTEBOOK), as_version=4)
    names: dict = {}
    for cell in notebook.cells:
        tags = set(cell.metadata.get("tags", ()))
        if cell.cell_type == "code" and not absent & tags:
            exec(cell.source, names)
            if "parameters" in tags:
                names["RUN"] = str(run.folder)


def _begun(folder: Path) -> list[Path]:
    for k in range(4):
        small.write_clip(folder / f"c{k}.mp4", seed=k, seconds=0.5)
    _go_on(folder)
    for arm in (folder / "run" / "arms").iterdir():
        arm.write_bytes(b"".join(arm.read_bytes().splitlines(keepends=True)[:3]))
    return _listed(folder / "run", ".json", ".jsonl")


def _go_on(folder: Path) -> None:
    pairs = [replace(pair, events=(), n_frames=None, fps=None) for pair in _pairs()]
    config = AblationConfig(model=str(MODEL), finetune=False, fps=(1,), batch=2, max_new_tokens=4)
    ablate(pairs, root=folder, out=folder / "run", config=config)
    report_cells(folder / "run")


def _cache(folder: Path) -> list[Path]:
    small.write_clip(folder / "c.mp4", seed=1)
    _read_cache(folder)
    return _listed(folder / "cache", ".safetensors")


def _read_cache(folder: Path) -> str | None:
    model, video = checkpoints.load(MODEL), Video(folder / "c.mp4")
    kept, new = (FrameCache(model, to).tokens(video, "What is it?", fps=3)[0] for to in (folder / "cache", None))
    same = kept.context.equal(new.context) and kept.content.equal(new.content)
    return None if same else "WRONG other tokens than without the cache"


def _arm(folder: Path) -> list[Path]:
    resume(folder / "a.jsonl", {"name": "x", "n": 1}, n=6, batch=2)
    append(folder / "a.jsonl", [{"clip": str(k), "reply": "né\u2028"} for k in range(4)])
    return [folder / "a.jsonl"]


def _read_arm(folder: Path) -> str | None:
    items = [{"clip": str(k)} for k in range(6)]
    done = resume(folder / "a.jsonl", {"name": "x", "n": 1}, n=6, batch=2, items=items)
    append(folder / "a.jsonl", [{"clip": str(k), "reply": ""} for k in range(done, 6)])
    _, lines = read_replies(folder / "a.jsonl")
    clips = [line.get("clip") for line in lines]
    return None if clips == [str(k) for k in range(6)] else f"WRONG {clips}"


# --- benchmarks and judges

IMAGES = ("gqa", "pope", "scienceqa", "mmbench", "vizwiz", "vqav2")
VIDEOS = ("msvd", "msrvtt", "activitynet", "video_chatgpt")


def _benchmarks(folder: Path) -> list[Path]:
    for module, names in ((made_up_benchmarks, IMAGES), (made_up_video_benchmarks, VIDEOS)):
        for name in names:
            getattr(module, name)(folder / name)
    return _listed(folder, ".jsonl", ".json", ".tsv", ".csv", ".txt")


def _read_benchmarks(folder: Path) -> None:
    def read(path: Path) -> None:
        one = benchmark(path.name)
        items = one.load(path)
        if path.name in IMAGES:
            one.score(items, {item.id: "red" for item in items}, mode=one.modes[0])

    _each(sorted(folder.iterdir()), read)


def _benchmark_run(folder: Path) -> list[Path]:
    made_up_benchmarks.pope(folder / "pope")
    items = benchmark("pope").load(folder / "pope")
    head = {"benchmark": "pope", "name": "small", "model": "m", "n": len(items), "items": items_key(items, "image")}
    lines = [{"run": head}, *({"id": item.id, "reply": "Yes"} for item in items)]
    (folder / REPLIES).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return [folder / REPLIES]


def _read_benchmark_run(folder: Path) -> None:
    rescore(benchmark("pope"), data=folder / "pope", out=folder)


def _verdict(folder: Path) -> list[Path]:
    (folder / "reply.txt").write_text('```json\n{"pred": "yes", "score": 4}\n```')
    return [folder / "reply.txt"]


def _read_verdict(folder: Path) -> None:
    said = (folder / "reply.txt").read_bytes().decode("utf-8", "surrogateescape")
    for mode in ("strict", "original"):
        read_verdict("a", said, mode=mode)


def _body(folder: Path) -> list[Path]:
    choice = {"message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 1}
    (folder / "body.json").write_text(json.dumps({"choices": [choice], "usage": usage}))
    return [folder / "body.json"]


class _Said:
    identity = {}  # noqa: RUF012

    def __init__(self, reply: Reply):
        self._reply = reply

    def reply(self, messages) -> Reply:
        return self._reply


def _read_body(folder: Path) -> str | None:
    try:
        reply = Endpoint("http://127.0.0.1:1/v1", "m")._read((folder / "body.json").read_bytes())
    except _TransientError:
        return None
    asked = [{"role": "user", "content": "x"}]
    ReplyLog(folder / "log.jsonl").reply(_Said(reply), asked)
    again = ReplyLog(folder / "log.jsonl").reply(_Said(Reply("another")), asked)
    return None if again.text == reply.text else f"WRONG {again.text}"


def _reply_log(folder: Path) -> list[Path]:
    log = ReplyLog(folder / "log.jsonl")
    for k in range(3):
        log.reply(_Said(Reply("né\u2028x")), [{"role": "user", "content": str(k)}])
    return [folder / "log.jsonl"]


def _read_reply_log(folder: Path) -> str | None:
    log, asked = ReplyLog(folder / "log.jsonl"), [{"role": "user", "content": "0"}]
    said = log.reply(_Said(Reply("new")), asked)
    return None if isinstance(said.text, str) and isinstance(said.finish, str) else f"WRONG {said}"


def _chat_model(folder: Path) -> list[Path]:
    small.chat_model(small.tokenizers()[0], folder / "chat")
    return _listed(folder / "chat")


def _read_chat_model(folder: Path) -> None:
    chat = LocalModel(str(folder / "chat"), settings={"temperature": 0, "max_tokens": 3}, device="cpu")
    with suppress(RefusedError):
        chat.reply([{"role": "user", "content": "Is it red?"}])


def _film_reply(folder: Path) -> list[Path]:
    long = "A long answer about the film. " * 8
    pairs = [{"type": t, "question": f"What is {t} about in the film?", "answer": long} for t in ("plot", "character")]
    (folder / "reply.txt").write_text(json.dumps({"pairs": pairs}))
    return [folder / "reply.txt"]


def _read_film_reply(folder: Path) -> None:
    said = (folder / "reply.txt").read_bytes().decode("utf-8", "surrogateescape")
    try:
        read_reply(said, KINDS["plot"], 2)
    except MalformedReplyError:
        return


# --- models

MODEL = Path()  # of the run: a small model, and beside it an adapter


def _config(folder: Path) -> list[Path]:
    shutil.copytree(MODEL, folder / "model")
    return [folder / "model" / "config.json"]


def _read_model(folder: Path) -> None:
    examine(folder / "model")
    model = checkpoints.load(folder / "model")
    model.frame_tokens(model.encode_frames(torch.zeros(1, 3, 28, 28)), "What is it?")


def _weights(folder: Path) -> list[Path]:
    shutil.copytree(MODEL, folder / "model")
    return [folder / "model" / "model.safetensors"]


def _index(folder: Path) -> list[Path]:
    shutil.copytree(MODEL, folder / "model")
    model = checkpoints.load(MODEL)
    (folder / "model" / "model.safetensors").unlink()
    model.save_pretrained(folder / "model", max_shard_size="60KB")
    return [folder / "model" / "model.safetensors.index.json"]


def _tokenizer(folder: Path) -> list[Path]:
    shutil.copytree(MODEL, folder / "model")
    return sorted((folder / "model").rglob("*token*.json"))


def _adapter(folder: Path) -> list[Path]:
    shutil.copytree(MODEL.parent / "adapter", folder / "adapter")
    return [folder / "adapter" / "adapter_config.json", folder / "adapter" / "adapter_model.safetensors"]


def _read_adapter(folder: Path) -> None:
    checkpoints.load(MODEL, adapter=folder / "adapter")


def _original(folder: Path) -> list[Path]:
    shutil.copytree(CASE, folder / "case01")
    return _listed(folder / "case01" / "checkpoint") + _listed(folder / "case01" / "bert-base-uncased")


def _heads(case: Path) -> int:
    return json.loads((case / "tiny_dims.json").read_text())["vision"]["num_heads"]


def _read_original(folder: Path) -> None:
    heads = _heads(CASE)
    examine(folder / "case01" / "checkpoint", vision_heads=heads)
    convert(folder / "case01" / "checkpoint", out=folder / "ours", vision_heads=heads)


def _converted(folder: Path) -> list[Path]:
    shutil.copytree(MODEL.parent / "converted", folder / "ours")
    return _listed(folder / "ours")


def _read_converted(folder: Path) -> None:
    examine(folder / "ours")
    export(folder / "ours", out=folder / "back")


def _features(folder: Path) -> list[Path]:
    with (folder / "f.pkl").open("wb") as file:
        pickle.dump({"feats": np.zeros((2, 5, 4), np.float16), "inputs": "<image>a<image>"}, file, protocol=2)
    return [folder / "f.pkl"]


def _read_features(folder: Path) -> None:
    import_features(folder / "f.pkl")


TARGETS = {
    "a user's CSV": Target(_csv, _read_csv, 40),
    "events": Target(_events, _read_events),
    "pairs, JSONL": Target(_jsonl, _read_jsonl, 40),
    "pairs, LLaVA": Target(_llava, _read_llava),
    "crime lists": Target(_crime, _read_crime, 40),
    "animal lists": Target(_animals, _read_animals, 40),
    "films": Target(_films, _read_films),
    "subtitles": Target(_subtitles, _read_subtitles, 30),
    "pictures": Target(_pictures, _read_pictures),
    "prediction logs": Target(_logs, _read_logs, 30),
    "open run": Target(_open_run, _read_open_run, 40),
    "closed run": Target(_closed_run, _read_run, 40),
    "run that goes on": Target(_begun, _go_on, 30),
    "frame cache": Target(_cache, _read_cache),
    "arm": Target(_arm, _read_arm, 30),
    "benchmarks": Target(_benchmarks, _read_benchmarks, 60),
    "benchmark run": Target(_benchmark_run, _read_benchmark_run),
    "judge's reply": Target(_verdict, _read_verdict, named=False),
    "endpoint's body": Target(_body, _read_body, 30, named=False),
    "reply log": Target(_reply_log, _read_reply_log),
    "local chat model": Target(_chat_model, _read_chat_model, 40),
    "film reply": Target(_film_reply, _read_film_reply, named=False),
    "config": Target(_config, _read_model, 60),
    "weights": Target(_weights, _read_model),
    "weights index": Target(_index, _read_model),
    "tokenizers": Target(_tokenizer, _read_model, 30),
    "adapter": Target(_adapter, _read_adapter, 40),
    "original": Target(_original, _read_original, 40),
    "converted": Target(_converted, _read_converted, 40),
    "feature file": Target(_features, _read_features),
}


def outcome(target: Target, folder: Path, chosen: Path, said: Path) -> tuple[str, str]:
    """("read" or "listed", …), or what went wrong and where."""
    said.unlink(missing_ok=True)

    def job() -> None:
        try:
            found = target.read(folder)
            words = ("read", "") if found is None else ("wrong", str(found))
        except (ValueError, OSError) as error:
            text = f"{error}"
            named = not target.named or any(name in text for name in (chosen.stem, str(chosen.parent)))
            words = ("listed" if named else "names no file", f"{type(error).__name__}: {text}")
        except BaseException as error:
            ours = [f for f in traceback.extract_tb(error.__traceback__) if "site-packages" not in f.filename]
            at = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
            words = ("traceback", f"{type(error).__name__} at {at}: {error}")
        said.write_text(json.dumps(words))

    code = wait(spawn(job, limits=lambda: resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))), SECONDS)
    if code != 0 or not said.is_file():
        return ("hang", f"{SECONDS} s") if code is None else ("crash", f"status {code}")
    what, words = json.loads(said.read_text())
    return what, words.replace(str(folder), "")[:300]


def make_model(place: Path) -> None:
    """A small model in `model`, and an adapter of it in `adapter`."""
    convert(CASE / "checkpoint", out=place / "converted", vision_heads=_heads(CASE))
    model = small.small_model(*small.tokenizers())
    checkpoints.save(model, place / "model")
    pairs = [small.pair(f"c{k}", small.LABELS[k % 3], split="train") for k in range(3)]
    tokens = [small.random_tokens(model, 2, seed=k) for k in range(3)]
    settings = TrainSettings(max_steps=1)
    finetune(model, pairs, tokens, out=place / "f", settings=settings, lora=LoraSettings(r=2, alpha=4))
    (place / "f" / "adapter").rename(place / "adapter")


def _note_made(target: Target, place: Path, said: Path) -> None:
    said.write_text(json.dumps([str(path.relative_to(place)) for path in sorted(target.make(place))]))


def run(table: Table, work: Path, *, share: float = 1.0, seed: int = 0) -> None:
    """Mutates files of every kind, and reads each in a child."""
    global MODEL
    MODEL = work / "prepared" / "model"
    assert wait(spawn(lambda: make_model(work / "prepared"))) == 0
    for name, target in TARGETS.items():
        sound, folder, said = work / "sound", work / "case", work / "said.json"
        shutil.rmtree(sound, ignore_errors=True)
        sound.mkdir()
        made = partial(_note_made, target, sound, said)
        assert wait(spawn(made)) == 0
        chosen = json.loads(said.read_text())
        for k in range(-1, max(1, round(target.n * share))):  # the first as it is
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(sound, folder)
            rng = seeded(seed, name, k)
            path = folder / rng.choice(chosen)
            if k >= 0:
                path.write_bytes(mutate(path.read_bytes(), rng))
            found, words = outcome(target, folder, path, said)
            assert k >= 0 or found == "read", (name, found, words)
            if k >= 0:
                table.count(name, found in ("read", "listed"), f"{k} ({path.name}): {found}: {words}")
