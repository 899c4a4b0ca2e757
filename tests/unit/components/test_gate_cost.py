from components.gate.work import by_variant, cost


def test_costs_are_summed_over_groups_and_a_resumed_training_counts_its_earlier_epochs() -> None:
    fresh = {
        "pretrain_cpu_seconds": 10.0,
        "pretrain_epochs_cpu_seconds": 9.0,
        "finetune_cpu_seconds": 4.0,
        "lists_cpu_seconds": 1.0,
    }
    resumed = {
        "pretrain_cpu_seconds": 2.0,
        "pretrain_epochs_cpu_seconds": 10.0,
        "finetune_cpu_seconds": 6.0,
        "lists_cpu_seconds": 1.0,
    }
    found = cost(
        [
            {"group": "0", "hardware": "cpu", "peak_memory_mb": 500, "cost": {"clean": fresh}},
            {"group": "1", "hardware": "cpu", "peak_memory_mb": 700, "cost": {"clean": resumed}},
        ]
    )
    assert (found["trainings"], found["trainings_cpu_seconds"], found["finetune_over_pretrain"]) == (2, 30.0, 0.5)
    assert (found["peak_memory_mb"], found["hardware"], list(found["variants"])) == (
        700,
        "cpu",
        ["clean", "clean (group 1)"],
    )


def test_a_variant_of_one_group_alone_keeps_its_name() -> None:
    assert by_variant([("0", {"clean": 1, "a": 2}), ("1", {"clean": 3, "b": 4})]) == {
        "clean": 1,
        "a": 2,
        "clean (group 1)": 3,
        "b": 4,
    }
