import pytest

from finest.models.registry import MODELS
from tests.unit.models.plugins import Masked, Plain


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers models as an installed package would."""
    list(MODELS)
    for name, model in {"plain": Plain, "masked": Masked}.items():
        monkeypatch.setitem(MODELS._things, name, model)
