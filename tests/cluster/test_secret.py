"""Workers accept only messages of their own cluster and user, and no other program delays them."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from tfpar.cluster.launcher.ports import free_ports
from tfpar.cluster.secret import is_signed, sign

pytestmark = pytest.mark.timeout(60)

MEET = "import sys; from tfpar.cluster.rendezvous import wait_for_workers as meet; "
CONNECT = "import sys; from tfpar.cluster.local_sockets import connect_workers as meet; "
RUN = "print(meet(sys.argv[2:], int(sys.argv[1]), {timeout_s}) and 'met')"


def addresses(count=2):
    return [f"127.0.0.1:{port}" for port in free_ports(count)]


def start(code, index, names, secret, timeout_s, **options):
    command = [sys.executable, "-c", code + RUN.format(timeout_s=timeout_s), str(index), *names]
    environment = {**os.environ, "TFPAR_SECRET": secret}
    return subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=environment, **options)


@pytest.mark.parametrize("code", [MEET, CONNECT], ids=["tcp", "local"])
@pytest.mark.parametrize(
    "secrets, expected", [(("a", "a"), ["met\n", "met\n"]), (("a", "b"), ["", ""])], ids=["same", "other"]
)
def test_workers_of_one_secret_meet_and_others_do_not(code, secrets, expected):
    names = addresses()
    processes = [start(code, i, names, secrets[i], 15 if expected[0] else 2) for i in range(2)]
    outputs = [process.communicate() for process in processes]
    assert [stdout for stdout, _ in outputs] == expected
    if not expected[0]:
        assert all("WorkerMissingError" in stderr for _, stderr in outputs)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start a process of another user")
def test_a_local_socket_of_another_user_is_refused():
    names = addresses()
    own, other = start(CONNECT, 0, names, "a", 2), start(CONNECT + "import os; os.setuid(12345); ", 1, names, "a", 2)
    outputs = [process.communicate() for process in (own, other)]
    assert all(stdout == "" and "WorkerMissingError" in stderr for stdout, stderr in outputs)


def keep_connecting(address, until):
    """Connect again and again, send what is no greeting or nothing, and leave connections open."""
    host, _, port = address.partition(":")
    with contextlib.ExitStack() as stack:
        while not until.is_set():
            with contextlib.suppress(OSError):
                client = stack.enter_context(socket.create_connection((host, int(port)), 1))
                client.sendall(b"" if time.monotonic() % 0.2 < 0.1 else b"GET / HTTP/1.1\r\n\r\n")
            time.sleep(0.05)


def test_other_programs_do_not_delay_the_workers():
    names, done = addresses(), threading.Event()
    client = threading.Thread(target=keep_connecting, args=(names[0], done))
    client.start()
    try:
        first = start(MEET, 0, names, "a", 30)
        time.sleep(1)
        processes = [first, start(MEET, 1, names, "a", 30)]
        assert [process.communicate()[0] for process in processes] == ["met\n", "met\n"]
    finally:
        done.set()
        client.join()


def test_a_greeting_cannot_be_sent_again(monkeypatch):
    """Whoever has recorded a greeting does not know the signature for another challenge."""
    monkeypatch.setenv("TFPAR_SECRET", "a")
    recorded = sign("greeting", "1" * 32, "2" * 32, 1, 0, "host")
    assert is_signed(recorded, "greeting", "1" * 32, "2" * 32, 1, 0, "host")
    assert not is_signed(recorded, "greeting", "3" * 32, "2" * 32, 1, 0, "host")
    monkeypatch.setenv("TFPAR_SECRET", "b")
    assert not is_signed(recorded, "greeting", "1" * 32, "2" * 32, 1, 0, "host")


def test_workers_on_loopback_listen_on_no_other_interface():
    names = addresses()
    process = start(MEET, 0, names, "a", 20)
    try:
        host, _, port = names[0].partition(":")
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
                break
            time.sleep(0.05)
        with open("/proc/net/tcp") as table:
            listening = [line.split()[1] for line in table if line.split()[3] == "0A"]
        assert [entry for entry in listening if int(entry.split(":")[1], 16) == int(port)] == [
            f"0100007F:{int(port):04X}"
        ]
    finally:
        process.kill()
        process.communicate()
