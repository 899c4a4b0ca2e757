from tests.component_readmes import readmes


def test_every_component_has_a_readme_with_its_inputs_and_outputs() -> None:
    stale = [str(path) for path, text in readmes().items() if path.read_text() != text]
    assert stale == [], "not what the components say: run `make docs`"
