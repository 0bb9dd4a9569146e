"""What the study's tests share: made-up logs with their evidence, and the evidence that ships."""

import pytest
from made_up_logs import make_annotation, make_logs

from data_prep.ucf_crime.lists import events_of
from llamavid_kit.study.evidence import read_evidence


@pytest.fixture
def logs(tmp_path):
    return make_logs(tmp_path / "logs")


@pytest.fixture
def evidence(logs, tmp_path):
    return read_evidence(logs, events_of(make_annotation(tmp_path / "annotation.txt")), event_source="annotation.txt")


@pytest.fixture(scope="module")
def shipped():
    return read_evidence()
