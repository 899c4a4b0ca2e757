"""Holds what fine-tuning adds to the cross-entropy, a file each.

Where the lists that a regulariser keeps come from is another thing: `finest.training.reference_lists`.
"""
