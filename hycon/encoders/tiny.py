"""A tiny BERT and a tiny XLNet with random weights, so that the sample needs no download.

Their vocabularies are the letters and words of a corpus's training utterances; their weights are
drawn from a seed. Even frozen, their states differ between words and contexts.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

# SentencePiece's mark of where a word begins
WORD_START = "\u2581"
XLNET_SPECIAL = (
    "<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>",
)  # fmt: skip
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
    _save(tokenizer, lambda: BertModel(config, add_pooling_layer=False), folder)


def build_xlnet(texts: Iterable[str], folder: Path) -> None:
    """Write a tiny XLNet and its tokenizer into a folder, as `save_pretrained` does.

    Its pieces are whole words and letters; a word is the cheapest way to write itself.
    """
    from transformers import XLNetConfig, XLNetModel, XLNetTokenizer

    words = sorted({word for text in texts for word in text.lower().split() if len(word) > 1})
    pieces = [(f"{WORD_START}{word}", -1.0) for word in words]
    letters = [(piece, -10.0) for letter in LETTERS for piece in (letter, f"{WORD_START}{letter}")]
    special = [(token, 0.0) for token in XLNET_SPECIAL]
    vocabulary = [*special, (WORD_START, -10.0), *letters, *pieces]
    tokenizer = XLNetTokenizer(vocab=vocabulary, do_lower_case=True)
    config = XLNetConfig(
        vocab_size=len(tokenizer),
        d_model=HIDDEN,
        n_layer=LAYERS,
        n_head=HEADS,
        d_inner=2 * HIDDEN,
    )
    _save(tokenizer, lambda: XLNetModel(config), folder)


def _save(tokenizer, make: Callable, folder: Path) -> None:
    import torch
    import transformers

    transformers.logging.disable_progress_bar()
    torch.manual_seed(SEED)
    model = make()
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)


BUILDERS = {"bert": build_bert, "xlnet": build_xlnet}
