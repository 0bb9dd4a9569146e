"""Items to judge, replies of a judge, and a chat endpoint that judges."""

from llamavid_kit.evaluation.judges.chat.endpoint import Endpoint
from llamavid_kit.evaluation.judges.prompts import JudgeItem

DOG = JudgeItem("q1", "What runs?", "a dog", "The dog runs.", video="v1")
CAT = JudgeItem("q2", "What sleeps?", "a cat", "A bird sings.", video="v1")
TWO = JudgeItem("q3", "What runs?", "a dog", "A dog.", "Which animal runs?", "A cat.")
YES, NO = '{"pred": "yes", "score": 5}', '{"pred": "no", "score": 0}'


def endpoint(fake, **changes) -> Endpoint:
    return Endpoint(fake.url, "a-judge", **{"backoff_s": 0.005, "retries": 1, "timeout_s": 5.0} | changes)


def by_words(body, number) -> str:
    """Says yes where the prompt's last line before the form speaks of the dog that runs."""
    return YES if "dog runs" in body["messages"][1]["content"] else NO
