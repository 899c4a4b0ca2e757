"""RecTools' BERT4Rec: `python -m benchmarks.peer_rectools_bert4rec TASK ANSWER`, as benchmarks/peer_rectools.py."""

from rectools.models import BERT4RecModel
from rectools.models.nn.transformers.constants import MASKING_VALUE

from benchmarks.peer_exchange import main
from benchmarks.peer_rectools import RecTools


class BERT4Rec(RecTools):
    """Trains RecTools' BERT4Rec, which is asked at a mask behind the history."""

    model = BERT4RecModel
    mask = MASKING_VALUE


if __name__ == "__main__":
    main(BERT4Rec)
