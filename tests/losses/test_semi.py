from math import e, log

import pytest
import torch

from hycon.losses import semi_contrastive
from tests.losses.loss_batches import draw, vectors
from tests.losses.loss_example import X


def test_the_example_worked_out_by_hand():
    # Each utterance's pairs text-audio, text-vision, audio-vision, and their (s - 0.8)^2:
    #   0:  .5  .9  .8     .09  .01  0
    #   1:  .8  .1  .5     0    .49  .09
    #   2:  .5  .9  .2     .09  .01  .36
    # Each of the 9 pairs counts for two of the 9 anchors, with factor 1/2: the mean is the sum / 9.
    assert semi_contrastive(X, alpha=0.8).item() == pytest.approx(1.14 / 9, abs=1e-12)


def test_the_example_under_nonnegative_similarity():
    # The softplus makes these 1 and 0.
    one, zero = log(e - 1), -1000.0
    x = vectors(text=[[one, zero]], audio=[[one, one]], vision=[[zero, one]])
    # Cosines: text-audio and audio-vision 1 / sqrt(2), text-vision 0.
    expected = (2 * (0.5**0.5 - 0.8) ** 2 + 0.8**2) / 3
    loss = semi_contrastive(x, alpha=0.8, similarity="nonnegative")
    assert loss.item() == pytest.approx(expected, abs=1e-12)


def test_it_is_zero_where_all_modalities_of_an_utterance_agree_and_the_margin_is_one():
    row = [[1.0, 2.0], [-3.0, 1.0]]
    assert semi_contrastive(vectors(row, row, row), alpha=1.0).item() == pytest.approx(0, abs=1e-15)


def test_two_modalities_suffice():
    x = {m: X[m] for m in ("text", "vision")}
    # text-vision pairs: .9, .1, .9
    expected = (0.01 + 0.49 + 0.01) / 3
    assert semi_contrastive(x, alpha=0.8).item() == pytest.approx(expected, abs=1e-12)


def test_other_utterances_do_not_matter():
    x = draw(4)
    single = [
        semi_contrastive({m: v[k : k + 1] for m, v in x.items()}, alpha=0.6) for k in range(4)
    ]
    torch.testing.assert_close(semi_contrastive(x, alpha=0.6), torch.stack(single).mean())


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_a_margin_outside_zero_to_one_is_refused(alpha):
    with pytest.raises(ValueError, match=r"alpha, the modality margin, must be in \[0, 1\], not"):
        semi_contrastive(draw(2), alpha)
