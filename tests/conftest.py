"""What all tests have."""

pytest_plugins = ["tests.services.fixtures", "tests.services.images"]
