"""All of them, in the order of the pipeline."""

from __future__ import annotations

from fuzz.code import POLICY
from fuzz.texts import EXTRACTOR, PRAGMA
from fuzz.values import CODEC
from fuzz.versions import VERSIONS

TARGETS = [PRAGMA, CODEC, EXTRACTOR, POLICY, VERSIONS]
