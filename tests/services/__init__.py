"""Real services on loopback, for tests and for trying things out: S3 (rclone), PostgreSQL, MLflow's server, AWS's STS and IAM (moto).

`python -m tests.services start DIR` starts the first three together and prints the environment that uses them.
"""
