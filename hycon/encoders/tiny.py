"""A tiny BERT made on the spot, so that the sample needs no download.

Its WordPiece vocabulary holds the letters and the whole words of a corpus's training utterances;
its weights are random, from a seed. Frozen, it still tells words and their contexts apart.
"""

from collections.abc import Iterable
from pathlib import Path

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789'"
HIDDEN, LAYERS, HEADS = 64, 2, 4
SEED = 0


def vocabulary(texts: Iterable[str]) -> list[str]:
    """Return special tokens, letters (alone and continued, ##x) and the words, sorted."""
    words = {word for text in texts for word in text.lower().split() if len(word) > 1}
    continued = [f"##{letter}" for letter in LETTERS]
    return [*SPECIAL, *LETTERS, *continued, *sorted(words - set(LETTERS))]


def build_bert(texts: Iterable[str], folder: Path) -> None:
    """Write a tiny BERT and its tokenizer into a folder, as `save_pretrained` does."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    tokens = vocabulary(texts)
    tokenizer = BertTokenizer(vocab={token: number for number, token in enumerate(tokens)})
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=2 * HIDDEN,
        max_position_embeddings=512,
    )
    torch.manual_seed(SEED)
    model = BertModel(config, add_pooling_layer=False)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
