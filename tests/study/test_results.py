"""The counts that ship are one reading: the outcomes give the counts that stand beside them."""

from llamavid_kit.study import recount
from llamavid_kit.study.evidence import with_road
from llamavid_kit.study.results import BY_RULE, PAIRED_BY_RULE


def test_the_shipped_counts_agree_with_each_other(shipped):
    """The table of outcomes gives the counts that stand beside it, by the exact rule."""
    for key in BY_RULE:
        for place, rows in ((0, shipped.answered(key)), (2, shipped.common)):
            table = recount.arm(rows, key)
            assert BY_RULE[key]["exact"][place : place + 2] == (table.correct, table.no_label)
            roads = recount.arm(with_road(rows), key)
            assert BY_RULE[key]["exact_plus_Road_prefix"][place : place + 2] == (roads.correct, roads.no_label)
    for (a, b), by_rule in PAIRED_BY_RULE.items():
        pair = recount.compare(shipped, a, b)
        assert by_rule["exact"] == (pair.n, len(pair.only_a), len(pair.only_b))
    assert len(shipped.outcomes) == 259 and len(shipped.common) == 242
    events = shipped.common[shipped.common["truth"] != "Normal Video"]
    assert shipped.halves["n"].sum() == len(events) == shipped.curve[0].n
    assert shipped.halves["first"].sum() == (events["truth"] == events["finetuned_fps1"]).sum()
    assert shipped.halves["second"].sum() == (events["truth"] == events["finetuned_fps6"]).sum()
