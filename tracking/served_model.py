"""Defines the MLflow model, from code.

MLflow runs this file when it loads a package, with the package's own copy of finest's models.
"""

import logging
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext

DEPTH = 10
"""Length of a list if the request names none."""

logger = logging.getLogger("finest")


class ServedModel(PythonModel):
    """Recommends next items for histories, as the offline rank lists have them."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the model of the package, once, if every file of it is what was packed and, with a key, signed."""
        from finest.errors import DamagedError
        from finest.models.manifest import check
        from finest.models.saved import load
        from finest.models.signature import verify

        package = Path(context.artifacts["model"]).parents[1]
        try:
            check(package, compiled=True)
            verify(package)
        except DamagedError as error:
            raise DamagedError(
                f"the package in {package} is damaged: {error}; download it again, and if it stays so put another "
                "version into production: finest models rollback"
            ) from error
        self.saved, self.told = load(Path(context.artifacts["model"]), device="cpu"), False

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Returns `items`, best first, and `scores` for each row of the request.

        Items of the history that the model does not know are skipped; without any known item the lists are empty. Lists
        leave out what is in the history if the training data's config says so (`exclude_seen`), and end with the
        catalogue.

        Args:
            context: What MLflow gives to models; not used.
            model_input: A row a request: `history` (item ids, oldest first), and optionally the columns `k` and
                `timestamps`, whole seconds since 1970 (UTC), one for each item. A model that reads no times passes
                these over; one that does says in the log, once, what it does where there are none.
            params: Not used.
        """
        from finest.models.saved import recommend

        histories = [[str(item) for item in history] for history in model_input["history"]]
        lengths = list(model_input["k"]) if "k" in model_input else [DEPTH] * len(histories)
        if min(lengths, default=1) < 1:
            raise ValueError(f"k: {min(lengths)} is not a length of a list; ask for at least 1 item")
        times = [_times(one) for one in model_input["timestamps"]] if "timestamps" in model_input else None
        self._tell(times is None or None in times)
        items, scores = recommend(self.saved, histories, max(lengths, default=DEPTH), times)
        return pd.DataFrame(
            {
                "items": [row[:k] for row, k in zip(items, lengths, strict=True)],
                "scores": [row[:k] for row, k in zip(scores, lengths, strict=True)],
            }
        )

    def _tell(self, without: bool) -> None:
        """Says once what a model that reads times does without them."""
        model = self.saved.model
        if without and model.timed and not self.told:
            self.told = True
            logger.warning("a request has no timestamps: %s %s", self.saved.config.name, model.without_times)


def _times(of: Any) -> list[int] | None:
    """Returns a row's times; None where it has none, for which pandas has None or NaN."""
    return None if of is None or isinstance(of, float) else [int(one) for one in of]


mlflow.models.set_model(ServedModel())
