"""Makes MLflow know the users in $USERS: a folder for each, with the files `username` and `password`.

A user that MLflow knows already gets that password.

Signs in as MLFLOW_TRACKING_USERNAME, who must be an admin, at MLFLOW_TRACKING_URI, once MLflow answers.
"""

import os
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.server import get_app_client
from wait_for_server import wait_for_server


def main() -> None:
    """Waits for the server, and makes its users."""
    wait_for_server(os.environ["MLFLOW_TRACKING_URI"])
    client = get_app_client("basic-auth", tracking_uri=os.environ["MLFLOW_TRACKING_URI"])
    for folder in sorted(path for path in Path(os.environ["USERS"]).iterdir() if path.is_dir()):
        username, password = ((folder / name).read_text().strip() for name in ("username", "password"))
        try:
            client.create_user(username, password)
            print(f"created {username}")
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise SystemExit(f"error: user {username}: {error.message}") from None
            client.update_user_password(username, password)
            print(f"{username} has the password of its Secret")


if __name__ == "__main__":
    try:
        main()
    except KeyError as error:
        raise SystemExit(f"error: {error.args[0]} is not set") from None
    except MlflowException as error:
        raise SystemExit(f"error: {error.message}") from None
