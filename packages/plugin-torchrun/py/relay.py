"""A rank's place below the keeper: `relay.py stdio DIR NAME`, or `relay.py fork DIR PYTHON [OPTION…] -- ARG…`.

stdio: hands its own stdout and stderr to whoever connects (a rank below torchrun), and ends when and as it ends.
fork: asks the prefork parent for a rank with this process's output, environment and working directory, and ends
exactly as the rank ends. Where the parent cannot serve, becomes the rank itself: `PYTHON OPTION… ARG…`.
"""

import os
import sys

import _socket

# Known to `watch.ts`: torchrun has asked first, and nobody else can say how the rank ended.
UNKNOWN = 253


def stdio(directory, name):
    os.chdir(directory)
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    listener.bind(name)
    listener.listen(1)
    peer = _socket.socket(fileno=listener._accept()[0])
    listener.close()
    pid = peer_pid(peer)
    pidfd = os.pidfd_open(pid) if pid and hasattr(os, "pidfd_open") else None
    send_fds(peer, b".", (1, 2))
    if pidfd is None:
        while peer.recv(64):
            pass
    else:
        import select

        # Not the end of the stream: forks of the rank may hold that open.
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll()
    end_as(end_of(pid))


def peer_pid(peer):
    import array

    if not hasattr(_socket, "SO_PEERCRED"):
        return None
    return array.array("i", peer.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12))[0]


def end_of(pid):
    """How a process ended that torchrun has not asked about yet."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            status = int(file.read().rsplit(")", 1)[1].split()[49])
    except (OSError, TypeError, IndexError, ValueError):
        return {"code": UNKNOWN}
    return {"signal": status & 127} if status & 127 else {"code": status >> 8}


def send_fds(peer, data, fds):
    import array

    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", fds))
    sent = peer.sendmsg([data], [rights])
    if sent < len(data):
        peer.sendall(data[sent:])


def fork(directory, command):
    import json

    at = command.index("--")
    python, arguments = command[:at], command[at + 1 :]
    request = {"python": python, "argv": arguments, "env": dict(os.environ), "cwd": os.getcwd()}
    peer = connect(directory)
    if peer is None:
        become(python, arguments, "there is no prefork parent")
    data = json.dumps(request).encode("ascii")
    # Lone surrogates in arguments or environment travel as JSON escapes.
    reader = Lines(peer)
    try:
        send_fds(peer, b"%d\n" % len(data), (0, 1, 2))
        peer.sendall(data)
        answer = json.loads(reader.next() or '{"refused": "the prefork parent ended"}')
    except OSError as error:
        answer = {"refused": "the prefork parent ended (%s)" % error}
    if "refused" in answer:
        become(python, arguments, answer["refused"])
    end_as(follow(reader, answer["pid"]))


def connect(directory):
    back = os.open(".", os.O_RDONLY)
    peer = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        # A relative name: a socket's path ends at 107 bytes.
        os.chdir(directory)
        peer.connect("prefork.sock")
        return peer
    except OSError:
        return None
    finally:
        os.fchdir(back)
        os.close(back)


def follow(reader, pid):
    """Passes signals on to the rank until its end is known."""
    import json
    import signal

    def forward(number, frame):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, forward)
    try:
        line = reader.next()
    except OSError:
        line = None
    if not line:
        sys.stderr.write("[gangflow] the prefork parent ended before its rank\n")
        return {"signal": int(signal.SIGKILL)}
    return json.loads(line)


def end_as(end):
    if end.get("signal") is None:
        os._exit(end["code"])
    import resource
    import signal

    number = end["signal"]
    # The rank has dumped its core already, if it was to.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)


def become(python, arguments, why):
    sys.stderr.write("[gangflow] this rank is started directly, not forked: %s\n" % why)
    sys.stderr.flush()
    os.execv(python[0], python + arguments)


class Lines:
    def __init__(self, peer):
        self.peer = peer
        self.rest = b""

    def next(self):
        while b"\n" not in self.rest:
            more = self.peer.recv(65536)
            if not more:
                return None
            self.rest += more
        line, self.rest = self.rest.split(b"\n", 1)
        return line


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        stdio(sys.argv[2], sys.argv[3])
    else:
        fork(sys.argv[2], sys.argv[3:])
