"""What each rule of the gate needs to be given."""

from finest.gate.config import Gate, Rule

Need = tuple[str, str | None, str]
"""Role, scenario (None: any) and stage."""

CANDIDATE: Need = ("clean", None, "tuned")
BASE: Need = ("clean", None, "base")


def needed(rule: Rule, config: Gate) -> list[Need]:
    """The rank lists without which `rule` cannot be decided. A champion is never needed: rules about it do not apply without one."""
    if rule == "stability":
        relative = config.min_rls_above_floor != "off" or config.min_worst_rls_above_floor != "off"
        controls: list[Need] = [BASE, ("control", "seed", "base"), ("control", "rounding", "tuned")] if relative else []
        return [CANDIDATE, ("probe", None, "tuned"), *controls]
    if rule == "gain":
        return [CANDIDATE, BASE, ("probe", None, "tuned"), ("probe", None, "base")]
    if rule == "accuracy":
        return [CANDIDATE, BASE]
    if rule == "collapse":
        return [CANDIDATE, BASE, ("popularity", None, "tuned"), ("repeat_last", None, "tuned")]
    if rule == "sanity":
        return [CANDIDATE, BASE, ("control", "identity", "tuned"), ("control", "identity", "base")]
    return [
        CANDIDATE,
        BASE,
        ("control", "rounding", "base"),
        ("control", "rounding", "tuned"),
        ("probe", None, "tuned"),
    ]


def missing(given: set[Need], config: Gate) -> str:
    """What the configured rules need and is not there, in words; empty where nothing is missing."""
    roles = {(role, stage) for role, _, stage in given}
    lacking: dict[Need, list[str]] = {}
    for rule in dict.fromkeys(config.rules):
        for need in needed(rule, config):
            role, scenario, stage = need
            there = need in given if scenario else (role, stage) in roles
            if not there:
                lacking.setdefault(need, []).append(rule)
    return ", ".join(f"{_words(need)} (for {' and '.join(rules)})" for need, rules in lacking.items())


def _words(need: Need) -> str:
    role, scenario, stage = need
    if role in ("popularity", "repeat_last"):
        return role
    return f"{role} {scenario} {stage}" if scenario else f"{role} {stage}"
