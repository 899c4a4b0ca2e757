"""All of MLflow, and nothing else: runs, data sets, the model package, the registry and its aliases.

store     where MLflow keeps things
    state_folder() -> Path                          FINEST_STATE or ./state, absolute
    uri() -> str                                    MLFLOW_TRACKING_URI or the database <state>/mlflow/mlflow.db
    connect() -> MlflowClient
    lines(client) -> list[str]                      that have had a run

answer    whether it answers
    check(line) -> None                             FinestError where it does not, or keeps no artifacts
    asked(question) -> the question's answer        FinestError soon where it does not

embedded  the database of the embedded store
    address(file) -> str, file_of(uri) -> Path | None
    ready(file) -> None                             makes, upgrades, mends it; follows a folder that moved

retained  what is kept of runs of the past
    retained() -> list[Retained]                    newest first
    held() -> run -> list[Held]                     the versions that hold on to it
    remove(run) -> None                             from the embedded store, for good

health    whether the store is sound
    database() -> str | None, missing(runs) -> list[str], mend() -> None

runs      a parent a pipeline run (found by KFP_RUN_ID), a child a step
    open_parent(config, *, line, source, seed, tags) -> run id     opens once, reopens on a retry
    find_parent() -> run id
    log_plan(plan) -> None                          the group plan as params of the parent
    step_run(step, group=None) -> context manager of Run

closing   what no step ends
    close_steps(why) -> None                        what lost steps have left open; why(step, group) -> cause or None
    close_parent(status) -> None                    FINISHED, FAILED or KILLED, and what steps have left open
    close_left_open(status) -> None                 where the run's last step could not
    close_dead(is_dead) -> list of run ids          is_dead(tags of a parent) -> bool

outcome   what came of a run
    outcome(kfp_run, model) -> Outcome              .verdict .failed_step .error .promoted_version

history   pipeline runs of the past
    past_runs(count, line='') -> list[Past]         newest first; of all lines where none is named
    last_judged(line='') -> Past | None             with the newest verdict
    read_verdict(kfp_run) -> Verdict                FinestError where it has none
    line_of(kfp_run) -> str | None
    past_nights(champion) -> list[Night]            of this run's line, oldest first

records   what runs hold
    log_dataset(run, manifest, source) -> None      on the step's run and on the parent
    Curves(run)                                     live: add(name, value, step), end(); a training never waits for them
    log_verdict(run, verdict, artifacts, histories) -> None       artifacts: path in the run -> file or folder

trials    a search's trials, each a child of the parent
    Trials(parent)                                  add(trial), end(own, chosen, folder)

cells     an experiment's cells, each a child of its parent
    opened(id, experiment, config, ...) -> run id
    Cells(parent)                                   add(record), end(experiment, folder, note, broken)

describe  config as params, code as tags (GIT_COMMIT and IMAGE_DIGEST name them in an image)

package   a model folder as an MLflow model
    log_package(run, line, model_folder, verdict, manifest, sample) -> Packaged

ledger    who moved a line's champion, when and why: an append-only list in a registered model of its own
    read(line) -> Log                               what its entries come to: .champion .moves .earlier .breaks()
    begin(line) -> Log                              makes it, and adopts the champion of the time before it
    append(line, entry, log) -> (number, Log)       log.lost(number) says who was quicker

standing  the alias champion beside the ledger, which it follows
    stand(line) -> Standing                         .champion .served .unfinished .gone .moved; writes nothing
    check(line) -> Standing                         finishes what a crash left; FinestError where a person must decide
    settle(line) -> Standing                        makes the aliases follow

registry  versions of a line
    champion(name) -> Version | None                by the ledger; FinestError where it has vanished
    serving(name) -> Version | None                 None also where it has vanished
    list_versions(name) -> list[Version]            newest first
    package(version, folder) -> Path                DamagedError where a file is not what was packed
    download(version, folder) -> Path               the model folder inside the package

promotion  what becomes of a judged candidate
    register(run, name, judged) -> Version
    promote(run, name, judged, before, canary, person) -> Version       register, try, enter, move; or leave to a person
    register_rejected(run, name, judged) -> Version      as challenger
    refuse(name, why, digest, version="") -> None   an entry, once a run

awaiting  who awaits approval, by the ledger
    waiting(log, now) -> Waiting | None             .version .until .why
    over(log, version, now) -> str                  why one no longer does
    tidy(log) -> None                               tags and names of runs say so

approval  a person between a candidate and production
    doubts(log, fingerprint, verdict) -> str        why one is needed after a rollback
    ask(version, log, request) -> Version
    approval(name, version, held, force) -> Move    checked; for production.make
    refuse(name, version, why) -> None

retention  versions that nothing refers to
    unused(line, keep, days) -> list[Unused]        .version .size; deletes nothing
    prune(line, unwanted, keep) -> list[Unused]     what is gone

production  the champion in a person's hands
    promotion(name, version, force), rollback(name, to, force) -> Move      planned; make(move, why, canary) -> Version
    tenures(log) -> list[Tenure]                    who was champion when
    problems(name) -> list[str]                     everything that does not fit the ledger
    repair(name, accept, why) -> list[str]          what was done

sample    offline lists that a loaded package must reproduce
    take(lists, data, instances=200) -> Sample

canary    a version in processes of its own, from its own requirements, before it may be champion
    tried(version, sample, champion, bounds) -> Measured     CanaryError where it is not fit to serve
"""
