"""The text decoder: a question looks at a frame and returns text-guided queries.

Input: frame features and the tokenised question. Output: (F, M, H) queries. Tokenising is here too, because its
details (left truncation, the added [DEC]) belong to the decoder's checkpoint. What the queries attend to is
`context_attention`.
"""

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel
from transformers.models.instructblip import InstructBlipQFormerConfig, InstructBlipQFormerModel


class TextDecoder(nn.Module):
    """InstructBLIP's Q-Former with learned queries (`vlm_att_encoder` and `vlm_att_query` of the original).

    Queries and question tokens attend to each other; every second layer the queries also attend to the frame. The
    queries carry no position; the question's positions start at 0.
    """

    def __init__(self, config: InstructBlipQFormerConfig, n_query: int):
        super().__init__()
        self.query_tokens = nn.Parameter(torch.zeros(1, n_query, config.hidden_size))
        self.qformer = InstructBlipQFormerModel(config)

    def forward(self, features: Tensor, question_ids: Tensor, question_mask: Tensor) -> Tensor:
        """features (F, N+1, C), question_ids and question_mask (F, Lt) → queries (F, M, H)."""
        n_frames, n_query = len(features), self.query_tokens.shape[1]
        mask = torch.cat([question_mask.new_ones(n_frames, n_query), question_mask], dim=1)
        decoded = self.qformer(
            input_ids=question_ids,
            attention_mask=mask,
            query_embeds=self.query_tokens.expand(n_frames, -1, -1),
            encoder_hidden_states=features,
        ).last_hidden_state  # (F, M + Lt, H)
        return decoded[:, :n_query]


class BertTextDecoder(nn.Module):
    """BERT as the original's `bert_type` "raw…" uses it: a causal decoder with cross-attention to the frame.

    There are no learned queries: every position of the question is one, [CLS], [SEP] and *padding* too. Quirk, kept
    because a checkpoint's numbers depend on it: the context token is their mean, so a question that was padded beside
    a longer one gives another context token than alone.
    """

    def __init__(self, config: BertConfig):
        super().__init__()
        self.bert = BertModel(config, add_pooling_layer=False)

    def forward(self, features: Tensor, question_ids: Tensor, question_mask: Tensor) -> Tensor:
        """features (F, N, H), question_ids and question_mask (F, Lt) → queries (F, Lt, H)."""
        return self.bert(
            input_ids=question_ids, attention_mask=question_mask, encoder_hidden_states=features, use_cache=False
        ).last_hidden_state


def tokenize_questions(tokenizer, questions: list[str], *, max_length: int = 256) -> tuple[Tensor, Tensor]:
    """Questions → ids and mask, both (P, Lt) int64, padded to the longest.

    A question longer than `max_length` tokens loses its *beginning* ([CLS] stays first), as in the original
    (`BertTokenizer(truncation_side="left")`, `max_length=256`).
    """
    encoded = tokenizer(questions, padding="longest", truncation=True, max_length=max_length, return_tensors="pt")
    return encoded["input_ids"], encoded["attention_mask"]
