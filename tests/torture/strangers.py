"""Files, words and keys of unknown origin: nothing of them is run, fetched, shown or written where it should not be.

Survived: an answer where the file is harmless, else ValueError or OSError that names it, in time and within the memory.
"""

import json
import os
import pickle
import re
import resource
import shutil
import struct
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import made_up_animals
import safetensors.torch
import small
import torch
from fake_endpoint import serve
from harness import Table, spawn, wait
from texts import make_model, report_cells

from data_prep import animal_kingdom, ucf_crime
from llamavid_kit.data.clips_csv import clips_from_csv
from llamavid_kit.data.pairs import InstructionPair, multiple_choice_question
from llamavid_kit.evaluation.judges.chat.endpoint import Endpoint, ReplyLog, UnreachableError
from llamavid_kit.experiments.ablation import ablate
from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.experiments.report.page import write_report
from llamavid_kit.model import checkpoints
from llamavid_kit.model.original.doctor import examine
from llamavid_kit.model.original.features import import_features

BYTES = 12 * 2**30
RESIDENT_GB = 2.0
KEY = "sk-not-to-be-seen"
ATTENTION = "somebody/kernels"


class Trials:
    """Runs each trial in a child; mark: a folder that foreign code would make."""

    def __init__(self, table: Table, work: Path):
        self.table, self.work, self.mark = table, work, work / "RAN"

    def __call__(self, kind: str, what: str, call: Callable[[], object], *, refused: str | None = None) -> None:
        """refused: a text that the error must hold; None where an answer is as good. Any other ending is a loss."""
        said = self.work / "said"
        said.unlink(missing_ok=True)

        def job() -> None:
            try:
                call()
                words = "" if refused is None else "it was taken"
            except (ValueError, OSError) as error:
                words = "" if refused is None or refused in str(error) else f"the error names no {refused!r}: {error}"
            except BaseException as error:
                ours = [f for f in traceback.extract_tb(error.__traceback__) if "site-packages" not in f.filename]
                words = f"{type(error).__name__} at {Path(ours[-1].filename).name}:{ours[-1].lineno}: {error}"
            used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
            said.write_text(words or (f"{used:.1f} GB" if used > RESIDENT_GB else ""))

        limits = lambda: resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))  # noqa: E731
        code = wait(spawn(job, limits=limits), 60)
        words = said.read_text() if said.is_file() else "it hangs" if code is None else f"status {code}"
        if self.mark.exists():
            words = f"FOREIGN CODE WAS RUN; {words}"
            self.mark.rmdir()
        self.table.count(kind, not words, f"{what}: {words[:300]}")


class Runs:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def pickles(trial: Trials, work: Path) -> None:
    def name(module: str, what: str) -> bytes:
        return b"c" + f"{module}\n{what}\n".encode()

    def text(words: str) -> bytes:
        return b"X" + struct.pack("<I", len(words)) + words.encode()

    one = b"\x8a\x08" + struct.pack("<q", 1)
    array, dtype = name("numpy", "ndarray"), name("numpy", "dtype") + text("O") + b"\x85R"
    eight = b"B" + struct.pack("<I", 8) + b"A" * 8  # an array of objects over raw bytes: addresses of the file's choice
    files = {
        "runs code": pickle.dumps({"feats": Runs(trial.mark), "inputs": ""}),
        "runs code by a name of ours": pickle.dumps({"feats": Runs(trial.mark), "inputs": ""}, protocol=0),
        "made-up addresses": b"\x80\x03" + array + array + b"(" + one + b"\x85" + dtype + eight + b"tR\x85R.",
        "a million lists": b"\x80\x03" + b"]" * 1_000_000 + b"a" * 999_999 + b".",
        "announces 64 GB": b"\x80\x04\x8e" + struct.pack("<Q", 2**36) + b"a.",
    }
    for what, content in files.items():
        path = work / "f.pkl"
        path.write_bytes(content)
        trial("pickle", f"a feature file: {what}", partial(import_features, path), refused="f.pkl")
    path = work / "weights.bin"
    for what, value in {"runs code": {"x": Runs(trial.mark)}, "a list": [torch.zeros(2)], "numbers": {"x": 1}}.items():
        torch.save(value, path)
        trial("pickle", f"weights: {what}", lambda: checkpoints.load_tensors(path), refused="weights.bin")


def _edited(of: Path, place: Path, changes: dict | None = None, *, name: str = "config.json") -> None:
    """A copy of a folder in whose settings some differ; "part/field" is inside a part."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(of, place)
    settings = json.loads((place / name).read_text())
    for key, value in (changes or {}).items():
        part, _, inner = key.rpartition("/")
        (settings[part] if part else settings)[inner] = value
    (place / name).write_text(json.dumps(settings))


def models(trial: Trials, work: Path) -> None:
    good, bad = work / "model", work / "bad"
    evil = f"import os; os.mkdir({str(trial.mark)!r})\n"
    code = {"AutoConfig": "evil.C", "AutoModel": "evil.M", "AutoTokenizer": ["evil.T", "evil.T"]}
    named = {"auto_map": code, "trust_remote_code": True, "custom_pipelines": {"x": {"impl": "evil.P"}}}
    changes = {key: {key: value} for key, value in named.items()}
    for part in ("", "text_config/", "vision_config/", "qformer_config/"):
        for name in ("attn_implementation", "_attn_implementation", "_attn_implementation_internal"):
            changes[part + name] = {part + name: ATTENTION}
    changes["text_config/auto_map"] = {"text_config/auto_map": code}
    changes["text_config/model_type"] = {"text_config/model_type": "../evil"}
    changes["deep"] = {"text_config/rope_parameters": {"rope_type": "default", "attn_implementation": ATTENTION}}
    for what, change in changes.items():
        _edited(good, bad, change)
        (bad / "evil.py").write_text(evil)
        trial("config", what, lambda: checkpoints.load(bad), refused="config.json")
        trial("config, examined", what, lambda: examine(bad))
    for file in ("tokenizer_config.json", "question_tokenizer/tokenizer_config.json"):
        _edited(good, bad, {"auto_map": code, "tokenizer_class": "evil.T"}, name=file)
        (bad / "evil.py").write_text(evil)
        (bad / "question_tokenizer" / "evil.py").write_text(evil)
        trial("config", f"{file} with auto_map", lambda: checkpoints.load(bad))
    _edited(good, bad)
    (bad / "model.safetensors").unlink()
    torch.save({"x": Runs(trial.mark)}, bad / "pytorch_model.bin")
    trial("weights", "a pickle that runs code", lambda: checkpoints.load(bad), refused="pytorch_model.bin")
    _edited(good, bad)
    (bad / "model.safetensors").write_bytes((bad / "model.safetensors").read_bytes()[:-9])
    trial("weights", "cut off", lambda: checkpoints.load(bad), refused="model.safetensors")
    _not_finite(trial, good, bad)
    _away(trial, good, bad, work / "elsewhere.safetensors")


def _not_finite(trial: Trials, good: Path, bad: Path) -> None:
    for name in ("language_model.lm_head.weight", "vision_tower.encoder.layers.0.self_attn.qkv.bias"):
        for value in (float("nan"), float("inf")):
            _edited(good, bad)
            tensors = safetensors.torch.load_file(bad / "model.safetensors")
            tensors[name].view(-1)[-1] = value
            safetensors.torch.save_file(tensors, bad / "model.safetensors", metadata={"format": "pt"})
            trial("weights", f"{value} in {name}", lambda: checkpoints.load(bad), refused=name)


def _away(trial: Trials, good: Path, bad: Path, elsewhere: Path) -> None:
    """An index, or a link, whose weights lie out of the folder."""
    names = list(safetensors.torch.load_file(good / "model.safetensors"))
    shutil.copy(good / "model.safetensors", elsewhere)
    for shard in (f"../{elsewhere.name}", str(elsewhere), "..\\elsewhere.safetensors", "C:elsewhere.safetensors", ".."):
        _edited(good, bad)
        (bad / "model.safetensors").unlink()
        index = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(names, shard)}
        (bad / "model.safetensors.index.json").write_text(json.dumps(index))
        trial("weights index", shard, lambda: checkpoints.load(bad), refused="index.json")
        trial("weights index, examined", shard, lambda: examine(bad))


def adapters(trial: Trials, work: Path) -> None:
    good, bad, adapter = work / "model", work / "bad-adapter", work / "adapter"
    slow = ("(.*)*(.*)*(.*)*(.*)*z$", "(.*)*(.*)*(.*)*z$", "(a|a)*$", ".*", "language_model\\..*\\.((.*)*(.*)*z)")
    slow += ("language_model\\..*\\.(q_proj|(.*)*z)", "all-linear", "(", "")
    changes = {f"target_modules={target}": {"target_modules": target} for target in slow}
    changes |= {f"peft_type={kind}": {"peft_type": kind} for kind in ("ODD", "LOHA", "PROMPT_TUNING", None, 3)}
    changes["auto_mapping"] = {"auto_mapping": {"base_model_class": "Runs", "parent_library": "evil"}}
    changes["rank_pattern"] = {"rank_pattern": {"(.*)*(.*)*z$": 4}}
    changes["modules"] = {"modules_to_save": ["lm_head"]}
    changes["layers"] = {"layers_pattern": "(.*)*(.*)*z$", "layers_to_transform": [0]}
    changes["another base"] = {"base_model_name_or_path": "https://example.org/model", "revision": "evil"}
    for what, change in changes.items():
        _edited(adapter, bad, change, name="adapter_config.json")
        free = what in ("another base", "auto_mapping")  # nothing is fetched or made by these
        refused = None if free else "adapter_config.json"
        trial("adapter", what, lambda: checkpoints.load(good, adapter=bad), refused=refused)
        trial("adapter, examined", what, lambda: examine(bad))
    _edited(adapter, bad, name="adapter_config.json")
    (bad / "adapter_model.safetensors").unlink()
    torch.save({"x": Runs(trial.mark)}, bad / "adapter_model.bin")
    trial("adapter", "a pickle that runs code", lambda: checkpoints.load(good, adapter=bad), refused="adapter")


def keys(trial: Trials, work: Path) -> None:
    messages = [{"role": "user", "content": "x"}]
    for url in (
        f"http://:{KEY}@127.0.0.1:1/v1",
        f"http://{KEY}@127.0.0.1:1/v1",
        f"http://127.0.0.1:1/v1#{KEY}",
        f"http://127.0.0.1:1/v1?key={KEY}",
        f"http://127.0.0.1:1/v1;key={KEY}?",
        f"ftp://:{KEY}@127.0.0.1/v1",
        f"http:///{KEY}@v1?key={KEY}",
        f"http://[{KEY}/v1",
        f"http://127.0.0.1:{KEY}/v1",
    ):

        def refused(url=url) -> None:
            try:
                made = Endpoint(url, "m")
            except ValueError as error:
                if KEY in str(error):
                    raise AssertionError(f"the error shows the key: {error}") from None
                return
            raise AssertionError(f"it was taken: {made}")

        trial("key", f"in the address {url.replace(KEY, 'KEY')}", refused)

    def repeated(status: int) -> None:
        """A server that repeats the key, in its answer or its error: nobody reads it there."""
        said = f"you sent {KEY}"
        with serve(lambda body, number: said if status == 200 else (status, said)) as fake:
            endpoint = Endpoint(fake.url, "m", key=KEY, retries=0, backoff_s=0)
            shown = f"{endpoint!r} {endpoint} {endpoint.identity}"
            log = work / f"log-{status}.jsonl"
            try:
                shown += ReplyLog(log).reply(endpoint, messages).text
            except (ValueError, UnreachableError) as error:
                shown += str(error)
            written = log.read_text() if log.is_file() else ""
            assert KEY not in written, f"the key is written down: {written}"
            assert KEY not in shown, f"the key is shown: {shown}"

    for status in (200, 400, 401, 404, 429, 500):
        trial("key", f"repeated by the server, status {status}", lambda status=status: repeated(status))


def lists(trial: Trials, work: Path) -> None:
    """Lists whose videos lie out of their folder: refused with the line's number."""
    animal_lists = partial(animal_kingdom.build, None, lists_only=True)
    away = ("../../x", "/etc/x", "..\\..\\x", "C:\\x", "\\\\host\\share\\x", "a/../../x", "C:x")
    for k, path in enumerate(away):
        folder = work / f"crime-{k}"
        folder.mkdir()
        train, test = folder / "Anomaly_Train.txt", folder / "Temporal_Anomaly_Annotation.txt"
        clean = {train: "Abuse/Abuse001_x264.mp4\n", test: "Arson002_x264.mp4  Arson  154  185  -1  -1\n"}
        odd = {train: f"{path}/Abuse002_x264.mp4\n", test: f"{path}/Arson003_x264.mp4  Arson  154  185  -1  -1\n"}
        for chosen in clean:
            for file, text in clean.items():
                file.write_text(text + odd[file] * (file == chosen))
            build = partial(ucf_crime.build, None, lists=folder, lists_only=True)
            trial("list", f"crime, {chosen.name}: {path}", build, refused="line 2")
        animals = work / f"animals-{k}"
        made_up_animals.make_lists(animals)
        for name in ("train.txt", "test.txt", "durations.csv"):
            file = animals / "annotation" / name
            kept = file.read_text()
            at = 2 if name == "durations.csv" else 1
            code = re.split("[, ]", kept.splitlines()[at - 1])[0]
            file.write_text(kept.replace(code, path, 1))
            what = f"animals, {name}: {path}"
            trial("list", what, partial(animal_lists, lists=animals), refused=f"{name}, line {at}")
            file.write_text(kept)
        rows = made_up_animals.made_up_rows(20)
        made_up_animals.write_sheet(animals / made_up_animals.SHEET, [(path, *rows[0][1:]), *rows[1:]])
        trial("list", f"animals, sheet: {path}", partial(animal_lists, lists=animals), refused="line 2")
        table = work / "own.csv"
        table.write_text(f"video,label\nx.mp4,a\n{path}.mp4,b\n")
        trial("list", f"own CSV: {path}", partial(clips_from_csv, table, root=work), refused="own.csv")


LABELS = (
    "no label", "$\\y$", "x$\\y$", "$", "$x$", "\\", "\\frac", '"quoted"', "rock 'n'", "C++", "ſ", "ſhooting", "İ", "ß",
    "日本", "no", "none", "nan", "NaN", "null", "None", "True", "0", "1.0", "-1", "{x}", "%s", "[a](b)", "<b>x</b>",
    "_x_", "**x**", "`x`", "a|b", "&amp;", "#1", "=1+1", "\u202ex", "e\u0301", "é", "🦁", "x" * 2000, "w " * 300 + "w",
    "", " ", "\n", "a\nb", "a\tb", "\x00", "\x1b[31m", "\u2028", "\ud800", "a.", "a,b", " a", "a ", "label", "clip",
    "truth", "count", "index", "level_0", "recall", "mean", "accuracy", "no answer", "other",
)  # fmt: skip


def labels(trial: Trials, work: Path, *, share: float) -> None:
    """An ablation with an odd label: refused before a model is asked, or answered, counted and reported to the end."""
    for k in range(4):
        small.write_clip(work / f"c{k}.mp4", seed=k, seconds=0.5)
    model = small.small_model(*small.tokenizers())

    def go(odd: str, out: Path) -> None:
        asked = 0
        kept = checkpoints.LlamaVid.generate

        def generate(*args, **kwargs):
            nonlocal asked
            asked += 1
            return kept(*args, **kwargs)

        checkpoints.LlamaVid.generate = generate
        try:
            pairs = _pairs((odd, "free"))
            ablate(pairs, root=work, out=out, config=_config(rule="unique_mention"), model=model)
        except (ValueError, OSError) as error:
            assert not asked, f"refused after {asked} batches: {error}"
            return
        report_cells(out, figures=True)

    for k, odd in enumerate(LABELS):
        if k % max(1, round(1 / share)) == 0:
            trial("label", repr(odd)[:40], lambda odd=odd, k=k: go(odd, work / f"run{k}"))


def _pairs(names: tuple[str, ...]) -> list[InstructionPair]:
    try:
        question = multiple_choice_question("Say it", names)
    except ValueError:  # the labels of one's own file need not stand in the question
        question = "Which is it?"
    return [
        InstructionPair(id=f"c{k}", video=f"c{k}.mp4", question=question, answer=names[k % 2], choices=names)
        for k in range(4)
    ]


def _config(**more) -> AblationConfig:
    return AblationConfig(model="m", finetune=False, fps=(1,), batch=2, max_new_tokens=4, **more)


def report(trial: Trials, work: Path) -> None:
    """Labels, names and a question with HTML and Markdown in them, all the way to the page."""
    os.chdir(work)  # nbconvert embeds files below the working directory, and no others
    secret = work / "secret.txt"
    secret.write_text("nobody else's business")
    odd = ("<img src=x onerror=alert(1)>", "![m](secret.txt)", "[j](javascript:alert(1))", "x$\\y$", "no label")
    odd += ("![t](http://127.0.0.1:9/t.png)", "</script><script>alert(1)</script>")
    pairs = []
    for k in range(7):
        name = f"c{k}<img src=x onerror=alert(1)>"
        small.write_clip(work / f"{name}.mp4", seed=k, seconds=0.5)
        question = multiple_choice_question("Say it", odd)
        pair = InstructionPair(id=name, video=f"{name}.mp4", question=question, answer=odd[k], choices=odd)
        pairs.append(replace(pair, source="<b onclick=alert(1)>s</b>"))
    model = small.small_model(*small.tokenizers())

    def go() -> None:
        config = replace(_config(source="<u onclick=alert(1)>"), model="<i onclick=alert(1)>m</i>")
        ablate(pairs, root=work, out=work / "run", config=config, model=model)
        page = write_report(work / "run").read_text()
        for what, fine in {
            "an element runs code": not re.search(r"<[a-z]+[^>]*\bon[a-z]+=", page),
            "a file is embedded": b"nobody" not in page.encode() and "bm9ib2R5" not in page,
            "something is fetched": 'src="http' not in page,
            "a link runs code": 'href="javascript:' not in page,
            "no policy forbids scripts": "Content-Security-Policy" in page,
        }.items():
            assert fine, what

    trial("report", "odd words", go)


def run(table: Table, work: Path, *, share: float = 1.0, seed: int = 0) -> None:
    """share: of the odd labels; all else is tried whole. seed: unused, nothing is drawn."""
    assert wait(spawn(lambda: make_model(work))) == 0
    places = {name: work / name for name in ("pickles", "keys", "lists", "labels", "report")}
    for place in places.values():
        place.mkdir()
    trial = Trials(table, work)
    pickles(trial, places["pickles"])
    models(trial, work)
    adapters(trial, work)
    keys(trial, places["keys"])
    lists(trial, places["lists"])
    labels(trial, places["labels"], share=share)
    report(trial, places["report"])
