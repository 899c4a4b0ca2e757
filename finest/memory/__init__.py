"""Scores items by what is counted: what followed what, who used what, and each user's own history."""
