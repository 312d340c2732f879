"""Processes that are forked while another thread compiles."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
START = """
import os, signal, threading, warnings
warnings.simplefilter("ignore")  # of processes with threads that fork
import numpy as np, minigrad
from minigrad import Tensor

def in_child(check):
    child = os.fork()
    if not child:
        signal.alarm(30)
        try:
            check()
            os._exit(0)
        except BaseException as error:
            print(type(error).__name__, error, flush=True)
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
"""
WHILE_TRACING = """
w = Tensor(np.ones(3), requires_grad=True)
rates = np.array([2.0])
traced, forked = threading.Event(), threading.Event()

def slow(x):
    for k in range(20):
        x = np.sin(x) * k
    traced.set()
    forked.wait(0.3)  # so that it is certainly being traced when the other thread forks
    return w * x * rates

thread = threading.Thread(target=lambda: minigrad.compile(slow)(np.arange(3.0)))
thread.start()
traced.wait()

def check():
    assert type(w.data) is type(rates) is np.ndarray
    assert (w.data == 1).all() and float((w * 2).sum().item()) == 6.0 and rates.tolist() == [2.0]
    y = minigrad.compile(lambda x: w * x * 3)(np.ones(3))
    assert y.data.tolist() == [3.0, 3.0, 3.0]

in_child(check)
thread.join()
in_child(check)
assert (w.data == 1).all()
"""
WHILE_IMPORTING = """
import sys
from minigrad.compiler.target import forks

class Slow:
    def find_spec(self, name, *args):
        if name == "minigrad.compiler.jit":
            begun.set()
            never.wait(0.3)

w = Tensor(np.ones(3))
begun, never = threading.Event(), threading.Event()
sys.meta_path.insert(0, Slow())

class Late:  # the lock of the import, which the thread that forks gets when a trace has begun
    def __init__(self, lock):
        self.lock = lock

    def __enter__(self):
        self.acquire()

    def __exit__(self, *_):
        self.release()

    def acquire(self):
        if threading.current_thread() is threading.main_thread():
            traced.wait()
        self.lock.acquire()

    def release(self):
        self.lock.release()

traced = threading.Event()
forks.importing = Late(forks.importing)

def slow(x):
    x = w * x
    traced.set()
    never.wait(0.3)
    return x

thread = threading.Thread(target=lambda: minigrad.compile(slow)(np.ones(3)))
thread.start()
begun.wait()

def check():
    assert type(w.data) is np.ndarray
    assert minigrad.compile(lambda x: x * 7)(np.ones(3)).tolist() == [7.0, 7.0, 7.0]

in_child(check)
thread.join()
"""
WAITING = """
# The function that is traced waits for the thread that forks, which so must not wait for it.
import minigrad.compiler.jit
minigrad.compiler.jit.PATIENCE = 0.1
begun, forked = threading.Event(), threading.Event()

def f(x):
    begun.set()
    forked.wait()
    return x * 2

def fork():
    begun.wait()
    in_child(lambda: None)
    forked.set()

thread = threading.Thread(target=fork)
thread.start()
assert minigrad.compile(f)(np.ones(3)).tolist() == [2.0, 2.0, 2.0]
thread.join()
"""
INSIDE = """
def f(x):
    in_child(lambda: None)
    return x * 2

assert minigrad.compile(f)(np.ones(3)).tolist() == [2.0, 2.0, 2.0]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("program", [WHILE_TRACING, WHILE_IMPORTING, WAITING, INSIDE])
def test_a_process_forked_while_another_thread_compiles(program: str) -> None:
    command = [sys.executable, "-c", START + program]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
