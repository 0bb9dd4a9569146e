"""What the original's files say about a model's shape: `config.json`, BERT's, and the tensors themselves.

Input: the original's configuration by its field names, and the state dict already in our names. Output:
`LlamaVidConfig`. Sizes that no field names are read from tensor shapes. Reading files is `tensors`.
"""

from collections.abc import Collection
from pathlib import PureWindowsPath

from huggingface_hub.errors import StrictDataclassError
from torch import Tensor
from transformers import BertConfig, GenerationConfig, LlamaConfig, PreTrainedConfig
from transformers.activations import ACT2FN
from transformers.models.instructblip import InstructBlipQFormerConfig, InstructBlipVisionConfig

from llamavid_kit.files import CheckpointError
from llamavid_kit.model.config import LlamaVidConfig, parse_content

TOKEN_IDS = ("pad_token_id", "bos_token_id", "eos_token_id")
LLM_SIZES = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "head_dim")
LLM_FIELDS: tuple[str, ...] = (*LLM_SIZES, *TOKEN_IDS, "num_key_value_heads", "max_position_embeddings", "rms_norm_eps")
LLM_FIELDS += ("initializer_range", "hidden_act", "tie_word_embeddings", "attention_bias", "mlp_bias")
READ = {*LLM_FIELDS, "rope_theta", "rope_scaling", "rope_parameters", "bert_type", "num_query", "compress_type"}
READ |= {"mm_hidden_size", "mm_vision_tower", "image_processor"}
ONLY: dict[str, tuple] = {  # fields that may have these values alone: no checkpoint of the original has others
    "mm_use_im_start_end": (False, True),
    "mm_projector_type": ("mlp2x_gelu",),
    "mm_vision_select_feature": ("patch",),
    "use_mm_proj": (True,),
    "image_aspect_ratio": ("pad", "square"),  # of training pictures; who asks about one says how it is padded
    "tie_word_embeddings": (False,),
}
# Fields that change no number of a reply: how the model was trained, stored, or is to generate.
NEUTRAL = {*PreTrainedConfig().to_dict(), *GenerationConfig().to_dict()}
NEUTRAL |= {"torch_dtype", "attention_dropout", "pretraining_tp", "mm_vision_select_layer", "mm_use_im_patch_token"}
NEUTRAL |= {"max_token", "max_sequence_length", "tokenizer_padding_side", "tokenizer_model_max_length"}
NEUTRAL_PREFIXES = ("_", "freeze_", "unfreeze_", "tune_", "mm_projector_lr")
LARGEST_IMAGE, LARGEST_SIZE = 2048, 2**31  # pixels a side; any size of a model
EVA_HEAD_WIDTH = 88  # EVA-ViT-G: 1408 channels, 16 heads


def uses_plain_bert(original: dict) -> bool:
    """Whether `bert_type` names BERT itself ("raw", "raw_bert_layer:2") and no Q-Former; CheckpointError for others."""
    kind = original.get("bert_type", "")
    if not str(kind).startswith(("qformer", "raw")):
        raise CheckpointError(f"bert_type={kind!r}: expected qformer_pretrain, qformer, or raw_bert_layer:N")
    return kind.startswith("raw")


def image_size_of(original: dict) -> int | None:
    """Side of the frames that `config.json` names, "./…/clip-patch14-336" → 336; None where it names none."""
    _, _, size = str(original.get("image_processor", "")).rpartition("-")
    return int(size) if size.isdecimal() else None


def tower_file(original: dict) -> str:
    """Name of the EVA-ViT file, the path to it may be another system's; CheckpointError where none is named."""
    path = original.get("mm_vision_tower")
    if not isinstance(path, str) or not path:
        raise CheckpointError(f"mm_vision_tower={path!r}: expected the EVA-ViT file's path; name it: --vision-weights")
    return PureWindowsPath(path).name


def check_fields(original: dict, model_type: str = "llava") -> None:
    """CheckpointError naming each field of a `config.json` that this code would read past, or cannot obey.

    model_type: what the folder must be, "llama" for a bare language model, whose fields are the LLM's alone.
    """
    if original.get("model_type") != model_type:
        raise CheckpointError(f"model_type={original.get('model_type')!r}: expected {model_type!r}")
    for name, values in ONLY.items():
        if name in original and original[name] not in (*values, None):
            raise CheckpointError(f"{name}={original[name]!r}: this kit can compute {values[0]!r} alone")
    refuse_unknown(original, READ | ONLY.keys())
    if model_type == "llava":
        uses_plain_bert(original)
        if (image_size_of(original) or 0) > LARGEST_IMAGE:
            raise CheckpointError(f"image_processor={original['image_processor']!r}: expected …-224 or the like")
        try:
            parse_content(_content(original))
        except ValueError as error:
            raise CheckpointError(f"compress_type: {error}") from error
    llm_config(original)


def refuse_unknown(config: dict, known: Collection[str]) -> None:
    """CheckpointError listing the fields that are neither `known` nor neutral; null and false turn nothing on."""
    strange = {name: value for name, value in config.items() if value or type(value) in (int, float)}
    strange = {n: v for n, v in strange.items() if n not in {*known, *NEUTRAL} and not n.startswith(NEUTRAL_PREFIXES)}
    if strange:
        raise CheckpointError(f"{strange} is not known to this kit: delete the fields if they change nothing")


def _content(original: dict) -> str:
    """The original's null is "all"."""
    return "all" if original.get("compress_type") is None else original["compress_type"]


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
    width = tensor_of(state, "feature_projector.weight", 2).shape[0] if projector else vision.hidden_size
    if original.get("mm_hidden_size", vision.hidden_size) != vision.hidden_size:
        raise CheckpointError(f"mm_hidden_size={original['mm_hidden_size']!r}, the tower has {vision.hidden_size}")
    decoder = _decoder_config(state, bert, width, plain_bert=plain_bert)
    _, _, n_layers = original["bert_type"].partition(":")
    if n_layers not in ("", str(decoder.num_hidden_layers)):
        held = decoder.num_hidden_layers
        raise CheckpointError(f"bert_type={original['bert_type']!r}: the tensors have {held} layers")
    n_query = 0 if plain_bert else tensor_of(state, "text_decoder.query_tokens", 3).shape[1]
    if not plain_bert and original.get("num_query", n_query) != n_query:
        raise CheckpointError(f"config.json says num_query={original['num_query']}, the tensor holds {n_query}")
    tensor_of(state, "content_projector.0.weight", 2)
    marked = "_im_start_end" if original.get("mm_use_im_start_end") else ""
    return LlamaVidConfig(
        vision,
        decoder,
        llm_config(original),
        n_query=n_query,
        content=_content(original),
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
    theta = rope.get("rope_theta", 10000.0)
    return (
        ours
        | ({} if theta == 10000.0 else {"rope_theta": theta})
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


def tensor_of(state: dict[str, Tensor], name: str, n_dims: int) -> Tensor:
    if name not in state:
        raise CheckpointError(f"missing tensors: {name}")
    if state[name].ndim != n_dims or 0 in state[name].shape:
        raise CheckpointError(f"misshapen {name}: {tuple(state[name].shape)} in the file, {n_dims} sizes expected")
    return state[name]


def _vision_config(state, depth: int, heads: int | None) -> InstructBlipVisionConfig:
    patch = tensor_of(state, "vision_tower.embeddings.patch_embedding.weight", 4)  # (C, 3, p, p)
    side = round((tensor_of(state, "vision_tower.embeddings.position_embedding", 3).shape[1] - 1) ** 0.5)
    width = patch.shape[0]
    if heads is None and width % EVA_HEAD_WIDTH:
        raise CheckpointError(f"a tower of width {width} is not EVA-ViT-G: give its number of heads (--vision-heads)")
    return InstructBlipVisionConfig(
        hidden_size=width,
        intermediate_size=tensor_of(state, "vision_tower.encoder.layers.0.mlp.fc1.weight", 2).shape[0],
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
    """A Q-Former and a BERT differ in names and in what else they have; `bert` must agree with the tensors."""
    prefix = f"text_decoder.{'bert' if plain_bert else 'qformer'}."
    words = tensor_of(state, f"{prefix}embeddings.word_embeddings.weight", 2)
    positions = tensor_of(state, f"{prefix}embeddings.position_embeddings.weight", 2)
    layer, mlp = f"{prefix}encoder.layer.", "intermediate" if plain_bert else "intermediate_query"
    layers = {int(name.removeprefix(layer).split(".")[0]) for name in state if name.startswith(layer)}
    sizes = {
        "vocab_size": words.shape[0],
        "hidden_size": words.shape[1],
        "num_hidden_layers": max(layers, default=-1) + 1,
        "num_attention_heads": bert.get("num_attention_heads", 12),
        "intermediate_size": tensor_of(state, f"{layer}0.{mlp}.dense.weight", 2).shape[0],
        "max_position_embeddings": positions.shape[0],
        "layer_norm_eps": bert.get("layer_norm_eps", 1e-12),
        "hidden_dropout_prob": bert.get("hidden_dropout_prob", 0.1),
        "attention_probs_dropout_prob": bert.get("attention_probs_dropout_prob", 0.1),
    }
    same = {"hidden_size": sizes["hidden_size"], "hidden_act": "gelu", "position_embedding_type": "absolute"}
    odd = {name: bert[name] for name, value in same.items() if bert.get(name, value) != value}
    try:
        if odd or not 0 < sizes["num_attention_heads"] <= sizes["hidden_size"] or not 0 < sizes["layer_norm_eps"] < 1:
            raise ValueError(f"{odd or sizes}: expected {same} and numbers above 0")
        if not plain_bert:
            return InstructBlipQFormerConfig(**sizes, encoder_hidden_size=encoder_width)
        types = tensor_of(state, f"{prefix}embeddings.token_type_embeddings.weight", 2).shape[0]
        return BertConfig(**sizes, type_vocab_size=types, is_decoder=True, add_cross_attention=True)
    except (StrictDataclassError, TypeError, ValueError) as error:
        raise CheckpointError(f"config.json of bert-base-uncased: {' '.join(str(error).split())}") from error


def llm_config(original: dict) -> LlamaConfig:
    """The LLM's; CheckpointError naming a field with a value that no LLaMA has."""
    fields = {name: original[name] for name in LLM_FIELDS if name in original}
    try:
        config = LlamaConfig(**fields, rope_parameters=_rope(original))
    except (StrictDataclassError, ArithmeticError) as error:
        raise CheckpointError(" ".join(str(error).split())) from error
    if config.hidden_act not in ACT2FN:
        raise CheckpointError(f"hidden_act={config.hidden_act!r}: expected one of {', '.join(ACT2FN)}")
    for name, value in fields.items():
        above, most = (-2, config.vocab_size - 1) if name in TOKEN_IDS else (0, LARGEST_SIZE)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and not above < value <= most:
            raise CheckpointError(f"{name}={value}: expected a number above {above}, at most {most}")
    return config


def _rope(original: dict) -> dict:
    """The rotary embedding in transformers 5's words, from the original's `rope_scaling` or newer spellings of it."""
    rope = {"rope_type": "default", "rope_theta": original.get("rope_theta", 10000.0)}
    for name in ("rope_parameters", "rope_scaling"):
        scaling = {} if original.get(name) is None else original[name]
        known = isinstance(scaling, dict) and scaling.keys() <= {"type", "rope_type", "rope_theta", "factor"}
        kinds = [scaling[key] for key in ("type", "rope_type") if key in scaling] if known else []
        if not known or any(kind not in ("linear", "default") or kind != kinds[0] for kind in kinds):
            raise CheckpointError(f'{name}={scaling!r}: expected null or {{"type": "linear", "factor": 16.0}}')
        rope |= {"rope_type": kinds[0]} if kinds else {}
        rope |= {key: scaling[key] for key in ("rope_theta", "factor") if key in scaling}
    numbers = {name: value for name, value in rope.items() if name != "rope_type"}
    fit = all(isinstance(number, int | float) and 1 <= number <= LARGEST_SIZE for number in numbers.values())
    if not fit or (rope["rope_type"] == "linear") != ("factor" in rope):
        raise CheckpointError(f"rope_scaling: {rope}: expected numbers of at least 1, and a factor with linear alone")
    return rope
