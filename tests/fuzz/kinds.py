"""All kinds of inputs, by name."""

from tests.fuzz import configs, parquets, texts
from tests.fuzz.kind import Kind

KINDS: dict[str, Kind] = {kind.name: kind for module in (texts, parquets, configs) for kind in module.KINDS}
