"""A recipe whose loss is no longer finite ends at that epoch, and exports and saves nothing of it."""

FLAGS = "--smoke --noxla --epochs 2 --steps 0 --model_dir run".split()


def test_nothing_is_exported_and_no_checkpoint_is_written(sentiment):
    run = sentiment(*FLAGS, "--learning_rate", "1e38", "--export", "float32", "--export_dir", "out")
    assert (run.returncode, run.stdout) == (1, "") and "Traceback" not in run.stderr
    assert run.stderr.splitlines()[-1].startswith("error: the run diverged: val_loss is ")
    assert len([line for line in run.stderr.splitlines() if line.startswith("error: ")]) == 1
    assert not list((sentiment.directory / "run").glob("checkpoints/checkpoint-*"))
    assert not (sentiment.directory / "out").exists()


def test_steps_that_are_not_finite_end_the_run(sentiment):
    run = sentiment(*FLAGS, "--learning_rate", "1e38", "--max_skipped_steps", "1", "--steps_per_execution", "1")
    assert run.returncode == 1 and "Traceback" not in run.stderr
    last = run.stderr.splitlines()[-1]
    assert last.startswith("error: the run diverged: the loss or a gradient was not finite in 1 steps in a row")
    assert list((sentiment.directory / "run" / "checkpoints" / "skipped_batches").glob("skipped-batch-1-replica-0.npz"))
