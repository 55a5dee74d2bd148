"""Writes the values inside PyTorch models for llmdbg to compare with."""

from .dump_torch import Values, recording

__all__ = ["Values", "recording"]
