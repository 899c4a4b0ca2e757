"""Feeds thousands of changed inputs to whatever reads them: `python -m tests.fuzz`.

Each ends as a clean error, with rows set aside, or with a result that is checked; see `kind`.
"""
