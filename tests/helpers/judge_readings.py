"""How `strict` reads a judge's reply: each kind of reply once, and why it is read so."""

ALONE, KEYS, WORD = "not one dictionary alone", "other keys than asked for", "neither yes nor no"
WHOLE, RANGE, EMPTY = "score is not a whole number", "score is not from 0 to 5", "empty reply"

STRICT_READINGS = [  # reply, (yes, score) or the problem, why
    ("{'pred': 'yes', 'score': 4}", (True, 4), "what was asked for"),
    ("{'pred': 'no', 'score': 0}", (False, 0), "what was asked for; 0 is on the scale"),
    ("{'pred': 'yes', 'score': 4.8}", WHOLE, "whole numbers were asked for; 4 and 5 are both guesses"),
    ('{"pred": "yes", "score": 5}', (True, 5), "JSON and Python write the same dictionary"),
    ("{'pred': 'Yes', 'score': 5}", (True, 5), "letter case means nothing"),
    ("{'pred': 'yes', 'score': '4'}", (True, 4), "quotes around a whole number leave one reading"),
    ("{'pred': 'yes', 'score': '4.8'}", WHOLE, "as 4.8 without quotes"),
    ("```python\n{'pred': 'yes', 'score': 4}\n```", (True, 4), "a code fence is a frame, no words"),
    ("Here is my evaluation: {'pred': 'no', 'score': 1}", ALONE, "words: a dictionary in a sentence may be an example"),
    ("{'pred': 'yes', 'score': 4}.", (True, 4), "a full stop says nothing"),
    ("{'pred': yes, 'score': 4}", ALONE, "a dictionary in no language"),
    ("{'pred': 'yes', 'score': 4", "cut off", "cut off: what would have followed is not known"),
    ("{'predicted': 'yes', 'score': 4}", KEYS, '"predicted" may repeat the predicted answer, which may be a yes'),
    ("yes, 4", ALONE, "no dictionary; 4 of what?"),
    ("{'pred': 'no', 'score': 2}\n{'pred': 'yes', 'score': 3}", ALONE, "two, and they contradict each other"),
    ("{'pred': 'not sure', 'score': 2}", WORD, "the judge declines; it does not say no"),
    ("{'pred': 'maybe', 'score': 2}", WORD, "the judge declines"),
    ("", EMPTY, "nothing was said"),
    ("{'pred': 'yes'}", KEYS, "half a verdict: the score is missing, and accuracy and score speak of the same items"),
    ("{'score': 4}", KEYS, "half a verdict: no yes or no, and 4 does not stand for one"),
    ("{'pred': True, 'score': 4}", WORD, "neither word; True may say that the answer, or the statement, is true"),
    ('{"pred": true, "score": 4}', WORD, "as True in Python: how it is written decides nothing"),
    ("{'pred': 'yes', 'score': -1}", RANGE, "not on the scale: the judge did not use the one it was given"),
    ("{'pred': 'yes', 'score': 7}", RANGE, "not on the scale; perhaps out of 10"),
    ("[{'pred': 'yes', 'score': 4}]", ALONE, "a list is for several verdicts; one was asked for"),
    ("'yes'", ALONE, "no dictionary, no score"),
    ("{'pred': 'unknown', 'score': 0}", WORD, 'the judge declines; the "no" in "unknown" is none'),
]
