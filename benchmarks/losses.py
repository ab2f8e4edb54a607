"""What is claimed of the hybrid loss: far faster than a loop, and no slower than SupCon's.

Run `python -m benchmarks.losses`: four minutes, two of them compilation. Forward and backward pass,
down to representations of d = 50, on batches of K utterances; all of a K take turns on the same
batches. The losses in plain PyTorch, also under torch.compile, are measured at d = 100.
"""

import argparse
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.table import Line, write_tables
from benchmarks.timing import exponent, in_turns, say
from hycon.losses import (
    BaselineLoss,
    HybridContrastiveLoss,
    PairSelection,
    inter_modal,
    intra_modal,
    semi_contrastive,
)
from hycon.params import MODALITIES
from hycon.training.device import set_threads
from tests.losses import loop_reference

WIDTH = 50  # d
SIZES = {32: 200, 64: 200, 128: 100, 256: 30, 512: 20}  # K: measurements
LOOPED = {32: 3, 64: 3}  # the same of the loop, whose time grows to minutes
PLAIN = (32, 100, 500)  # beside plain PyTorch: K, d, measurements
PASSES = 50  # of ours in a turn with the loop, whose garbage the first ones still feel
BATCHES = 8  # of each K: always the same one would be known to the branch predictor by heart
ALPHA, WEIGHTS = 0.8, (0.1, 0.1, 0.1)
SELECTION = PairSelection(beta=0.5, gamma=1.0)
LEAST, MOST = 200, 1.5  # times as fast as the loop; times SupCon's time
GROWTH = 2.1  # the exponent that still counts as K^2
LOSSES = {
    "HyCon": HybridContrastiveLoss(ALPHA, WEIGHTS),
    "HyCon-v2": HybridContrastiveLoss(ALPHA, WEIGHTS, SELECTION),
}
Batch = tuple[dict[str, Tensor], Tensor]  # representations and classes
Loss = Callable[[dict[str, Tensor], Tensor], Tensor]


class RowsInALoop(loop_reference.Batch):
    """The loop of the tests over pairs, with a pair's cosine in one operation, in float32."""

    def __init__(self, representations: dict[str, Tensor], classes: Tensor) -> None:
        super().__init__({}, classes)
        self.rows = {name: list(value) for name, value in representations.items()}
        self.modalities = list(representations)

    def _s(self, m: str, k: int, n: str, i: int) -> Tensor:
        cosine = torch.nn.functional.cosine_similarity(self.rows[m][k], self.rows[n][i], dim=0)
        return (1 + cosine) / 2


def main() -> None:
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.losses", description=__doc__.splitlines()[0]
    )
    options.add_argument("--threads", type=int, default=1)
    options.add_argument(
        "--output", type=Path, default=Path("benchmarks/results"), help="folder of the tables"
    )
    arguments = options.parse_args()
    set_threads(arguments.threads)
    found = {}
    for size, repeats in SIZES.items():
        say(f"losses: K = {size}")
        found[size] = of_size(size, repeats)
    lines = [
        *against_loop(),
        *against_plain(),
        *(line for size, times in found.items() for line in against_supcon(size, times)),
        *growth(found),
    ]
    notes = [
        f"d = {WIDTH}, three modalities, two classes, float32, threads: {arguments.threads}; ms of "
        "a forward and a backward pass.",
        "loop: over single pairs, as the tests have it, a pair's cosine in one operation; it gives "
        "the same value, which is checked.",
        "plain: the weighted sum of intra_modal, inter_modal and semi_contrastive, which are "
        "written for readability; d = 100. torch.compile: the same, compiled before it is timed. "
        "Both give the same values, which is checked. The selection of HyCon-v2 leaves the "
        "compiled graph for numpy's argpartition.",
        "SupConLoss: of pytorch-metric-learning, one call on all 3K representations, which "
        "compares 3K (3K - 1) ordered pairs. HyCon compares as many: IAMCL 3K (K - 1), IEMCL "
        "6K (K - 1), SCL 6K; each once.",
        "SupCon in place of IAMCL and IEMCL: the variant `supcon` of params.yaml, six calls on "
        "lists of the same pairs.",
        "matrix products: alone, (3K, d) by (d, 3K) and, for the gradient, two of "
        "(3K, 3K) by (3K, d): they are what grows with K^2 d.",
    ]
    packages = ("torch", "pytorch-metric-learning")
    print(write_tables(arguments.output / "losses", lines, notes, "", packages))


def batches(size: int, width: int = WIDTH) -> Iterator[Batch]:
    """Return batches of K utterances, a few of them again and again."""
    draw = torch.Generator().manual_seed(0)
    some = []
    for _ in range(BATCHES):
        x = {name: torch.randn(size, width, generator=draw) for name in MODALITIES}
        classes = torch.randint(0, 2, (size,), generator=draw)
        some.append(({name: value.requires_grad_() for name, value in x.items()}, classes))
    return itertools.cycle(some)


def pass_both_ways(size: int, loss: Loss, width: int = WIDTH) -> Callable[[], None]:
    """Return what takes the next batch forward to a loss and back to its gradients."""
    source = batches(size, width)

    def work() -> None:
        x, classes = next(source)
        loss(x, classes).backward()
        for value in x.values():
            value.grad = None

    return work


def of_size(size: int, repeats: int) -> dict[str, list[float]]:
    """Return the ms that each loss and the products alone take on batches of K utterances."""
    from pytorch_metric_learning.losses import SupConLoss

    supcon, substitute = SupConLoss(), BaselineLoss("supcon", ALPHA, WEIGHTS)
    losses = {
        **{name: lambda x, c, loss=loss: loss(x, c).total for name, loss in LOSSES.items()},
        "SupConLoss": lambda x, c: supcon(torch.cat(tuple(x.values())), c.repeat(len(x))),
        "SupCon in place": lambda x, c: substitute(x, c).total,
    }
    works = {name: pass_both_ways(size, loss) for name, loss in losses.items()}
    rows, square = torch.randn(3 * size, WIDTH), torch.randn(3 * size, 3 * size)

    def products() -> None:
        _ = rows @ rows.T, square @ rows, square.T @ rows

    return in_ms(in_turns({**works, "matrix products": products}, repeats))


def in_ms(times: dict[str, list[float]]) -> dict[str, list[float]]:
    return {name: [1e3 * each for each in values] for name, values in times.items()}


def against_loop() -> list[Line]:
    """Return what HyCon and a loop over pairs take on the same batches."""
    lines = []
    for size, repeats in LOOPED.items():
        say(f"losses: loop, K = {size}")
        x, classes = next(batches(size))

        def loop(x: dict[str, Tensor], classes: Tensor) -> Tensor:
            return loop_reference.hybrid(RowsInALoop(x, classes), ALPHA, WEIGHTS)

        same = LOSSES["HyCon"](x, classes).total
        torch.testing.assert_close(loop(x, classes), same, rtol=1e-4, atol=1e-5)
        works = {
            "ours": pass_both_ways(size, lambda x, c: LOSSES["HyCon"](x, c).total),
            "loop": pass_both_ways(size, loop),
        }
        took = in_ms(in_turns(works, repeats, {"ours": PASSES}))
        line = Line("HyCon", f"K = {size}", "ms", took["ours"], took["loop"], "loop")
        lines.append(line._replace(claim=f"{LEAST}x or more", holds=line.ratio >= LEAST))
    return lines


def against_plain() -> list[Line]:
    """Return what HyCon and the same losses in plain PyTorch take, also under torch.compile."""
    size, width, repeats = PLAIN
    compiler = os.environ.get("CXX", "g++")
    lines = []
    for name, loss in LOSSES.items():
        say(f"losses: plain, {name}")
        losses = {"ours": lambda x, c, loss=loss: loss(x, c).total, "plain": plain(loss)}
        if shutil.which(compiler):
            losses["compiled"] = torch.compile(losses["plain"], dynamic=False)
        for other in losses.values():
            batch = next(batches(size, width))
            torch.testing.assert_close(other(*batch), loss(*batch).total)
        works = {key: pass_both_ways(size, each, width) for key, each in losses.items()}
        took = in_ms(in_turns(works, repeats))
        line = Line(name, f"K = {size}, d = {width}", "ms", took["ours"], took["plain"], "plain")
        lines.append(line)
        compiled = "compiled" in took
        against = "plain, torch.compile"
        what = name if compiled else f"{name} (not {against}: no C++ compiler {compiler})"
        other = took.get("compiled", [])
        lines.append(line._replace(what=what, other=other, against=against))
    return lines


def plain(loss: HybridContrastiveLoss) -> Loss:
    """Return the total of the losses as they are written for readability."""

    def total(x: dict[str, Tensor], classes: Tensor) -> Tensor:
        parts = (
            intra_modal(x, classes, loss.selection),
            inter_modal(x, classes, loss.alpha, loss.selection),
            semi_contrastive(x, loss.alpha),
        )
        return sum(weight * part for weight, part in zip(loss.weights, parts, strict=True))

    return total


def against_supcon(size: int, took: dict[str, list[float]]) -> list[Line]:
    """Return the losses beside SupCon's, and beside the products that they cannot do without."""
    lines = []
    for name in LOSSES:
        line = Line(name, f"K = {size}", "ms", took[name], took["SupConLoss"], "SupConLoss")
        claim = f"at most {MOST}x its time"
        lines.append(line._replace(claim=claim, holds=line.ratio >= 1 / MOST))
    place = "SupCon in place of IAMCL and IEMCL"
    lines.append(Line("HyCon", f"K = {size}", "ms", took["HyCon"], took["SupCon in place"], place))
    lines.append(
        Line(
            "HyCon", f"K = {size}", "ms", took["HyCon"], took["matrix products"], "matrix products"
        )
    )
    return lines


def growth(found: dict[int, dict[str, list[float]]]) -> list[Line]:
    """Return with which power of K the times grow."""
    first, *_, last = found
    lines = []
    for small in (first, 128):
        sizes, ends = [small, last], (found[small], found[last])
        floor = exponent(sizes, [end["matrix products"] for end in ends])
        for name in LOSSES:
            power = exponent(sizes, [end[name] for end in ends])
            claim = (f"exponent at most {GROWTH} (K^2)", power <= GROWTH)
            size = f"K = {small} to {last}"
            lines.append(
                Line(f"growth, {name}", size, "", [power], [floor], "matrix products", *claim)
            )
    return lines


if __name__ == "__main__":
    main()
