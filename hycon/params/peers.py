"""Peers, trained by this project's loop: of the package MMSA, reimplemented here, and custom ones.

Keys of the first are those of MMSA's configuration, flattened: `NN1Config: {shapes, drop}` is
nn1_shapes and nn1_drop. Lists are in the order text, audio, vision; `dropouts` in the order audio,
vision, text, after the fusion.
"""

import importlib.util
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from hycon.params.base import (
    Count,
    Float,
    Line,
    Modalities,
    Name,
    NonNegative,
    Positive,
    Probability,
    Strict,
)

MEANS = "audio and vision are means over the steps, as in MMSA"
MULTITASK = f"{MEANS}; each modality's label is the utterance's, where MMSA has one of each"
RESAMPLED = "audio and vision are resampled to the text's steps"
GIVEN = "text states come from this project's encoder"
ADAPTED = {
    "tfn": MEANS,
    "lmf": f"{MEANS}; its fusion's weights and bias are trained, which MMSA's optimiser leaves out",
    "lf-dnn": MEANS,
    "ef-lstm": f"{RESAMPLED}; batch norm over as many steps as the longest utterance has",
    "mfn": f"{RESAMPLED}; MMSA's settings average them first",
    "graph-mfn": f"{RESAMPLED}; the networks of the fusion graph are trained, which MMSA does not "
    "register",
    "mult": "at most 50 steps of each modality",
    "misa": f"{GIVEN}; each modality has its own number of steps, where MMSA takes the text's for "
    "all; auxiliary losses as in MMSA, with no more moments in CMD than a batch has utterances",
    "mmim": "the pooled text state in place of BERT's [CLS]; both stages of MMSA in one step, each "
    "loss updates only the weights that it trains in MMSA; no entropy term where a covariance is "
    "singular, for one utterance or for emotions",
    "mag-bert": f"{RESAMPLED}; cached text states have no layers of BERT behind the gate, only "
    "text_pooling and BERT's pooler with random initial weights",
    "self-mm": "the pooled text state in place of BERT's [CLS]; the centre of an empty class is "
    "kept",
    "mtfn": MULTITASK,
    "mlf-dnn": MULTITASK,
    "mlmf": f"{MULTITASK}; its fusion's weights and bias are trained, at a rate of 0 in MMSA",
    "almt": f"{GIVEN}; padding takes no part; narrower heads and fewer layer norms than in the "
    "authors' code",
    "confede": f"{GIVEN}, and no encoder is trained beforehand; neighbours are those of the batch, "
    "where the authors draw them from the training fold",
}
MISSING = "the package MMSA is not installed: pip install -c constraints.txt -e '.[peers]'"

Three = Annotated[list[Count], Field(min_length=3, max_length=3)]
Four = Annotated[list[Probability], Field(min_length=4, max_length=4)]


class _Peer(Strict):
    """Keys of all peers."""

    of_mmsa: ClassVar[bool] = True  # its class is in the package MMSA
    only_scores: ClassVar[bool] = False  # it has no row on corpora of emotions
    longest: Count = 50
    """Steps of an utterance that are read, from its start. 50 in MMSA's aligned features."""


class Tfn(_Peer):
    """Tensor Fusion Network."""

    network: Literal["tfn"]
    hidden_dims: Three
    text_out: Count
    post_fusion_dim: Count
    dropouts: Four


class Lmf(_Peer):
    """Low-rank Multimodal Fusion."""

    network: Literal["lmf"]
    hidden_dims: Three
    rank: Annotated[int, Field(ge=2)]
    dropouts: Four


class Mfn(_Peer):
    """Memory Fusion Network."""

    network: Literal["mfn"]
    hidden_dims: Three
    memsize: Count
    nn1_shapes: Count
    nn1_drop: Probability
    nn2_shapes: Count
    nn2_drop: Probability
    gamma1_shapes: Count
    gamma1_drop: Probability
    gamma2_shapes: Count
    gamma2_drop: Probability
    out_shapes: Count
    out_drop: Probability


class GraphMfn(_Peer):
    """Graph Memory Fusion Network."""

    network: Literal["graph-mfn"]
    hidden_dims: Three
    memsize: Count
    inner_node_dim: Count
    nn_shapes: Count
    nn_drop: Probability
    gamma1_shapes: Count
    gamma1_drop: Probability
    gamma2_shapes: Count
    gamma2_drop: Probability
    out_shapes: Count
    out_drop: Probability


class Mult(_Peer):
    """Multimodal Transformer."""

    network: Literal["mult"]
    dst_feature_dim: Count
    nheads: Count
    nlevels: Count
    conv1d_kernel_size_l: Count
    conv1d_kernel_size_a: Count
    conv1d_kernel_size_v: Count
    text_dropout: Probability
    attn_dropout: Probability
    attn_dropout_a: Probability
    attn_dropout_v: Probability
    relu_dropout: Probability
    embed_dropout: Probability
    res_dropout: Probability
    output_dropout: Probability
    attn_mask: bool

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.dst_feature_dim % self.nheads:
            raise ValueError(
                f"dst_feature_dim {self.dst_feature_dim} is not a multiple of nheads {self.nheads}"
            )
        return self


class EfLstm(_Peer):
    """Early fusion by an LSTM."""

    network: Literal["ef-lstm"]
    hidden_dims: Count
    num_layers: Count
    dropout: Probability


class LfDnn(_Peer):
    """Late fusion by a deep network."""

    network: Literal["lf-dnn"]
    hidden_dims: Three
    text_out: Count
    post_fusion_dim: Count
    dropouts: Four


class Misa(_Peer):
    """Modality-invariant and -specific representations, with the weights of its own losses."""

    network: Literal["misa"]
    hidden_size: Annotated[int, Field(ge=2, multiple_of=2)]  # its fusion has two heads
    dropout: Probability
    diff_weight: NonNegative
    sim_weight: NonNegative
    recon_weight: NonNegative


class Mmim(_Peer):
    """Multimodal Infomax, with the weights of its own losses."""

    network: Literal["mmim"]
    text_pooling: Literal["last", "first", "mean"]
    """State that represents the text. MMSA: first, which is [CLS] of its fine-tuned BERT."""
    d_ah: Count
    d_vh: Count
    d_aout: Annotated[int, Field(ge=4)]  # the entropy is of a quarter
    d_vout: Annotated[int, Field(ge=4)]
    d_prjh: Count
    dropout_prj: Probability
    cpc_layers: Count
    add_va: bool
    mem_size: Count
    alpha: NonNegative
    beta: NonNegative


class MagBert(_Peer):
    """Multimodal adaptation gate for BERT."""

    network: Literal["mag-bert"]
    text_pooling: Literal["last", "first", "mean"]
    """State that represents the text. MMSA: first, which is [CLS] of its fine-tuned BERT."""
    beta_shift: NonNegative
    dropout_prob: Probability
    hidden_dropout_prob: Probability


class SelfMm(_Peer):
    """Self-supervised multi-task learning: labels of text, audio and vision move in training."""

    only_scores: ClassVar[bool] = True
    network: Literal["self-mm"]
    text_pooling: Literal["last", "first", "mean"]
    """State that represents the text. MMSA: first, which is [CLS] of its fine-tuned BERT."""
    a_lstm_hidden_size: Count
    v_lstm_hidden_size: Count
    a_lstm_dropout: Probability
    v_lstm_dropout: Probability
    audio_out: Count
    video_out: Count
    post_fusion_dim: Count
    post_text_dim: Count
    post_audio_dim: Count
    post_video_dim: Count
    post_fusion_dropout: Probability
    post_text_dropout: Probability
    post_audio_dropout: Probability
    post_video_dropout: Probability
    H: Positive
    """Labels of the modalities stay in [-H, H]."""
    audio_rate: Positive
    """Factor of the learning rate of the LSTM of audio."""
    video_rate: Positive
    """Factor of the learning rate of the LSTM of vision."""


class _MultiTask(_Peer):
    """Keys of networks that also predict from each modality."""

    hidden_dims: Three
    post_text_dim: Count
    post_audio_dim: Count
    post_video_dim: Count
    dropouts: Annotated[list[Probability], Field(min_length=3, max_length=3)]
    """In the order audio, vision, text."""
    post_dropouts: Four
    """In the order text, audio, vision, fusion."""
    M: Positive
    """Weight of the loss of the fusion."""
    T: NonNegative
    """Weight of the loss of text."""
    A: NonNegative
    """Weight of the loss of audio."""
    V: NonNegative
    """Weight of the loss of vision."""


class Mtfn(_MultiTask):
    """Multi-task Tensor Fusion Network."""

    network: Literal["mtfn"]
    text_out: Count
    post_fusion_dim: Count


class MlfDnn(_MultiTask):
    """Multi-task late fusion by a deep network."""

    network: Literal["mlf-dnn"]
    text_out: Count
    post_fusion_dim: Count


class Mlmf(_MultiTask):
    """Multi-task Low-rank Multimodal Fusion."""

    network: Literal["mlmf"]
    rank: Annotated[int, Field(ge=2)]


MultiTask = Mtfn | MlfDnn | Mlmf


class Reimplemented(_Peer):
    """A network that is reimplemented here."""

    of_mmsa: ClassVar[bool] = False


class Almt(Reimplemented):
    """Adaptive Language-guided Multimodal Transformer."""

    network: Literal["almt"]
    dimension: Count
    """Width of all states, a multiple of heads."""
    tokens: Count
    """Learned tokens that each modality is embedded in."""
    layers: Count
    """Transformer layers that embed a modality."""
    scales: Count
    """Scales of the text, each with a layer of Adaptive Hyper-modality Learning."""
    fusion_layers: Count
    """Layers of the cross-modal Transformer."""
    heads: Count
    hidden: Count
    """Width of the hidden layers of the Transformers."""
    dropout: Probability

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.dimension % self.heads:
            raise ValueError(f"dimension {self.dimension} is not a multiple of heads {self.heads}")
        return self


class ConFede(Reimplemented):
    """Contrastive feature decomposition, with the weights of its own losses."""

    network: Literal["confede"]
    dimension: Count | None
    """Width of the encodings of audio and vision, a multiple of 2 * heads; features have half of
    it. null: the text's width, rounded down to such a multiple."""
    heads: Count
    layers: Count
    """Transformer layers that encode audio, and vision."""
    dropout: Probability
    temperature: Positive
    neighbours: Count
    """Neighbours of an utterance: so many nearest of its class, nearest of others and farthest."""
    contrastive_weight: NonNegative
    unimodal_weight: NonNegative

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.dimension and self.dimension % (2 * self.heads):
            raise ValueError(
                f"dimension {self.dimension} is not a multiple of 2 * heads, {2 * self.heads}"
            )
        return self


Plain = bool | int | Float | Line | None
Keyword = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=80)]
# a file in the project's folder, and a class in it
Source = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_./ -]+\.py:[A-Za-z_][A-Za-z0-9_]*$")
]


class Own(Strict):
    """A network that you provide."""

    network: Literal["own"]
    name: Name
    """Its name in `networks`, or of an entry point of the group hycon.networks."""
    reads: Annotated[Modalities, Field(min_length=1)] | None = None
    """Modalities that it reads; null for all that the corpus has."""
    settings: dict[Keyword, Plain | list[Plain]] = Field(default={})
    """Keyword arguments of its class."""


class OwnNetwork(Own):
    """A network that you provide in the settings of a row, with the digest of its code."""

    reads: Annotated[Modalities, Field(min_length=1)]
    source: Line  # as in `hycon.params.own.Located`
    sha256: Line


AnyPeer = (
    Tfn
    | Lmf
    | Mfn
    | GraphMfn
    | Mult
    | EfLstm
    | LfDnn
    | Misa
    | Mmim
    | MagBert
    | SelfMm
    | MultiTask
    | Almt
    | ConFede
)
PeerSettings = Annotated[AnyPeer | Own, Field(discriminator="network")]


def installed() -> bool:
    """Return whether the package MMSA is installed."""
    return importlib.util.find_spec("MMSA") is not None
