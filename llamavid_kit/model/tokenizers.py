"""The two tokenizers of a checkpoint: the language model's and the text decoder's.

Knows how tokenizer files on disk become tokenizers that give the ids of the original (transformers 4.31). Prompts and
image slots are `data.prompt`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers import BertTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.tokenization_utils_sentencepiece import SentencePieceBackend

from llamavid_kit.files import CheckpointError, check_whole, read_json, read_text

PIECE_SPACE = "▁"
QUESTION_TOKENIZER = "question_tokenizer"  # sub-folder of a saved model


class LlamaSentencePiece(SentencePieceBackend):
    """`LlamaTokenizer` of transformers 4.31 on a bare `tokenizer.model`, id for id.

    transformers 5 tokenizes leading blanks differently and adds no BOS to a bare SentencePiece model. With
    `legacy=True` SentencePiece prefixes every stretch of text between special tokens with a blank; with
    `legacy=False` only the first one. `marks` are added tokens that swallow the blanks around them
    (`mm_use_im_start_end`), their ids following the SentencePiece vocabulary.
    """

    model_input_names = ("input_ids", "attention_mask")

    def __init__(self, vocab_file=None, *, legacy=True, add_bos_token=True, add_eos_token=False, marks=(), **kwargs):
        special = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
        super().__init__(vocab_file=vocab_file, legacy=True, special_tokens_pattern="none", **{**special, **kwargs})
        self.legacy = legacy  # only after the backend has loaded the SentencePiece model unchanged
        self.add_bos_token, self.add_eos_token = add_bos_token, add_eos_token
        self.marks = tuple(marks)
        self.add_tokens([mark for mark in self.marks if mark not in self.get_vocab()], special_tokens=True)
        self.init_kwargs.update(
            legacy=legacy, add_bos_token=add_bos_token, add_eos_token=add_eos_token, marks=list(self.marks)
        )

    def tokenize(self, text, **kwargs):
        for mark in self.marks:
            text = re.sub(rf"\s*{re.escape(mark)}\s*", mark, text)
        if not self.legacy:
            text = PIECE_SPACE + text.replace(PIECE_SPACE, " ")
        return super().tokenize(text, **kwargs)

    def _tokenize(self, text, **kwargs):
        if self.legacy:
            return self.sp_model.encode(text, out_type=str)
        first = text.startswith(PIECE_SPACE)
        pieces = self.sp_model.encode(text[1:] if first else text, out_type=str)
        if not first and not text.startswith(" ") and pieces and pieces[0].startswith(PIECE_SPACE):
            pieces = ([pieces[0][1:]] if pieces[0] != PIECE_SPACE else []) + pieces[1:]
        return pieces

    def build_inputs_with_special_tokens(self, token_ids_0, token_ids_1=None):
        bos = [self.bos_token_id] if self.add_bos_token else []
        eos = [self.eos_token_id] if self.add_eos_token else []
        return bos + token_ids_0 + eos + (bos + token_ids_1 + eos if token_ids_1 else [])


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """CheckpointError that names the folder, whatever the tokenizers' libraries raise: some raise a bare Exception."""
    for name in ("tokenizer.model", "tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        if (folder / name).is_file():
            check_whole(folder / name)
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        raise CheckpointError(f"{folder}: its tokenizer cannot be read: {' '.join(str(error).split())}") from error


def load_llm_tokenizer(folder: Path | str):
    """The language model's tokenizer of a converted or original folder; it pads on the right, with <unk> if need be."""
    folder = Path(folder)
    with _readable(folder):
        if (folder / "tokenizer.model").is_file():
            added = folder / "added_tokens.json"
            ids = read_json(added, way_out="copy the folder again from where it came") if added.is_file() else {}
            marks = {"marks": sorted(ids, key=lambda mark: ids[mark])} if ids else {}
            tokenizer = LlamaSentencePiece.from_pretrained(folder, padding_side="right", **marks)
            if tokenizer.pad_token is None:
                tokenizer.pad_token = tokenizer.unk_token  # the original pads with <unk>, id 0
            return tokenizer
        if (folder / "tokenizer.json").is_file():
            return PreTrainedTokenizerFast.from_pretrained(folder, padding_side="right")
        raise FileNotFoundError(f"{folder} holds no tokenizer: expected tokenizer.model or tokenizer.json")


def load_question_tokenizer(folder: Path | str):
    """The text decoder's WordPiece tokenizer: BERT's with [DEC] added as BOS; long questions lose their beginning."""
    folder = Path(folder)
    vocabulary = folder / "vocab.txt"
    with _readable(folder):
        if (folder / "tokenizer.json").is_file():
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, truncation_side="left")
            if tokenizer.pad_token is None:
                raise ValueError("it names no pad_token, with which questions are filled up")
            return tokenizer
        if not vocabulary.is_file():
            raise FileNotFoundError(
                f"{folder} holds no vocab.txt or tokenizer.json: name the folder of bert-base-uncased with "
                "--bert-tokenizer"
            )
        words = read_text(vocabulary, way_out="copy it again from bert-base-uncased").splitlines()
        vocab = {word: i for i, word in enumerate(words)}
        tokenizer = BertTokenizer(vocab=vocab, do_lower_case=True, truncation_side="left", padding_side="right")
        tokenizer.add_special_tokens({"bos_token": "[DEC]"})
        return tokenizer


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path | str) -> None:
    """As `save_pretrained`, without how the last text happened to be cut and padded. OSError where it cannot."""
    if backend := getattr(tokenizer, "backend_tokenizer", None):
        backend.no_truncation()
        backend.no_padding()
    try:
        tokenizer.save_pretrained(folder)
    except OSError:
        raise
    except Exception as error:  # the tokenizers' library raises a bare one
        raise OSError(f"{folder}: its tokenizer cannot be written: {error}") from error
