"""Guards how far judges agree, with each other and with themselves, and how sure the number is."""

import hashlib
import time

import numpy as np
import pytest
from fake_endpoint import serve
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from test_judge import CAT, DOG, NO, YES, endpoint

from llamavid_kit.judge import ChatJudge, RuleJudge
from llamavid_kit.judge_agreement import agreement, kappa_of, repeatability
from llamavid_kit.judge_prompts import JudgeItem
from llamavid_kit.verdicts import Verdict


def verdicts_of(pairs) -> list[Verdict]:
    return [Verdict(f"q{k}", yes, score) if score is not None else Verdict(f"q{k}", None, None, "", "none")
            for k, (yes, score) in enumerate(pairs)]  # fmt: skip


def test_agreement_by_hand():
    """20 both yes, 5 and 10 apart, 15 both no: kappa 0.4 (the textbook's example)."""
    one = [(True, 5)] * 20 + [(True, 4)] * 5 + [(False, 1)] * 10 + [(False, 0)] * 15
    two = [(True, 5)] * 20 + [(False, 1)] * 5 + [(True, 4)] * 10 + [(False, 0)] * 15
    found = agreement(verdicts_of(one), verdicts_of(two))
    assert (found.n, found.n_both, found.n_groups, found.no_verdict) == (50, 50, 50, (0, 0))
    assert found.same == 0.7 and found.kappa.value == pytest.approx(0.4)
    assert found.kappa.interval95[0] < 0.4 < found.kappa.interval95[1] and found.kappa.n_undefined == 0
    assert 0.1 < found.kappa.interval95[0] < 0.2 and 0.6 < found.kappa.interval95[1] < 0.7
    scores = [[s for _, s in said] for said in (one, two)]
    assert found.score_kappa.value == pytest.approx(cohen_kappa_score(*scores, labels=range(6), weights="quadratic"))
    assert found.score_change == pytest.approx((10 * 3 - 5 * 3) / 50)
    assert found.score_change95[0] < found.score_change < found.score_change95[1]
    assert agreement(verdicts_of(one), list(reversed(verdicts_of(two)))) == found  # joined by item, not by place


def test_the_interval_of_kappa_is_that_of_scikit_learns_on_resamples():
    rng = np.random.default_rng(3)
    a = rng.integers(0, 2, 60)
    b = np.where(rng.random(60) < 0.8, a, 1 - a)
    found = agreement(verdicts_of([(bool(x), 5 * x) for x in a]), verdicts_of([(bool(x), 5 * x) for x in b])).kappa
    drawn = (rng.integers(0, 60, 60) for _ in range(1500))
    low, high = np.quantile([cohen_kappa_score(a[at], b[at]) for at in drawn], (0.025, 0.975))
    assert found.interval95 == pytest.approx((low, high), abs=0.03)


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
    found = agreement(one, two, videos=[str(k // 10) for k in range(42)])
    assert (found.n, found.n_both, found.n_groups, found.no_verdict) == (42, 40, 4, (1, 1))
    assert found.same == 0.75
    alone = agreement(one, two)
    assert found.kappa.interval95[1] - found.kappa.interval95[0] > 1.3 * (
        alone.kappa.interval95[1] - alone.kappa.interval95[0]
    )


def test_one_value_always_has_no_kappa():
    found = agreement(verdicts_of([(True, 5)] * 6), verdicts_of([(True, 5)] * 6))
    assert found.kappa.value is None and found.kappa.interval95 is None and found.kappa.n_undefined > 0
    assert found.same == found.same_score == 1
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


def test_a_judge_is_asked_twice_for_its_repeatability(tmp_path):
    """Whatever its file holds: a kept reply would agree with itself."""
    items = [JudgeItem(f"q{k}", "What?", "a dog", f"reply {k}", video=f"v{k // 2}") for k in range(8)]
    seen = {}

    def moody(body, number):
        key = hashlib.sha256(body["messages"][1]["content"].encode()).hexdigest()
        seen[key] = seen.get(key, 0) + 1
        return YES if (seen[key] == 3) ^ (int(key, 16) % 2 == 0) else NO

    with serve(moody) as fake:
        judge = ChatJudge(endpoint(fake)).for_arm(tmp_path, "arm")
        judge.verdicts(items)
        kept = judge.log.path.read_bytes()
        found = repeatability(judge, items)
        assert len(fake.bodies) == 24 and judge.log.path.read_bytes() == kept
    assert found.same == 0 and found.n_groups == 4  # the third time it says the opposite of the second
    steady = repeatability(RuleJudge(), [DOG, CAT])
    assert steady.same == 1 and steady.kappa.value == 1
    axes = repeatability(RuleJudge("words"), [DOG, CAT], task="detail")
    assert axes.same is None and axes.kappa is None and axes.score_change == 0


def test_an_axis_is_compared_by_its_scores_alone():
    one = [Verdict("a", None, 5), Verdict("b", None, 1), Verdict("c", None, 3)]
    two = [Verdict("a", None, 4), Verdict("b", None, 1), Verdict("c", None, 3)]
    found = agreement(one, two)
    assert found.same is None and found.kappa is None and found.same_score == pytest.approx(2 / 3)
    assert found.score_change == pytest.approx(-1 / 3) and 0.9 < found.score_kappa.value < 1


def test_time_is_not_wasted_on_many_items():
    """13,157 questions, as MSVD-QA has."""
    rng = np.random.default_rng(0)
    one = verdicts_of([(bool(x), 5 * int(x)) for x in rng.integers(0, 2, 13_157)])
    started = time.monotonic()
    agreement(one, one, videos=[str(k // 20) for k in range(13_157)])
    assert time.monotonic() - started < 60
