# common.py - what the programs that start contenders share: children that end with us, the peers' variables, cells of tables
# SPDX-License-Identifier: Apache-2.0
import os
import signal
import socket
import statistics
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
PORTS = (2525, 1143, 1993, 2424, 2626)
PATIENCE = 600                               # seconds for one script; only a hang takes so long


def call(command, env, check=True, **more):
    return subprocess.run(command, env=env, check=check, timeout=PATIENCE, **more)


def script_output(command, env):
    """Runs a workload in a group of its own, which ends with us; its lines, and its exit code."""
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True) as child:
        try:
            text, _ = child.communicate(timeout=PATIENCE)
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
    return child.returncode, text.splitlines()


def taken_port():
    for port in PORTS:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                return port
    return None


def read_env(path):
    done = call(["bash", "-c", 'set -a; . "$1"; env -0', "-", path], {"PATH": os.environ["PATH"]}, stdout=subprocess.PIPE)
    return dict(pair.split("=", 1) for pair in done.stdout.decode().split("\0") if "=" in pair and not pair.startswith(("_=", "PWD=", "SHLVL=")))


def show(value, digits):
    return f"{value:,.{digits}f}" if value is not None else "-"


def cell(values, digits):
    """Median and range."""
    if not values:
        return "-"
    text = show(statistics.median(values), digits)
    return text + (f" [{show(min(values), digits)}-{show(max(values), digits)}]" if len(values) > 1 else "")
