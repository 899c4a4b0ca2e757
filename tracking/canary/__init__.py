"""Tries a registered package as it would serve, before it may be the champion."""
