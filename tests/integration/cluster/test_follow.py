"""What is said of runs that a real backend recorded; five of the transcripts are those of the guide."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kubernetes import client as kube

from finest.gate.verdict import RuleResult
from tests.integration.cluster.conftest import Call, Replay, Said, crown, judged, model, record
from tests.services import fake_kubernetes, recorded
from tests.services.fake_kfp import FakeKfp
from tests.services.fake_kubernetes import FakeKubernetes

GUIDE = Path(__file__).parents[3] / "docs" / "operations.md"
WIDTH = 80


def in_the_guide(name: str) -> str:
    """A transcript of docs/operations.md."""
    found = re.search(rf"<!-- {name} -->\n```text\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert found, f"docs/operations.md has no transcript {name}"
    return found[1]


def on_a_terminal(said: Said, command: str, own: str = "finest") -> str:
    """The command and what it said, as a terminal shows it that breaks lines where they reach its edge.

    `own` is the test's model.
    """
    shown = re.sub(
        r"[0-9a-f]{32}", "4c1b7e0d52f94a6f8d3e90a1b2c7d865", (said.out + said.error).replace(own, "finest")
    )  # MLflow's run
    shown = re.sub(r"/experiments/\d+/", "/experiments/1/", shown)
    lines = [f"$ finest {command}", *shown.splitlines()]
    return "".join(f"{line[first : first + WIDTH]}\n" for line in lines for first in range(0, max(len(line), 1), WIDTH))


def add_pods(kubernetes: FakeKubernetes, name: str) -> dict[str, int]:
    """A finished pod for every attempt that a recorded run ever had. Their places by the ends of the nodes' names."""
    run = recorded.answer(name)
    nodes = sorted(node for node in recorded.names(run).values() if re.search(r"(executor|-driver)\(\d\)$", node))
    for node in nodes:
        kubernetes.add_step(run["run_id"], node, "Succeeded")
    return {".".join(node.split(".")[-2:]): place for place, node in enumerate(nodes)}


def test_a_run_that_passes_after_a_lost_pod(
    replay: Replay, call: Call, kubernetes: FakeKubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = kubernetes.pods[add_pods(kubernetes, "lost-pod")["pretrain(0).executor(0)"]]
    lost.status.phase = "Running"

    def meanwhile(at: datetime) -> None:
        if at > datetime(2026, 11, 26, 16, 16, 40, tzinfo=UTC) and lost in kubernetes.pods:
            kubernetes.pods.remove(lost)

    run = replay("lost-pod", meanwhile)
    record(run, "pass", line=model(tmp_path))
    crown(model(tmp_path), run)
    monkeypatch.setenv("FINEST_MLFLOW_URL", "https://mlflow.example.com/")
    said = call("status", run, "--follow")
    assert said.code == 0, said.error
    assert on_a_terminal(said, f"status {run} --follow", model(tmp_path)) == in_the_guide("passed after a lost pod")


def test_a_run_that_fails_for_want_of_memory(replay: Replay, call: Call, kubernetes: FakeKubernetes) -> None:
    place = add_pods(kubernetes, "killed")["pretrain(0).executor(0)"]
    killed = fake_kubernetes.read(recorded.answer("pod-out-of-memory"), "V1Pod")
    killed.metadata = kubernetes.pods[place].metadata
    kubernetes.pods[place] = killed
    run = replay("killed")
    record(run, None)
    said = call("status", run, "--follow")
    assert said.code == 1
    assert on_a_terminal(said, f"status {run} --follow") == in_the_guide("failed for want of memory")


def test_a_run_that_was_cancelled_while_a_step_waited_for_a_node(
    replay: Replay, call: Call, kubernetes: FakeKubernetes, tmp_path: Path
) -> None:
    waiting = kubernetes.pods[add_pods(kubernetes, "terminated")["ingest(0).executor(0)"]]
    unscheduled(kubernetes, waiting)
    run = replay("terminated")
    record(run, None, line=model(tmp_path))
    crown(model(tmp_path), "another")
    said = call("status", run, "--follow")
    assert (said.code, said.error) == (4, "")
    assert on_a_terminal(said, f"status {run} --follow", model(tmp_path)) == in_the_guide("cancelled")


def test_a_step_that_fits_on_no_node_that_has_room(
    replay: Replay, call: Call, kubernetes: FakeKubernetes, kfp: FakeKfp
) -> None:
    waiting = kubernetes.pods[add_pods(kubernetes, "pending")["preflight(0).executor(0)"]]
    unscheduled(kubernetes, waiting)
    run = replay("pending")
    kfp.life = kfp.life[-1:]
    said = call("status", run)
    assert (said.code, said.error) == (0, "")
    assert on_a_terminal(said, f"status {run}") == in_the_guide("pending")


def unscheduled(kubernetes: FakeKubernetes, pod: kube.V1Pod) -> None:
    """Has the recorded scheduler speak of the pod, which was another one's then."""
    told = [fake_kubernetes.read(event, "CoreV1Event") for event in recorded.answer("events-failed-scheduling")]
    pod.status.phase = "Pending"
    pod.metadata.uid = told[0].involved_object.uid
    kubernetes.events += told


GROUPS = """\
16:38:05 Check before spending: running
16:38:16 Check before spending: done in 17 s
16:38:26 Read, clean, split: cached
16:38:36 Score what must be beaten: cached
16:39:06 Plan perturbations: cached
16:39:46 Train, group 0: running
16:39:46 Train, group 1: running
16:40:14 Train, group 0: failed after 28 s; may be tried again at 16:41:03
16:40:14 Train, group 1: failed after 28 s; may be tried again at 16:41:03
16:41:35 Train, group 0, attempt 2: running
16:41:35 Train, group 1, attempt 2: running
16:42:22 Train, group 0, attempt 2: done in 48 s
16:42:22 Train, group 1, attempt 2: done in 49 s
16:42:42 Fine-tune (FINEST), group 0: running
16:42:42 Fine-tune (FINEST), group 1: running
16:43:13 Fine-tune (FINEST), group 0: done in 32 s
16:43:13 Fine-tune (FINEST), group 1: done in 31 s
16:43:33 Judge stability: running
16:43:43 Judge stability: done in 16 s
16:45:04 run succeeded after 7 min 55 s
"""
CACHED = """\
16:51:15 Check before spending: running
16:51:25 Check before spending: done in 16 s
16:51:35 Read, clean, split: cached
16:51:45 Score what must be beaten: cached
16:52:15 Plan perturbations: cached
16:52:45 Train, group 0: cached
16:52:45 Train, group 1: cached
16:52:56 Fine-tune (FINEST), group 0: cached
16:52:56 Fine-tune (FINEST), group 1: cached
16:53:16 Judge stability: running
16:53:26 Judge stability: done in 18 s
16:54:06 Reject: running
16:54:16 Reject: done in 17 s
16:54:26 Notify: running
16:54:47 Notify: done in 20 s
16:54:47 run succeeded after 4 min 12 s
"""
RETRIED = """\
17:05:34 Check before spending: running
17:05:45 Check before spending: done in 18 s
17:05:55 Read, clean, split: cached
17:06:15 Score what must be beaten: running
17:06:25 Score what must be beaten: done in 14 s
17:07:05 Plan perturbations: running
17:07:15 Plan perturbations: done in 8 s
17:07:55 Train: running
17:08:06 Train: failed after 15 s; may be tried again at 17:08:59
17:09:26 Train, attempt 2: running
17:09:36 Train, attempt 2: failed after 16 s; may be tried again at 17:11:31
17:11:57 Train, attempt 3: running
17:12:17 Train, attempt 3: failed after 21 s: OOMKilled (its limit is 600Mi),
         raise placement.memory; may be tried again at 17:16:06
17:16:38 Train, attempt 4: running
17:16:48 Train, attempt 4: failed after 16 s
17:16:58 Train, attempt 5: running
17:17:08 Train, attempt 5: failed after 17 s; may be tried again at 17:18:04
17:18:16 Train, attempt 6: running
17:18:26 Train, attempt 6: failed after 18 s; may be tried again at 17:20:22
17:20:47 Train, attempt 7: running
17:20:57 Train, attempt 7: failed after 17 s; may be tried again at 17:24:52
17:25:18 Train, attempt 8: running
17:25:28 Train, attempt 8: failed after 17 s
17:25:38 Train, attempt 9: running
17:25:49 Train, attempt 9: failed after 15 s; may be tried again at 17:26:42
17:26:31 run is being cancelled
17:26:51 Notify: running
17:27:20 Notify: done in 28 s
17:27:20 run cancelled after 22 min 25 s
Cancelled; there is no champion yet
"""


REFUSAL = judged(
    "fail",
    "accuracy.base [gate.max_accuracy_drop_base]: MRR is lower. (1 more did not hold)",
    [
        RuleResult(
            rule="accuracy",
            name="accuracy.base",
            option="gate.max_accuracy_drop_base",
            value=0.93,
            bound=0.97,
            status="fail",
            sentence="MRR is 0.0381, -6.9% against the base model's (0.0409); "
            "with 95% confidence not proven to be no more than 3% lower.",
        ),
        RuleResult(
            rule="sanity",
            name="sanity.identity",
            value=1.0,
            bound=1.0,
            status="pass",
            sentence="The identity control is 1.",
        ),
        RuleResult(
            rule="frozen", name="frozen.gain", value=None, bound=None, status="fail", sentence="Nothing was gained."
        ),
    ],
)
REFUSED = """\
Verdict  fail
         accuracy.base [gate.max_accuracy_drop_base]: MRR is 0.0381, -6.9%
           against the base model's (0.0409); with 95% confidence not proven to
           be no more than 3% lower.
         frozen.gain: Nothing was gained.
Refused  there is no champion yet
"""


def test_a_run_that_is_submitted_and_refused(
    replay: Replay, call: Call, kubernetes: FakeKubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_pods(kubernetes, "cached")
    kubernetes.add_node("node-1", gpus=1)
    run = replay("cached")
    record(run, REFUSAL)
    monkeypatch.setenv("FINEST_MLFLOW_URL", "https://mlflow.example.com/")
    said = call("submit")
    assert said.code == 3
    started = re.sub(r"version-\w{12}", "0d3c9a1e-5a55-4f5e-9f0b-3f3c8a0f6a51", said.out)
    started = re.sub(rf"{model(tmp_path)} [-0-9]+ \d\d:\d\d", "finest 2026-11-26 16:50", started)
    shown = on_a_terminal(replace(said, out=started), "submit --config mine.yaml")
    assert shown == in_the_guide("submitted and refused")


@pytest.mark.parametrize(("name", "lines"), [("two-groups", GROUPS), ("cached", CACHED)])
def test_every_change_of_a_step_is_one_line(replay: Replay, call: Call, name: str, lines: str) -> None:
    run = replay(name)
    record(run, REFUSAL)
    said = call("submit", "--follow", run)
    assert said.code == 3
    assert said.out.partition("No configuration found.)\n")[2] == lines + REFUSED


def test_attempts_are_counted_through_where_what_is_around_a_step_was_attempted_anew(
    replay: Replay, call: Call, kubernetes: FakeKubernetes
) -> None:
    place = add_pods(kubernetes, "out-of-memory")["pretrain(0).executor(2)"]
    kubernetes.pods[place] = fake_kubernetes.read(recorded.answer("pod-out-of-memory"), "V1Pod")
    run = replay("out-of-memory")
    record(run, None)
    said = call("status", run, "--follow")
    assert said.code == 4 and said.error == ""
    assert said.out.partition(f"({run})\n")[2] == RETRIED


NOW = """\
Check before spending: done in 11 s
Read, clean, split: cached
Score what must be beaten: cached
Plan perturbations: cached
Train: failed after 38 s
Train, attempt 2: running since 16:18:08
run goes on; follow it with
  finest status 9570e685-94a4-44c3-ad56-3b5352279f44 --follow
"""


def test_a_run_is_shown_as_it_is_now_each_attempt_once(
    replay: Replay, call: Call, kfp: FakeKfp, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = replay("lost-pod")
    end = datetime(2026, 11, 26, 16, 18, 20, tzinfo=UTC)
    seen = [moment for moment in kfp.life if isinstance(moment, recorded.Recorded) and moment.at < end]
    kfp.life = [*seen[-1:]]
    monkeypatch.setattr("pipeline.cluster.follow.now", lambda: datetime(2026, 11, 26, 16, 19, tzinfo=UTC))
    said = call("status", run)
    assert said.code == 0, said.error
    assert said.out.partition("No configuration found.)\n")[2] == NOW
