"""Real services on loopback: S3 (rclone), PostgreSQL, MLflow's server, AWS's STS and IAM (moto).

They are for tests and for trying things out. `python -m tests.services start DIR` starts the first three together and
prints the environment that uses them; `stop DIR` ends them. All but PostgreSQL come with the dev extra;
`tests/services/install.sh` installs that on Debian, and its tests are skipped where it is not.
"""
