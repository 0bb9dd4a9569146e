"""Guards how far judges agree, with each other and with themselves, and how sure the number is."""

import hashlib
import time

import numpy as np
import pytest
from fake_endpoint import Fault, completion, serve
from hypothesis import given
from hypothesis import strategies as st
from judging import NO, YES, endpoint
from sklearn.metrics import cohen_kappa_score

from llamavid_kit.evaluation.judges.agreement import agreement, kappa_of, repeatability
from llamavid_kit.evaluation.judges.chat.endpoint import Endpoint
from llamavid_kit.evaluation.judges.judge import ChatJudge, RuleJudge
from llamavid_kit.evaluation.judges.prompts import JudgeItem
from llamavid_kit.evaluation.judges.verdict_parser import Verdict


def verdicts_of(pairs) -> list[Verdict]:
    return [
        Verdict(f"q{k}", yes, score) if score is not None else Verdict(f"q{k}", None, None, "", "none")
        for k, (yes, score) in enumerate(pairs)
    ]


def test_agreement_by_hand():
    """20 both yes, 5 and 10 apart, 15 both no: kappa 0.4 (the textbook's example)."""
    one = [(True, 5)] * 20 + [(True, 4)] * 5 + [(False, 1)] * 10 + [(False, 0)] * 15
    two = [(True, 5)] * 20 + [(False, 1)] * 5 + [(True, 4)] * 10 + [(False, 0)] * 15
    comparison = agreement(verdicts_of(one), verdicts_of(two))
    assert (comparison.n, comparison.n_both, comparison.n_groups, comparison.no_verdict) == (50, 50, 50, (0, 0))
    assert comparison.same == 0.7 and comparison.kappa.value == pytest.approx(0.4)
    assert comparison.kappa.interval95[0] < 0.4 < comparison.kappa.interval95[1] and comparison.kappa.n_undefined == 0
    assert 0.1 < comparison.kappa.interval95[0] < 0.2 and 0.6 < comparison.kappa.interval95[1] < 0.7
    scores = [[s for _, s in pairs] for pairs in (one, two)]
    assert comparison.score_kappa.value == pytest.approx(
        cohen_kappa_score(*scores, labels=range(6), weights="quadratic")
    )
    assert comparison.score_change == pytest.approx((10 * 3 - 5 * 3) / 50)
    assert comparison.score_change95[0] < comparison.score_change < comparison.score_change95[1]
    assert agreement(verdicts_of(one), list(reversed(verdicts_of(two)))) == comparison  # joined by item, not by place


def test_the_interval_of_kappa_is_that_of_scikit_learns_on_resamples():
    rng = np.random.default_rng(3)
    a = rng.integers(0, 2, 60)
    b = np.where(rng.random(60) < 0.8, a, 1 - a)
    comparison = agreement(verdicts_of([(bool(x), 5 * x) for x in a]), verdicts_of([(bool(x), 5 * x) for x in b])).kappa
    drawn = (rng.integers(0, 60, 60) for _ in range(1500))
    low, high = np.quantile([cohen_kappa_score(a[at], b[at]) for at in drawn], (0.025, 0.975))
    assert comparison.interval95 == pytest.approx((low, high), abs=0.03)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=40))
def test_kappa_of_tables_is_scikit_learns(pairs):
    a, b = map(np.array, zip(*pairs, strict=True))
    tables = np.zeros((1, 6, 6))
    np.add.at(tables, (0, a, b), 1)
    for weights in (None, "quadratic"):
        mine = float(kappa_of(tables, weights)[0])
        if len({*a, *b}) > 1:
            theirs = cohen_kappa_score(a, b, labels=range(6), weights=weights)
            assert mine == pytest.approx(theirs, nan_ok=True)
        else:
            assert np.isnan(mine)


def test_videos_and_missing_verdicts_in_an_agreement():
    one = verdicts_of([(k % 2 == 0, 5 * (k % 2 == 0)) for k in range(40)] + [(True, None), (True, 5)])
    two = verdicts_of(
        [((k % 2 == 0) ^ (k < 10), 5 * ((k % 2 == 0) ^ (k < 10))) for k in range(40)] + [(True, 5), (1, None)]
    )
    comparison = agreement(one, two, videos=[str(k // 10) for k in range(42)])
    assert (comparison.n, comparison.n_both, comparison.n_groups, comparison.no_verdict) == (42, 40, 4, (1, 1))
    assert comparison.same == 0.75
    alone = agreement(one, two)
    assert comparison.kappa.interval95[1] - comparison.kappa.interval95[0] > 1.3 * (
        alone.kappa.interval95[1] - alone.kappa.interval95[0]
    )


def test_one_value_always_has_no_kappa():
    comparison = agreement(verdicts_of([(True, 5)] * 6), verdicts_of([(True, 5)] * 6))
    assert comparison.kappa.value is None and comparison.kappa.interval95 is None and comparison.kappa.n_undefined > 0
    assert comparison.same == comparison.same_score == 1
    single = agreement(verdicts_of([(True, 5)]), verdicts_of([(False, 0)]))
    assert single.kappa.interval95 is None and single.same95 == (0, 1)


def test_what_an_agreement_refuses():
    one = verdicts_of([(True, 5), (False, 0)])
    with pytest.raises(ValueError, match=r"the same items.*\['q1'\]"):
        agreement(one, one[:1])
    with pytest.raises(ValueError, match="the same items"):
        agreement([*one, one[0]], [*one, one[0]])
    with pytest.raises(ValueError, match="none of 1 items has a verdict from both"):
        agreement(verdicts_of([(True, None)]), verdicts_of([(True, 5)]))
    with pytest.raises(ValueError, match="has score 7"):
        agreement(verdicts_of([(True, 7)]), verdicts_of([(True, 5)]))
    with pytest.raises(ValueError, match="2 verdicts and 1 videos"):
        agreement(one, one, videos=["v"])


def askings_of(*columns) -> list[list[Verdict]]:
    return [verdicts_of(column) for column in columns]


def test_repeatability_by_hand():
    """Five items, three askings; the fourth has once no verdict, the fifth never one."""
    askings = [
        [(True, 5), (False, 1), (True, 4), (True, 3), (1, None)],
        [(True, 5), (False, 0), (False, 2), (1, None), (1, None)],
        [(True, 5), (False, 1), (True, 4), (True, 3), (1, None)],
    ]
    repeats = repeatability(askings_of(*askings))
    assert (repeats.n, repeats.n_askings, repeats.n_always, repeats.n_sometimes, repeats.n_groups) == (5, 3, 3, 1, 3)
    assert repeats.no_verdict == (1, 2, 1)
    assert repeats.same == pytest.approx(2 / 3) and repeats.same_score == pytest.approx(1 / 3)
    assert repeats.score_range == pytest.approx((0 + 1 + 2) / 3)
    assert repeats.accuracies == pytest.approx((3 / 4, 1 / 3, 3 / 4))  # of the asking's own verdicts, as a row says it
    assert repeats.scores == pytest.approx((13 / 4, 7 / 3, 13 / 4))
    one, two = [1, 0, 1], [1, 0, 0]  # the third asking is as the first
    assert repeats.kappa.value == pytest.approx((2 * cohen_kappa_score(one, two) + 1) / 3)
    weighted = cohen_kappa_score([5, 1, 4], [5, 0, 2], labels=range(6), weights="quadratic")
    assert repeats.score_kappa.value == pytest.approx((2 * weighted + 1) / 3)


def test_two_askings_are_an_agreement_and_more_have_an_interval_of_their_own():
    rng = np.random.default_rng(5)
    first = rng.integers(0, 2, 60)
    columns = [[(bool(x), 5 * int(x)) for x in np.where(rng.random(60) < 0.2, 1 - first, first)] for _ in range(3)]
    videos = [str(k // 2) for k in range(60)]
    one, two, three = askings_of(*columns)
    pair, twice = agreement(one, two, videos=videos), repeatability([one, two[::-1]], videos=videos)
    for name in ("same", "same95", "kappa", "same_score", "same_score95", "score_kappa", "n_groups"):
        assert getattr(pair, name) == getattr(twice, name)
    thrice = repeatability([one, two, three], videos=videos).kappa
    pairs = [agreement(*both).kappa.value for both in ((one, two), (one, three), (two, three))]
    assert thrice.value == pytest.approx(np.mean(pairs)) and thrice.interval95[0] < thrice.value < thrice.interval95[1]
    yes = np.array([[a for a, _ in column] for column in columns]).astype(int)
    resampled = []
    for _ in range(1500):
        at = (2 * rng.integers(0, 30, 30)[:, None] + np.arange(2)).ravel()
        resampled.append(np.mean([cohen_kappa_score(yes[a, at], yes[b, at]) for a, b in ((0, 1), (0, 2), (1, 2))]))
    assert thrice.interval95 == pytest.approx(np.quantile(resampled, (0.025, 0.975)), abs=0.04)


def test_repeatability_of_what_says_nothing_or_always_the_same():
    silent = repeatability(askings_of([(1, None)], [(True, 5)]))
    assert (silent.n_always, silent.n_sometimes, silent.same, silent.kappa) == (0, 1, None, None)
    assert silent.accuracies == (None, 1.0) and silent.scores == (None, 5)
    same = repeatability(askings_of(*[[(True, 5)] * 4] * 3))
    assert same.same == 1 and same.kappa.value is None and same.kappa.interval95 is None and same.score_range == 0
    axis = repeatability(
        [[Verdict("a", None, 5), Verdict("b", None, 1)], [Verdict("a", None, 4), Verdict("b", None, 1)]]
    )
    assert axis.same is None and axis.accuracies == (None, None) and axis.same_score == 0.5
    with pytest.raises(ValueError, match="at least two"):
        repeatability(askings_of([(True, 5)]))
    with pytest.raises(ValueError, match=r"the same items.*\['q1'\]"):
        repeatability(askings_of([(True, 5)] * 2, [(True, 5)] * 2, [(True, 5)]))


def test_each_asking_is_kept_apart(tmp_path):
    """A kept reply would agree with itself; what is kept of an asking serves that asking alone."""
    items = [JudgeItem(f"q{k}", "What?", "a dog", f"reply {k}", video=f"v{k // 2}") for k in range(8)]
    n_asked = {}

    def moody(body, number):
        key = hashlib.sha256(body["messages"][1]["content"].encode()).hexdigest()
        n_asked[key] = n_asked.get(key, 0) + 1
        return YES if (n_asked[key] == 2) ^ (int(key, 16) % 2 == 0) else NO

    with serve(moody) as fake:
        judge = ChatJudge(endpoint(fake)).for_arm(tmp_path, "arm")
        askings = [judge.at_asking(k).verdicts(items) for k in (1, 2, 3)]
        assert len(fake.bodies) == 24
        again = ChatJudge(endpoint(fake)).for_arm(tmp_path, "arm")
        assert [again.at_asking(k).verdicts(items) for k in (3, 1, 2)] == [askings[2], askings[0], askings[1]]
        assert again.verdicts(items) == askings[0] and len(fake.bodies) == 24
    repeats = repeatability(askings[:2], videos=[item.video for item in items])
    assert repeats.same == 0 and repeats.n_groups == 4  # the second time it says the opposite of the first
    assert repeatability([askings[0], askings[2]]).same == 1
    with pytest.raises(ValueError, match="asking=0"):
        judge.at_asking(0)


def test_the_same_asked_twice_at_a_time_has_one_reply(tmp_path):
    """Both threads would ask before either is written down; a sampled judge would answer them differently."""
    items = [JudgeItem(f"q{k}", "What?", "a dog", "the same") for k in range(2)]
    with serve(lambda body, n: Fault(wait_s=0.3, body=completion(YES if n else NO))) as fake:
        first = ChatJudge(endpoint(fake), workers=2).for_arm(tmp_path, "arm").verdicts(items)
        assert len(fake.bodies) == 2 and first[0].reply == first[1].reply
        again = ChatJudge(endpoint(fake)).for_arm(tmp_path, "arm").verdicts(items)
    assert again == first and len(fake.bodies) == 2


def test_who_must_repeat_itself():
    class Here:
        def __init__(self, **settings):
            self.identity = {"local_model": "m", "weights": "0", "settings": settings}

    assert RuleJudge().steady and RuleJudge().at_asking(7) == RuleJudge()
    assert "greedily" in ChatJudge(Here(temperature=0)).steady and ChatJudge(Here()).steady
    assert not ChatJudge(Here(temperature=0.6)).steady and "seed" in ChatJudge(Here(temperature=0.6, seed=1)).steady
    assert not ChatJudge(Endpoint("http://127.0.0.1:1/v1", "m", settings={"temperature": 0, "seed": 1})).steady


def test_an_axis_is_compared_by_its_scores_alone():
    one = [Verdict("a", None, 5), Verdict("b", None, 1), Verdict("c", None, 3)]
    two = [Verdict("a", None, 4), Verdict("b", None, 1), Verdict("c", None, 3)]
    comparison = agreement(one, two)
    assert comparison.same is None and comparison.kappa is None and comparison.same_score == pytest.approx(2 / 3)
    assert comparison.score_change == pytest.approx(-1 / 3) and 0.9 < comparison.score_kappa.value < 1


def test_time_is_not_wasted_on_many_items():
    """13,157 questions, as MSVD-QA has."""
    rng = np.random.default_rng(0)
    one = verdicts_of([(bool(x), 5 * int(x)) for x in rng.integers(0, 2, 13_157)])
    started = time.monotonic()
    agreement(one, one, videos=[str(k // 20) for k in range(13_157)])
    assert time.monotonic() - started < 60
