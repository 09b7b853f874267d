"""A recipe whose loss is no longer finite ends at that epoch, and keeps what it had."""

import signal

FLAGS = "--smoke --noxla --epochs 2 --steps 0 --model_dir kept".split()


def files(directory):
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_nothing_is_exported_and_the_backup_stays(sentiment):
    assert sentiment(*FLAGS, kill_at_epoch=1).returncode == -signal.SIGKILL
    backup = files(sentiment.directory / "kept" / "backup")

    run = sentiment(*FLAGS, "--learning_rate", "1e38", "--export", "float32", "--export_dir", "out")
    assert (run.returncode, run.stdout) == (1, "") and "Traceback" not in run.stderr
    assert run.stderr.splitlines()[-1].startswith("error: the run diverged: loss is nan at the end of epoch 2. ")
    assert len([line for line in run.stderr.splitlines() if line.startswith("error: ")]) == 1
    assert files(sentiment.directory / "kept" / "backup") == backup
    assert not (sentiment.directory / "out").exists()
