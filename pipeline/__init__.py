"""The pipeline, the command `finest`, and what runs them on this machine and on a cluster."""
