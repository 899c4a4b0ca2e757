"""A secret for every setting that takes one, each with a word by which it is found wherever it is written."""

import pytest

from finest import secrets

ODD = "se/cr@et?a#b'c\"d<e f%&=:LEAK"
"""A password that SQLAlchemy and libraries of databases take."""
PLANTED = {
    "AWS_SECRET_ACCESS_KEY": "LEAKaws/secret+key==",
    "AWS_SESSION_TOKEN": "LEAKsession/token+=",
    "AWS_ENDPOINT_URL": "http://user:LEAK-endpoint@s3.example:9000",
    "MLFLOW_TRACKING_URI": f"postgresql+psycopg2://mlflow:{ODD}@db.example/mlflow",
    "MLFLOW_TRACKING_PASSWORD": "LEAK pass word",
    "MLFLOW_TRACKING_TOKEN": "LEAKmlflowtoken",
    "AZURE_STORAGE_KEY": "LEAKazure/key==",
    "AZURE_STORAGE_SAS_TOKEN": "sv=2024&sig=LEAKsas%2Fsig",
    "AZURE_STORAGE_CONNECTION_STRING": "AccountName=a;AccountKey=LEAKconnection==;EndpointSuffix=core",
    "FINEST_WEBHOOK": "https://hooks.example/services/T0/B0/LEAKhook",
    "TEAM_ADDRESS": "https://teams.example/LEAKteams/post",
    "FINEST_SIGNING_KEY": "-----BEGIN PRIVATE KEY-----\nLEAKMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----",
    "FINEST_SIGNING_KEY_PASSWORD": "LEAKkeypassword",
    "KFP_TOKEN": "LEAKkfp.token.value",
    "HTTPS_PROXY": "http://me:LEAKproxy@proxy.example:3128",
    "PGPASSWORD": "LEAKpgpass",
    "OWN_API_KEY": "LEAKapikey",
}
SECRETS = " and ".join(PLANTED.values())


def plant(monkeypatch: pytest.MonkeyPatch, *without: str) -> None:
    """Sets all of them in the environment, but those without which something is to work."""
    for name, value in PLANTED.items():
        if name not in without:
            monkeypatch.setenv(name, value)
    monkeypatch.setenv(secrets.VARIABLE, "")
    secrets.hide_variable("TEAM_ADDRESS")
