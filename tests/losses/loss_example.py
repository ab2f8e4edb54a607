"""Three utterances small enough to compute the three losses by hand.

    utterance  class  text        audio   vision
    0          0      (1, 0)      (0, 1)  (0.8, 0.6)
    1          0      (0.6, 0.8)  (1, 0)  (0, -1)
    2          1      (0, 1)      (-1, 0) (0.6, 0.8)

The code scales them, which changes no cosine. Their similarities, (1 + cosine) / 2, with t for
text, a for audio and v for vision:

          t0    t1    t2    a0    a1    a2    v0    v1    v2
    t0    1    .8    .5    .5    1     0     .9    .5    .8
    t1         1     .9    .9    .8    .2    .98   .1    1
    t2               1     1     .5    .5    .8    0     .9
    a0                     1     .5    .5    .8    0     .9
    a1                           1     0     .9    .5    .8
    a2                                 1     .1    .5    .2
    v0                                       1     .2    .98
    v1                                             1     .1
"""

import torch

from tests.losses.loss_batches import vectors

X = vectors(
    text=[[2.0, 0.0], [3.0, 4.0], [0.0, 0.5]],
    audio=[[0.0, 1.0], [7.0, 0.0], [-3.0, 0.0]],
    vision=[[4.0, 3.0], [0.0, -2.0], [0.6, 0.8]],
)
CLASSES = torch.tensor([0, 0, 1])
