"""`doctor` of the commands about folders: its exit status says what it found."""

from llamavid_kit.__main__ import main
from llamavid_kit.model.checkpoints import load, save
from llamavid_kit.model.original import doctor


def test_the_doctors_exit_status(tmp_path, capsys, monkeypatch):
    """1 where the folder does not load, 2 where there is none; no GPU and little memory are no problem of it."""
    assert main(["doctor", str(tmp_path / "nowhere")]) == 2
    assert "nowhere is not a folder; expected one that may hold a model" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["doctor", str(tmp_path / "empty")]) == 1
    assert "problem: no config.json" in capsys.readouterr().out
    save(load("tiny"), tmp_path / "ours")
    monkeypatch.setattr(doctor, "_gpu", lambda n: "no GPU")
    monkeypatch.setattr(doctor, "_memory", lambda: 1)
    assert main(["doctor", str(tmp_path / "ours")]) == 0
    text = capsys.readouterr().out
    assert "no GPU" in text and "too little for float32" in text and text.endswith("no problem found\n")
    (tmp_path / "ours" / "model.safetensors").unlink()
    assert main(["doctor", str(tmp_path / "ours")]) == 1
    assert "MISSING" in capsys.readouterr().out
