"""The gate's rules, a file each: what was measured and the bounds in, results with a sentence each out."""
