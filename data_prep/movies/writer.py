"""Films' texts → long-video question-answer pairs of the paper's three kinds, written by a chat model.

Takes the folders that `sources` describes, asks what the files in `prompts/` say, and gives a `MovieSet`. Each pair
keeps the passage that it comes from; each request, kind or question that gives no pair is listed with its reason.
Replies are checked in `replies`; the chat model's log makes a run that was killed go on where it was.
"""

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data_prep.movies.plan import KINDS, PASSAGE_CHARS, PER_FILM, Request, plan
from data_prep.movies.replies import (
    SHIPPED_PROMPTS,
    MalformedReplyError,
    Prompts,
    QuestionAnswer,
    read_reply,
    same_question,
)
from data_prep.movies.sources import read_films
from llamavid_kit.data.pairs import InstructionPair, write_jsonl, write_llava
from llamavid_kit.evaluation.judges.chat.endpoint import (
    DEFAULT_SETTINGS,
    Chat,
    RefusedError,
    ReplyLog,
    UnreachableError,
)
from llamavid_kit.evaluation.judges.chat.named import named_chat
from llamavid_kit.files import write_whole, writing

log = logging.getLogger(__name__)

IN_A_ROW = 3  # requests without any reply after which the endpoint counts as gone
NO_REPLY, REFUSED, MALFORMED = "no reply", "refused", "malformed"
NO_SOURCE, DUPLICATE = "no source", "duplicate question"


@dataclass(frozen=True)
class Outcome:
    """What became of a request: pairs, or why there are none. problems: of each unusable reply, in order."""

    pairs: tuple[QuestionAnswer, ...] = ()
    problems: tuple[str, ...] = ()
    failure: str = ""
    detail: str = ""


@dataclass
class MovieSet:
    """What `build` made. failures: JSON objects with film, kind, reason, detail, and the passage if there was one.

    about: model, settings, prompts and sizes, JSON values; films_without_video: their pairs name a file not there
    """

    pairs: list[InstructionPair] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    n_films: int = 0
    n_requests: int = 0
    n_asked_again: int = 0
    films_without_video: list[str] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)

    def counts(self) -> dict[str, Any]:
        """Films, requests, unusable replies that were asked again, pairs by kind, failures by reason; JSON values."""
        return {
            "films": self.n_films,
            "films_without_video": len(self.films_without_video),
            "requests": self.n_requests,
            "asked_again": self.n_asked_again,
            "pairs": dict(Counter(pair.extra["kind"] for pair in self.pairs)),
            "failures": dict(Counter(failure["reason"] for failure in self.failures)),
        }

    def write(self, out: str | Path) -> list[Path]:
        """Writes pairs.jsonl, pairs.llava.json, failures.jsonl and run.json. Returns their paths."""
        out = Path(out)
        paths = [write_jsonl(self.pairs, out / "pairs.jsonl"), write_llava(self.pairs, out / "pairs.llava.json")]
        lines = "".join(json.dumps(failure) + "\n" for failure in self.failures)
        write_whole(out / "failures.jsonl", lines)
        run = json.dumps({"counts": self.counts(), **self.about}, indent=1, ensure_ascii=False)
        write_whole(out / "run.json", run + "\n")
        return [*paths, out / "failures.jsonl", out / "run.json"]


def build(
    root: str | Path,
    chat: Chat,
    *,
    replies: str | Path,
    per_film: Mapping[str, int] = PER_FILM,
    passage_chars: int = PASSAGE_CHARS,
    prompts: Prompts | None = None,
    again: int = 2,
    parallel: int = 1,
) -> MovieSet:
    """Pairs of all films below `root`. replies: the log of the model's replies; what is in it is not asked again.

    again: how often an unusable reply is asked for once more    parallel: requests at a time

    The result depends on texts, prompts, model, settings and replies only, not on the order in which replies come.
    Raises ValueError where the model cannot be reached several requests in a row; the log keeps what there is.
    """
    if again < 0 or parallel < 1:
        raise ValueError(f"{again=}, {parallel=}: expected at least 0 and at least 1")
    films = read_films(root)
    requests, unmade = plan(films, per_film=per_film, passage_chars=passage_chars)
    prompt_files = prompts or Prompts()
    known = ReplyLog(replies)
    outcomes = _outcomes(requests, lambda request: _ask(request, chat, prompt_files, known, again), parallel, known)
    result = MovieSet(
        failures=[_failure(film, kind, NO_SOURCE, why) for film, kind, why in unmade],
        n_films=len(films),
        n_requests=len(requests),
        films_without_video=[film.name for film in films if not film.has_video],
        about={
            **chat.identity,
            "per_film": dict(per_film),
            "passage_chars": passage_chars,
            "again": again,
            "prompts": prompt_files.texts,
        },
    )
    _collect(requests, outcomes, result)
    return result


def _outcomes(
    requests: Sequence[Request], ask: Callable[[Request], Outcome], parallel: int, known: ReplyLog
) -> dict[str, Outcome]:
    """Request id → outcome. The threads do not outlive an error or a Ctrl-C by more than a request."""
    outcomes: dict[str, Outcome] = {}
    n_unreachable = 0
    with ThreadPool(parallel) as pool, tqdm(total=len(requests), desc="requests", unit="request") as bar:
        for request, outcome in pool.imap_unordered(lambda request: (request, ask(request)), requests):
            outcomes[request.id] = outcome
            bar.update()
            n_unreachable = n_unreachable + 1 if outcome.failure == NO_REPLY else 0
            if n_unreachable == IN_A_ROW:
                raise ValueError(
                    f"{IN_A_ROW} requests in a row got no reply, the last: {outcome.detail}. {len(known)} replies are "
                    f"kept in {known.path}; the same command continues from there"
                )
    return outcomes


def _ask(request: Request, chat: Chat, prompts: Prompts, known: ReplyLog, again: int) -> Outcome:
    """Asks until a reply is usable, at most 1 + `again` times."""
    first = prompts.ask(request.kind, film=request.film.name, n=request.n, passage=request.passage.text)
    messages = first
    problems: list[str] = []
    for attempt in range(1, again + 2):
        try:
            reply = known.reply(chat, messages, attempt=attempt, about=request.id)
            pairs = read_reply(reply.text, KINDS[request.kind], request.n)
            return Outcome(pairs=tuple(pairs), problems=tuple(problems))
        except UnreachableError as error:
            return Outcome((), tuple(problems), NO_REPLY, str(error))
        except RefusedError as error:
            return Outcome((), tuple(problems), REFUSED, str(error))
        except MalformedReplyError as error:
            problems.append(str(error) + " (it was cut off at max_tokens)" * (reply.finish == "length"))
            log.warning("%s: reply %d of at most %d: %s", request.id, attempt, again + 1, problems[-1])
            messages = prompts.ask_again(first, reply.text, problems[-1], request.n)
    return Outcome((), tuple(problems), MALFORMED, problems[-1])


def _collect(requests: Sequence[Request], outcomes: Mapping[str, Outcome], result: MovieSet) -> None:
    """Fills pairs and failures in the order of the requests; the first of two equal questions about a film stays."""
    used: dict[tuple[str, str], str] = {}
    for request in requests:
        outcome = outcomes[request.id]
        film, passage = request.film.name, asdict(request.passage)
        extra: dict[str, Any] = {"passage": passage}
        if "subtitles" in request.film.texts:  # what training shows between the frames
            extra["subtitles"] = request.film.texts["subtitles"][0]
        result.n_asked_again += len(outcome.problems) - (outcome.failure == MALFORMED)
        if outcome.failure:
            more = {"request": request.id, "problems": list(outcome.problems), "passage": passage}
            result.failures.append(_failure(film, request.kind, outcome.failure, outcome.detail, **more))
        for k, qa in enumerate(outcome.pairs, start=1):
            pair_id = f"{request.id}/{k}"
            same = used.setdefault((film, same_question(qa.question)), pair_id)
            if same != pair_id:
                detail = f"{qa.question!r} was already asked by {same}"
                result.failures.append(_failure(film, request.kind, DUPLICATE, detail, pair=pair_id, passage=passage))
                continue
            result.pairs.append(
                InstructionPair(
                    id=pair_id,
                    video=request.film.video,
                    question=qa.question,
                    answer=qa.answer,
                    split="train",
                    source="movies",
                    extra=extra | {"kind": request.kind, "type": qa.type, "film": film},
                )
            )


def _failure(film: str, kind: str, reason: str, detail: str, **more: Any) -> dict[str, Any]:
    return {"film": film, "kind": kind, "reason": reason, "detail": detail, **more}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m data_prep movies`."""
    parser.description = (
        "Synopses, scripts and subtitles → long-video question-answer pairs, written by a chat model. FILMS holds a "
        "folder a film with synopsis.txt, script.txt, subtitles.srt or .vtt (each optional) and video.mp4."
    )
    parser.add_argument("films", help="folder with a folder a film")
    parser.add_argument("--model", help="the name that the endpoint serves; without --endpoint a folder or hub name")
    parser.add_argument("--endpoint", metavar="URL", help="OpenAI-compatible server, such as http://127.0.0.1:8000/v1")
    key = "environment variable with the endpoint's key; without it none is sent"
    parser.add_argument("--key-env", metavar="NAME", help=key)
    out = "folder for pairs, failures and the log of replies (default: movie_pairs); the same folder continues"
    parser.add_argument("--out", default="movie_pairs", help=out)
    parser.add_argument("--dry-run", action="store_true", help="say what would be asked, and ask nothing")
    for name, kind in KINDS.items():
        text = f"{' and '.join(kind.types)} pairs a film (default: {kind.per_film}; 0: none)"
        parser.add_argument(f"--{name}", type=int, default=kind.per_film, metavar="N", help=text)
    text = f"characters of a passage at most (default: {PASSAGE_CHARS}, about {PASSAGE_CHARS // 4} tokens)"
    parser.add_argument("--passage-chars", type=int, default=PASSAGE_CHARS, metavar="N", help=text)
    text = "folder with your own prompt files (default: {})".format(str(SHIPPED_PROMPTS).replace("%", "%%"))
    parser.add_argument("--prompts", default=SHIPPED_PROMPTS, metavar="FOLDER", help=text)
    text = "a setting of the model, null to leave it out, for example max_tokens=2000 or temperature=null; repeatable"
    parser.add_argument("--set", action="append", default=[], metavar="NAME=JSON", help=text)
    text = "how often an unusable reply is asked for again (default: 2)"
    parser.add_argument("--again", type=int, default=2, metavar="N", help=text)
    parser.add_argument("--parallel", type=int, default=1, metavar="N", help="requests at a time (default: 1)")
    text = "seconds for a reply of the endpoint (default: 300)"
    parser.add_argument("--timeout", type=float, default=300.0, metavar="S", help=text)
    text = "further tries after a time-out, a broken connection, 429 or 5xx (default: 5)"
    parser.add_argument("--retries", type=int, default=5, metavar="N", help=text)


def run(args: argparse.Namespace) -> int:
    """Builds, writes and prints counts. Returns 0, 1 where no pair was made, 130 after Ctrl-C."""
    per_film = {name: getattr(args, name) for name in KINDS}
    prompts = Prompts(args.prompts)
    if args.dry_run:
        return _print_plan(args, per_film)
    with writing(args.out):
        return _run(args, per_film, prompts)


def _run(args: argparse.Namespace, per_film: Mapping[str, int], prompts: Prompts) -> int:
    replies = Path(args.out) / "replies.jsonl"
    try:
        result = build(
            args.films,
            _chat(args),
            replies=replies,
            per_film=per_film,
            passage_chars=args.passage_chars,
            prompts=prompts,
            again=args.again,
            parallel=args.parallel,
        )
    except KeyboardInterrupt:
        print(
            f"stopped: the replies so far are kept in {replies}; the same command continues from there", file=sys.stderr
        )
        return 130
    counts = result.counts()
    print(f"{counts['films']} films, {counts['requests']} requests, {counts['asked_again']} replies asked for again")
    print("pairs:", ", ".join(f"{kind} {n}" for kind, n in counts["pairs"].items()) or "none")
    if counts["failures"]:
        print("failures:", ", ".join(f"{reason} {n}" for reason, n in counts["failures"].items()))
    if result.films_without_video:
        print(f"note: no video.mp4 in {len(result.films_without_video)} films; their pairs name where it belongs")
    for path in result.write(args.out):
        print("wrote", path)
    return 0 if result.pairs else 1


def _chat(args: argparse.Namespace) -> Chat:
    """The model that the options name. Raises ValueError naming the option that is wrong."""
    if not args.model:
        raise ValueError("--model is missing: the name that the endpoint serves, or a local folder without --endpoint")
    return named_chat(
        args.model,
        endpoint=args.endpoint,
        key_env=args.key_env,
        changed=args.set,
        settings=DEFAULT_SETTINGS,
        timeout_s=args.timeout,
        retries=args.retries,
    )


def _print_plan(args: argparse.Namespace, per_film: Mapping[str, int]) -> int:
    requests, unmade = plan(read_films(args.films), per_film=per_film, passage_chars=args.passage_chars)
    for kind in KINDS:
        of_kind = [request for request in requests if request.kind == kind]
        n_chars = sum(len(request.passage.text) for request in of_kind)
        print(f"{kind}: {len(of_kind)} requests, {sum(r.n for r in of_kind)} pairs, {n_chars} characters of passages")
    for film, kind, why in unmade:
        print(f"no {kind} for {film}: {why}")
    return 0
