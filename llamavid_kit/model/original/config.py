"""What the original's files say about a model's shape: `config.json`, BERT's, and the tensors themselves.

Input: the original's configuration by its field names, and the state dict already in our names. Output:
`LlamaVidConfig`. Sizes that no field names are read from tensor shapes. Reading files is `tensors`.
"""

from torch import Tensor
from transformers import BertConfig, LlamaConfig
from transformers.models.instructblip import InstructBlipQFormerConfig, InstructBlipVisionConfig

from llamavid_kit.files import CheckpointError
from llamavid_kit.model.config import LlamaVidConfig

LLM_FIELDS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "max_position_embeddings",
    "initializer_range",
    "rms_norm_eps",
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
    "tie_word_embeddings",
)
EVA_HEAD_WIDTH = 88  # EVA-ViT-G: 1408 channels, 16 heads


def uses_plain_bert(original: dict) -> bool:
    """Whether `bert_type` names BERT itself ("raw", "raw_bert_layer:2") and no Q-Former; CheckpointError for others."""
    kind = original.get("bert_type", "")
    if not kind.startswith(("qformer", "raw")):
        raise CheckpointError(f"bert_type={kind!r}: expected qformer_pretrain, qformer, or raw_bert_layer:N")
    return kind.startswith("raw")


def image_size_of(original: dict) -> int | None:
    """Side of the frames that `config.json` names, "./…/clip-patch14-336" → 336; None where it names none."""
    _, _, size = str(original.get("image_processor", "")).rpartition("-")
    return int(size) if size.isdigit() else None


def read_config(original: dict, state: dict[str, Tensor], depth: int, bert: dict, heads: int | None) -> LlamaVidConfig:
    """The configuration of a checkpoint.

    Args:
        original: its `config.json`.
        state: its tensors, by our names.
        depth: blocks of the vision tower.
        bert: `config.json` of bert-base-uncased; a missing field takes BERT-base's value.
        heads: heads of the tower; None takes channels / 88, EVA-ViT-G's.

    Raises CheckpointError where a tensor is missing that a size is read from, or the two disagree.
    """
    plain_bert = uses_plain_bert(original)
    vision = _vision_config(state, depth, heads)
    projector = "feature_projector.weight" in state
    width = state["feature_projector.weight"].shape[0] if projector else vision.hidden_size
    decoder = _decoder_config(state, bert, width, plain_bert=plain_bert)
    n_query = 0 if plain_bert else _tensor(state, "text_decoder.query_tokens").shape[1]
    if not plain_bert and original.get("num_query", n_query) != n_query:
        raise CheckpointError(f"config.json says num_query={original['num_query']}, the tensor holds {n_query}")
    _tensor(state, "content_projector.0.weight")
    marked = "_im_start_end" if original.get("mm_use_im_start_end") else ""
    return LlamaVidConfig(
        vision,
        decoder,
        _llm_config(original),
        n_query=n_query,
        content=original.get("compress_type") or "all",
        vision_norm="pretrain" in original["bert_type"],
        feature_projector=projector,
        drop_cls=((vision.image_size // vision.patch_size) ** 2 + 1) % 2 == 1,
        template=f"vicuna_v1{marked}",
    )


def write_config(config: LlamaVidConfig, stored: dict | None = None) -> dict:
    """Our configuration in the original's field names. `stored`, the `config.json` that a model came with, keeps its
    other fields; what this kit lets one change (content tokens, context) is updated."""
    text, decoder = config.text_config, config.qformer_config
    rope = text.rope_parameters or {}
    linear = rope.get("rope_type") == "linear"
    ours = {
        "compress_type": None if config.content == "all" else config.content,
        "rope_scaling": {"type": "linear", "factor": rope["factor"]} if linear else None,
    }
    if stored is not None:
        return stored | {name: value for name, value in ours.items() if name in stored or value is not None}
    pretrained = "_pretrain" if config.vision_norm else ""
    kind = f"raw_bert_layer:{decoder.num_hidden_layers}" if config.plain_bert else f"qformer{pretrained}"
    return (
        ours
        | {name: getattr(text, name) for name in LLM_FIELDS}
        | {
            "model_type": "llava",
            "architectures": ["LlavaLlamaAttForCausalLM"],
            "bert_type": kind,
            "num_query": config.n_query,
            "mm_hidden_size": config.vision_config.hidden_size,
            "mm_projector_type": "mlp2x_gelu",
            "mm_use_im_start_end": config.template.endswith("_im_start_end"),
            "mm_use_im_patch_token": False,
            "mm_vision_select_layer": -2,
            "mm_vision_select_feature": "patch",
            "mm_vision_tower": "./model_zoo/LAVIS/eva_vit_g.pth",
            "use_mm_proj": True,
            "image_processor": f"./llamavid/processor/clip-patch14-{config.image_size}",
        }
    )


def _tensor(state: dict[str, Tensor], name: str) -> Tensor:
    if name not in state:
        raise CheckpointError(f"missing tensors: {name}")
    return state[name]


def _vision_config(state, depth: int, heads: int | None) -> InstructBlipVisionConfig:
    patch = _tensor(state, "vision_tower.embeddings.patch_embedding.weight")  # (C, 3, p, p)
    side = round((_tensor(state, "vision_tower.embeddings.position_embedding").shape[1] - 1) ** 0.5)
    width = patch.shape[0]
    if heads is None and width % EVA_HEAD_WIDTH:
        raise CheckpointError(f"a tower of width {width} is not EVA-ViT-G: give its number of heads (--vision-heads)")
    return InstructBlipVisionConfig(
        hidden_size=width,
        intermediate_size=_tensor(state, "vision_tower.encoder.layers.0.mlp.fc1.weight").shape[0],
        num_hidden_layers=depth,
        num_attention_heads=heads or width // EVA_HEAD_WIDTH,
        image_size=side * patch.shape[-1],
        patch_size=patch.shape[-1],
        layer_norm_eps=1e-6,
        initializer_range=0.02,
    )


def _decoder_config(
    state, bert: dict, encoder_width: int, *, plain_bert: bool
) -> BertConfig | InstructBlipQFormerConfig:
    """A Q-Former and a BERT differ in names and in what else they have."""
    prefix = f"text_decoder.{'bert' if plain_bert else 'qformer'}."
    words = _tensor(state, f"{prefix}embeddings.word_embeddings.weight")
    positions = _tensor(state, f"{prefix}embeddings.position_embeddings.weight")
    layer, mlp = f"{prefix}encoder.layer.", "intermediate" if plain_bert else "intermediate_query"
    layers = {int(name.removeprefix(layer).split(".")[0]) for name in state if name.startswith(layer)}
    sizes = {
        "vocab_size": words.shape[0],
        "hidden_size": words.shape[1],
        "num_hidden_layers": max(layers, default=-1) + 1,
        "num_attention_heads": bert.get("num_attention_heads", 12),
        "intermediate_size": _tensor(state, f"{layer}0.{mlp}.dense.weight").shape[0],
        "max_position_embeddings": positions.shape[0],
        "layer_norm_eps": bert.get("layer_norm_eps", 1e-12),
        "hidden_dropout_prob": bert.get("hidden_dropout_prob", 0.1),
        "attention_probs_dropout_prob": bert.get("attention_probs_dropout_prob", 0.1),
    }
    if not plain_bert:
        return InstructBlipQFormerConfig(**sizes, encoder_hidden_size=encoder_width)
    types = _tensor(state, f"{prefix}embeddings.token_type_embeddings.weight").shape[0]
    return BertConfig(**sizes, type_vocab_size=types, is_decoder=True, add_cross_attention=True)


def _llm_config(original: dict) -> LlamaConfig:
    rope = {"rope_type": "default", "rope_theta": original.get("rope_theta", 10000.0)}
    if scaling := original.get("rope_scaling"):
        rope |= {"rope_type": scaling["type"], "factor": scaling["factor"]}
    return LlamaConfig(**{n: original[n] for n in LLM_FIELDS if n in original}, rope_parameters=rope)
