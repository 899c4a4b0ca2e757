"""Computes with amounts of what pods ask for and nodes have.

They go by Kubernetes' names: cpu, memory, ephemeral-storage, pods, nvidia.com/gpu.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from kubernetes.utils import parse_quantity

Amounts = dict[str, Decimal]
"""Amounts by name: CPUs, bytes, or a count."""
UNITS = {"Ti": 2**40, "Gi": 2**30, "Mi": 2**20, "Ki": 2**10}
PLAIN = {"cpu": "CPU", "memory": "memory", "ephemeral-storage": "ephemeral storage"}


def read(quantities: Mapping[str, Any] | None) -> Amounts:
    """Reads a Kubernetes list of quantities.

    >>> read({"cpu": "500m", "memory": "1Gi"})
    {'cpu': Decimal('0.500'), 'memory': Decimal('1073741824')}
    """
    return {name: parse_quantity(quantity) for name, quantity in (quantities or {}).items()}


def total(several: Iterable[Amounts]) -> Amounts:
    """Returns the sum, name by name."""
    found: Amounts = {}
    for one in several:
        found = {name: found.get(name, Decimal(0)) + one.get(name, Decimal(0)) for name in found | one}
    return found


def most(several: Iterable[Amounts]) -> Amounts:
    """Returns the largest amount, name by name."""
    found: Amounts = {}
    for one in several:
        found |= {name: max(amount, found.get(name, amount)) for name, amount in one.items()}
    return found


def less(have: Amounts, taken: Amounts) -> Amounts:
    """Returns what is left of the first once the second is taken."""
    return {name: amount - taken.get(name, Decimal(0)) for name, amount in have.items()}


def lacking(asked: Amounts, have: Amounts) -> list[str]:
    """Returns the names of what is asked for and not there; nothing of something is always there."""
    return [name for name, amount in asked.items() if amount > have.get(name, Decimal(0)) and amount > 0]


def shown(name: str, amount: Decimal) -> str:
    """Returns an amount in words, in the largest unit of which there is one; never more than there is.

    >>> shown("cpu", Decimal("3.920")), shown("memory", Decimal(12_400 * 2**20)), shown("nvidia.com/gpu", Decimal(2))
    ('3.92 CPU', '12.1Gi memory', '2 nvidia.com/gpu')
    """
    amount = max(amount, Decimal(0))
    if name in ("memory", "ephemeral-storage") or name.startswith("hugepages-"):
        suffix = next((suffix for suffix, size in UNITS.items() if amount >= size), "B")
        return f"{_cut(amount / UNITS.get(suffix, 1), 1)}{suffix} {PLAIN.get(name, name)}"
    return f"{_cut(amount, 3)} {PLAIN.get(name, name)}"


def listed(amounts: Amounts) -> str:
    """Returns all amounts that are more than nothing, in words, but for the pod itself."""
    return (
        ", ".join(shown(name, amount) for name, amount in amounts.items() if amount > 0 and name != "pods") or "nothing"
    )


def _cut(amount: Decimal, digits: int) -> str:
    step = Decimal(1).scaleb(-digits)
    return f"{(amount // step) * step:f}".rstrip("0").rstrip(".") if amount % 1 else f"{amount:.0f}"
