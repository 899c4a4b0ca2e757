"""What fine-tuning adds to the cross-entropy, a file each; where the lists that it keeps come from is another thing: `reference_lists`."""
