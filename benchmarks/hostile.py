"""Programs that a sandbox has to stop, and a world outside of it in which most of them would succeed.

Each is a few lines that end, or raise; one that gets to its end says so. `CERTAIN` are those that do so outside of any
sandbox on every Linux (so a test that the sandbox stops them can fail); the others need root or a generous kernel, or
would do harm outside.
"""

import json
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline.backends.sandboxes.interface import Sandbox

SUCCESS = "DID IT"
SECRET = "HOSTILE_TEST_SECRET"
_CALLS = {
    "x86_64": {"clone": 56, "add_key": 248, "keyctl": 250, "process_vm_readv": 310, "kcmp": 312, "bpf": 321}
    | {"userfaultfd": 323, "perf_event_open": 298},
    "aarch64": {"clone": 220, "add_key": 217, "keyctl": 219, "process_vm_readv": 270, "kcmp": 272, "bpf": 280}
    | {"userfaultfd": 282, "perf_event_open": 241},
}
_CALLS_EVERYWHERE = {"io_uring_setup": 425, "pidfd_open": 434, "clone3": 435}
_MODULES = ("mmap", "resource", "signal", "socket", "stat", "struct", "subprocess", "threading", "time")
_BEFORE = """
import ctypes, json, os, sys
world = json.load(sys.stdin)
libc = ctypes.CDLL(None, use_errno=True)
def done(result):
    if result == -1:
        raise OSError(ctypes.get_errno(), "refused")
    return result
def call(name, *arguments):
    wide = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return done(libc.syscall(world["calls"][name], *wide))
def new(name="new"):
    path = os.path.join(world["scratch"], name)
    open(path, "w").close()
    return path
"""
CERTAIN = {
    # more processes, and longer
    "fork": "if os.fork() == 0: os._exit(0)\nos.wait()",
    "fork bomb": "for _ in range(world['many']):\n    if os.fork() == 0:\n        time.sleep(0.1)\n        os._exit(0)",
    "double fork to outlive the time-out": """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(0.2)
    os._exit(0)
os.wait()""",
    "clone": "if call('clone', signal.SIGCHLD, 0, 0, 0, 0) == 0: os._exit(0)",
    "another program": "subprocess.run([sys.executable, '-S', '-c', ''], check=True)",
    "another program, spawned": "os.posix_spawn(sys.executable, [sys.executable, '-S', '-c', ''], {})\nos.wait()",
    "another program instead": f"""
again = "import os\\nif os.fork() == 0: os._exit(0)\\nos.wait()\\nprint({SUCCESS!r})"
os.execv(sys.executable, [sys.executable, '-S', '-c', again])""",
    "thread bomb": "for _ in range(world['many']): threading.Thread(target=time.sleep, args=(0.1,)).start()",
    "endless loop": "end = time.monotonic() + world['long']\nwhile time.monotonic() < end: pass",
    "long sleep that ignores signals": """
for each in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(each, signal.SIG_IGN)
time.sleep(world['long'])""",
    # more memory, disk and output
    "memory bomb": "held = bytearray(world['much'] << 20)\nfor at in range(0, len(held), 4096): held[at] = 1",
    "mapped memory": "mmap.mmap(-1, world['much'] << 20).write(bytes(1))",
    "memory as a file": """
anonymous = os.memfd_create('x')
for _ in range(world['much']): os.write(anonymous, bytes(1 << 20))""",
    "memory in files on their way": """
here, there = socket.socketpair()
for _ in range(30):
    anonymous = os.memfd_create('x')
    os.write(anonymous, bytes(1 << 20))
    socket.send_fds(here, [b'x'], [anonymous])
    os.close(anonymous)""",
    "locked memory": """
page = ctypes.create_string_buffer(4096)
done(libc.mlock(page, 4096))""",
    "shared memory": "done(libc.shmctl(done(libc.shmget(0, 4096, 0o1600)), 0, None))",
    "one big file": """
with open(new(), 'wb') as file:
    for _ in range(world['much']): file.write(bytes(1 << 20))""",
    "many files": """
for number in range(world['much']):
    with open(new(str(number)), 'wb') as file: file.write(bytes(1 << 20))""",
    "file with a hole": "os.truncate(new(), 1 << 32)",
    "output flood": "for _ in range(world['much']): print('x' * (1 << 20))",
    "many open files": "held = [os.open('/dev/null', os.O_RDONLY) for _ in range(300)]",
    "lift the limits": "resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))",
    # what is outside
    "read the password file": "open('/etc/passwd').read()",
    "read a secret file": "open(world['secret']).read()",
    "read it through a symlink": "os.symlink(world['secret'], new() + 'er')\nopen(new() + 'er').read()",
    "read it through a hard link": "os.link(world['secret'], new() + 'er')\nopen(new() + 'er').read()",
    "look into the repository": "os.listdir(world['repository'])",
    "look into the home": "os.listdir(world['home'])",
    "read the environment": f"os.environ[{SECRET!r}]",
    "read the environment of the parent": "open(f\"/proc/{world['pid']}/environ\").read()",
    "list processes": "assert [each for each in os.listdir('/proc') if each.isdigit()]",
    "the machine's root through /proc": "os.listdir(f\"/proc/{world['pid']}/root\")",
    "the own memory through /proc": "open('/proc/self/mem', 'r+b')",
    "use what the parent has open": """
for descriptor in range(3, 200):
    try: os.listdir(descriptor)
    except OSError: continue
    break
else: raise OSError""",
    "write outside": "open(os.path.join(world['folder'], 'proof'), 'w').close()",
    "remove a file": "os.remove(world['spare'])",
    "empty a file": "os.truncate(world['spare'], 0)",
    "change a file's mode": "os.chmod(world['spare'], 0o777)",
    "change a file's owner": "os.chown(world['spare'], os.getuid(), os.getgid())",
    "change a file's times": "os.utime(world['spare'])",
    "set the setuid bit": "os.chmod(new(), 0o4755)",
    # the network, and other ways to talk
    "connect": "socket.create_connection(('127.0.0.1', world['tcp']), 1)",
    "send a datagram": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', world['udp']))",
    "ask for a name": "assert socket.getaddrinfo('localhost', 80)",
    "listen": "socket.create_server(('127.0.0.1', 0))",
    "connect to a socket in a folder": "socket.socket(socket.AF_UNIX).connect(world['unix'])",
    "connect to a socket without one": "socket.socket(socket.AF_UNIX).connect('\\0' + world['abstract'])",
    "talk to the kernel's network": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).bind((0, 0))",
    # other processes
    "find out whether the parent lives": "os.kill(world['pid'], 0)",
    "signal the parent": "os.kill(world['pid'], signal.SIGCONT)",
    "hold on to the parent": "call('pidfd_open', world['pid'], 0)",
    "change the parent's limits": """
now = resource.prlimit(world['pid'], resource.RLIMIT_NOFILE)
resource.prlimit(world['pid'], resource.RLIMIT_NOFILE, now)""",
    "slow the parent down": """
now = os.getpriority(os.PRIO_PROCESS, world['pid'])
os.setpriority(os.PRIO_PROCESS, world['pid'], now)""",
    "move the parent": "os.sched_setaffinity(world['pid'], os.sched_getaffinity(world['pid']))",
    "read memory as a debugger does": """
page = ctypes.create_string_buffer(8)
piece = struct.pack('PN', ctypes.addressof(page), 8)
call('process_vm_readv', os.getpid(), piece, 1, piece, 1, 0)""",
    "another personality": "done(libc.personality(0xFFFFFFFF))",
}
UNCERTAIN = {
    "clone3": "if call('clone3', struct.pack('8Q', 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0), 64) == 0: os._exit(0)",
    "be traced": "done(libc.ptrace(0, 0, 0, 0))",
    "flood the channel of results": "for _ in range(world['much']): os.write(3, bytes(1 << 20))",
    "write among the libraries": "open('/usr/lib/proof', 'w').close()",
    "write among the modules": "open(os.path.join(os.path.dirname(os.__file__), 'proof.py'), 'w').close()",
    "change the interpreter": "open(sys.executable, 'ab').close()",
    "write to the root": "open('/proof', 'w').close()",
    "physical memory": "open('/dev/mem', 'rb')",
    "make a device": "os.mknod(new() + 'er', 0o600 | stat.S_IFBLK, os.makedev(8, 0))",
    "mount": "done(libc.mount(b'none', b'/tmp', b'tmpfs', 0, None))",
    "mount /proc": "done(libc.mount(b'proc', b'/tmp', b'proc', 0, None))",
    "chroot": "os.chroot(world['scratch'])",
    "user namespace": "done(libc.unshare(0x10000000))",
    "mount namespace": "done(libc.unshare(0x00020000))",
    "become another user": "os.setuid(12345)",
    "leave the groups": "os.setgroups([12345])",
    "rename the machine": "socket.sethostname('hostile')",
    "set the clock": "time.clock_settime(time.CLOCK_REALTIME, time.time())",
    "read the kernel's log": "done(libc.klogctl(10, 0, 0))",
    "keep a key": "call('add_key', b'user', b'hostile', b'x', 1, -3)",
    "find the keyring of the session": "call('keyctl', 0, -3, 1)",
    "load into the kernel": "call('bpf', 0, struct.pack('4I', 2, 4, 4, 1) + bytes(112), 128)",
    "handle page faults": "call('userfaultfd', 1)",
    "measure the processor": "call('perf_event_open', struct.pack('2I', 1, 112) + bytes(104), 0, -1, -1, 0)",
    "compare processes": "call('kcmp', os.getpid(), os.getpid(), 0, 1, 1)",
    "queues of work for the kernel": "call('io_uring_setup', 1, ctypes.create_string_buffer(120))",
    "the host of a virtual machine": "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)",
    "the kernel's ciphers": "socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)",
    "raw packets": "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
}


def program(body: str) -> str:
    """The whole program of a body above; it reads the world from its standard input."""
    imports = "".join(f"import {name}\n" for name in _MODULES if f"{name}." in body)  # these take the most time
    return f"{imports}{_BEFORE}{body}\nprint({SUCCESS!r})\n"


@contextmanager
def world(folder: Path) -> Iterator[dict[str, Any]]:
    """Something to read, to spoil and to talk to, while the block lasts."""
    for name in ("secret", "spare"):
        (folder / name).write_text("secret")
    abstract = f"hostile-{os.getpid()}-{folder.name}"
    with ExitStack() as open_now:
        unix = f"{open_now.enter_context(TemporaryDirectory())}/unix"  # addresses are short
        tcp = open_now.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = open_now.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        for address in ("\0" + abstract, unix):
            listener = open_now.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(address)
            listener.listen()
        yield {
            **{name: str(folder / name) for name in ("secret", "spare")},
            **{"folder": str(folder), "repository": str(Path(__file__).parent.parent), "home": str(Path.home())},
            **{
                "tcp": tcp.getsockname()[1],
                "udp": udp.getsockname()[1],
                "unix": unix,
                "abstract": abstract,
                "pid": os.getpid(),
            },
            "calls": {**_CALLS[platform.machine()], **_CALLS_EVERYWHERE},
        }


def succeeds_outside(body: str, facts: dict[str, Any]) -> bool:
    """Whether it gets to its end as a plain process; with small numbers, so that nobody is harmed."""
    small = {"many": 8, "much": 20, "long": 0.1, "scratch": facts["folder"]}
    opened = os.open(facts["folder"], os.O_RDONLY)
    try:
        run = subprocess.run(
            [sys.executable, "-I", "-S", "-c", program(body)],
            input=json.dumps({**facts, **small}).encode(),
            env={SECRET: "secret"},
            pass_fds=[opened],
            capture_output=True,
            timeout=30,
            check=False,
        )
    finally:
        os.close(opened)
    return SUCCESS.encode() in run.stdout


def succeeds_inside(body: str, facts: dict[str, Any], sandbox: Sandbox) -> bool:
    """Whether it gets to its end in the sandbox, or leaves something outside; limits are to be under 20 MiB, 60 s."""
    large = {"many": 1000, "much": 1000, "long": 60, "scratch": "/tmp"}
    spare, opened = Path(facts["spare"]), os.open(facts["folder"], os.O_RDONLY)
    before = (spare.read_text(), spare.stat())
    os.set_inheritable(opened, True)
    os.environ[SECRET] = "secret"
    try:
        case = {"stdin": json.dumps({**facts, **large})}
        finished = sandbox.run({"answer": program(body), "function": None, "cases": [case]})
    finally:
        os.close(opened)
        del os.environ[SECRET]
    untouched = spare.is_file() and before == (spare.read_text(), spare.stat())
    return SUCCESS.encode() in finished.said or not untouched or Path(facts["folder"], "proof").exists()
