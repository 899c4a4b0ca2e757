"""All kinds of inputs, by name."""

from tests.fuzz import configs, digested, feeds, kept, lists, parquets, texts
from tests.fuzz.kind import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind for module in (texts, parquets, feeds, configs, lists, kept, digested) for kind in module.KINDS
}
