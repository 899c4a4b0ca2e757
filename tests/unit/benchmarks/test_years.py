import json
import re
from pathlib import Path

from benchmarks.years import FILE, Result, World, live, table

DOCS = Path(__file__).parents[3] / "docs" / "error_rates.md"


def test_a_creep_is_refused_and_equal_models_seldom_are() -> None:
    world = World(error=0.003)
    before, after = (live(world, 0.02, trend, years=5) for trend in (False, True))
    assert before.lost_in_a_year > 0.9 > 0.2 > after.lost_in_a_year and after.nights <= 4
    assert live(world, 0.0, True, years=5).refused < 3
    assert after == live(world, 0.02, True, years=5)


def test_the_documented_table_is_the_committed_one() -> None:
    committed = [Result.model_validate(one) for one in json.loads(FILE.read_text())["results"]]
    documented = re.search(r"<!-- years.json -->\n(.*?)\n<!-- end -->", DOCS.read_text(), re.DOTALL)
    assert documented and documented[1] == table(committed)
    assert all(one.interval[1] <= 1 for one in committed if one.creep == 0 and one.trend and one.world.champion > 0.1)
