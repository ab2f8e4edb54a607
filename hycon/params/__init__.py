"""Typed parameters: everything that a run can be told, validated once, at the door.

`load` merges `params.yaml`, `corpora.yaml` and an overlay, and returns a `Params` value or raises a
`HyConError` whose one line names the key, what was found and what is allowed. Everything after the
door receives these values; nothing else reads a configuration file.
"""

from hycon.params.base import merge
from hycon.params.catalogue import Corpus, Encoder, Generator
from hycon.params.loading import load, read_texts, read_yaml
from hycon.params.peers import ADAPTED, MISSING, AnyPeer, installed
from hycon.params.published import Published, load_published
from hycon.params.schema import Align, Figures, Metrics, Params
from hycon.params.settings import Model, Settings, Train, setting_at, with_values
from hycon.params.tuning import Tuning

__all__ = [
    "ADAPTED",
    "MISSING",
    "Align",
    "AnyPeer",
    "Corpus",
    "Encoder",
    "Figures",
    "Generator",
    "Metrics",
    "Model",
    "Params",
    "Published",
    "Settings",
    "Train",
    "Tuning",
    "installed",
    "load",
    "load_published",
    "merge",
    "read_texts",
    "read_yaml",
    "setting_at",
    "with_values",
]
