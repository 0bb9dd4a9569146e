"""A very small random model and very small clips, so that every promise is checked in milliseconds.

Weights are drawn wide enough that every part changes the output: a test on this model notices a part that is left out.
"""

import copy
from pathlib import Path

import av
import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.models.instructblip import InstructBlipQFormerConfig, InstructBlipVisionConfig

from llamavid_kit.data.pairs import InstructionPair, multiple_choice_question
from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.context_attention import VisualTokens
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.tokenizers import load_question_tokenizer

torch.set_num_threads(1)  # more only wait for each other on models this small

LABELS = ("Red", "Green light", "Blue")
QUESTION = multiple_choice_question("Say which colour fills the picture", LABELS)
COLOURS = {"Red": (220, 30, 30), "Green light": (30, 200, 30), "Blue": (40, 40, 220)}
WORDS = Path(__file__).parents[1] / "assets" / "words"


def tokenizers():
    """A byte-level BPE and a WordPiece tokenizer, made once from three sentences (`data_prep.tiny.train`).

    They lie in files because ties of their training fall otherwise in every process, and every model with them.
    """
    return PreTrainedTokenizerFast.from_pretrained(WORDS), load_question_tokenizer(WORDS / "question")


def chat_model(tokenizer, folder: Path) -> Path:
    """A random language model of 120 positions with a chat template, as transformers saves it."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=120,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    tokenizer.save_pretrained(folder)
    return folder


def small_config(tokenizer, question_tokenizer, **kwargs) -> LlamaVidConfig:
    """28-pixel frames of 4 x 4 patches, 3 queries, widths of 16 to 32, no two of them equal."""
    vision = InstructBlipVisionConfig(
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=28,
        patch_size=7,
    )
    qformer = InstructBlipQFormerConfig(
        vocab_size=len(question_tokenizer),
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=28,
        max_position_embeddings=300,
        encoder_hidden_size=24,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    llm = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=400,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    return LlamaVidConfig(vision, qformer, llm, **{"n_query": 3, "template": "plain", **kwargs})


def small_model(tokenizer, question_tokenizer, *, seed: int = 0, **kwargs) -> LlamaVid:
    """A new model with random weights in every part, in eval mode."""
    model = LlamaVid(small_config(tokenizer, question_tokenizer, **kwargs))
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=rng)
            one = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
            # narrow: attention that is not one-hot
            wide, narrow = ("embed", "query_tokens"), ("text_projector", "key_projector")
            scale = 0.5 if any(w in name for w in wide) else 0.06 if any(w in name for w in narrow) else 0.25
            parameter.copy_(one + noise * scale)
    model.tokenizer, model.question_tokenizer = tokenizer, question_tokenizer
    return model.eval()


def random_tokens(model: LlamaVid, n_frames: int, *, seed: int = 0, n_content: int = 1) -> VisualTokens:
    """Frame tokens of a clip that nobody filmed."""
    rng = torch.Generator().manual_seed(seed)
    width = model.config.vision_config.hidden_size
    return VisualTokens(
        torch.randn(n_frames, width, generator=rng), torch.randn(n_frames, n_content, width, generator=rng)
    )


def random_frames(n_frames: int, *, seed: int = 0, size: int = 28) -> torch.Tensor:
    """(T, size, size, 3) uint8."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n_frames, size, size, 3), dtype=torch.uint8, generator=rng)


def write_clip(path: Path, *, seconds: float = 2.0, fps: int = 12, label: str = "Red", seed: int = 0) -> Path:
    """An H.264 clip of 32 x 32 pixels in one colour, with a block that wanders and noise of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast"})
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for i in range(round(seconds * fps)):
            picture = np.full((32, 32, 3), COLOURS[label], np.uint8)
            picture[8:16, (2 * i) % 24 :][:, :8] = rng.integers(0, 256, 3)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def pair(name: str, label: str, *, split: str = "test", **kwargs) -> InstructionPair:
    """The closed colour question about `name`.mp4."""
    return InstructionPair(
        id=name, video=f"{name}.mp4", question=QUESTION, answer=label, choices=LABELS, split=split, **kwargs
    )


def snapshot(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy of every parameter and buffer, those that are not saved included."""
    return {n: t.detach().clone() for n, t in [*model.named_parameters(), *model.named_buffers()]}


def assert_same(before: dict[str, torch.Tensor], model: torch.nn.Module) -> None:
    """Every parameter and buffer is there, bit for bit, and no other."""
    after = snapshot(model)
    assert before.keys() == after.keys()
    assert [n for n in before if before[n].dtype != after[n].dtype or not torch.equal(before[n], after[n])] == []
