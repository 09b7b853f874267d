"""A recipe whose loss is no longer finite ends at that epoch, and keeps what it had."""

import signal

DIVERGING = "--smoke --noxla --epochs 3 --steps 0 --export float32 --export_dir out --learning_rate 1e38".split()


def files(directory):
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_nothing_is_exported_and_the_backup_stays(sentiment):
    flags = "--smoke --noxla --epochs 3 --steps 0 --model_dir kept --export=".split()
    assert sentiment(*flags, kill_at_epoch=1).returncode == -signal.SIGKILL
    backup = files(sentiment.directory / "kept" / "backup")

    run = sentiment(*DIVERGING, "--model_dir", "kept")
    assert (run.returncode, run.stdout) == (1, "") and "Traceback" not in run.stderr
    assert run.stderr.splitlines()[-1].startswith("error: the run diverged: loss is nan at the end of epoch 2; ")
    assert len([line for line in run.stderr.splitlines() if line.startswith("error: ")]) == 1
    assert files(sentiment.directory / "kept" / "backup") == backup
    assert not (sentiment.directory / "out").exists()

    assert sentiment(*flags).result["epochs"] == 2  # it goes on from there


def test_pretraining_too(sentiment):
    run = sentiment(*DIVERGING, "--pretrain", "autoencoder")
    assert run.returncode == 1 and "the run diverged: loss is " in run.stderr.splitlines()[-1]
    assert not (sentiment.directory / "out").exists()
