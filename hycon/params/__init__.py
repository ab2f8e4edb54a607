"""Typed parameters: everything that a run can be told, loaded and validated once.

`load` merges `params.yaml`, `corpora.yaml` and an overlay, and returns a `Params` value or raises a
`HyConError` whose one line names the key, what was found and what is allowed. All other code
receives these values; nothing else reads a configuration file.
"""

from hycon.params.base import merge
from hycon.params.catalogue import Corpus, Encoder, Generator, Planted
from hycon.params.claims import Claim, Preregistration, load_claims, load_preregistrations
from hycon.params.experiments import swept_name
from hycon.params.inference import InferenceConfig, lower_is_better
from hycon.params.loading import load, read_texts, read_yaml
from hycon.params.parts import AlignConfig, FigureConfig, MetricsConfig
from hycon.params.peers import ADAPTED, MISSING, AnyPeer, OwnNetwork, Reimplemented, installed
from hycon.params.published import Published, load_published
from hycon.params.schema import MOST_IN_MEMORY, Params
from hycon.params.settings import (
    MODALITIES,
    ModelConfig,
    Settings,
    TrainConfig,
    get_path,
    get_value,
    override,
)
from hycon.params.tuning import TuningConfig

__all__ = [
    "ADAPTED",
    "MISSING",
    "MODALITIES",
    "MOST_IN_MEMORY",
    "AlignConfig",
    "AnyPeer",
    "Claim",
    "Corpus",
    "Encoder",
    "FigureConfig",
    "Generator",
    "InferenceConfig",
    "MetricsConfig",
    "ModelConfig",
    "OwnNetwork",
    "Params",
    "Planted",
    "Preregistration",
    "Published",
    "Reimplemented",
    "Settings",
    "TrainConfig",
    "TuningConfig",
    "get_path",
    "get_value",
    "installed",
    "load",
    "load_claims",
    "load_preregistrations",
    "load_published",
    "lower_is_better",
    "merge",
    "override",
    "read_texts",
    "read_yaml",
    "swept_name",
]
