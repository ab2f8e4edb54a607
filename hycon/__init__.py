"""HyCon: hybrid contrastive learning of tri-modal representation, reproduced."""

__version__ = "0.1.0"
