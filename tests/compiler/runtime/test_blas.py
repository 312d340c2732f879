"""One thread of BLAS in programs that have threads."""

import threading

import numpy as np
import pytest

from minigrad.compiler.runtime import blas


@pytest.fixture
def number(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The threads of a BLAS, set to 4."""
    number = [4]

    def change(n: int) -> None:
        number[0] = n

    monkeypatch.setattr(blas, "libraries", lambda: [(lambda: number[0], change)])
    return number


def test_threads_are_one_until_all_have_left(number: list[int]) -> None:
    with blas.one_thread():
        with pytest.raises(ZeroDivisionError), blas.one_thread():
            assert number == [1]
            raise ZeroDivisionError
        assert number == [1]
    assert number == [4]


def test_threads_that_overlap_restore_the_number(number: list[int]) -> None:
    first, second = blas.one_thread(), blas.one_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert number == [1]
    second.__exit__(None, None, None)
    assert number == [4]


def test_a_forked_process_restores_the_number(number: list[int]) -> None:
    entered, leave = threading.Event(), threading.Event()

    def compute() -> None:
        with blas.one_thread():
            entered.set()
            leave.wait()

    thread = threading.Thread(target=compute)
    thread.start()
    entered.wait()
    before = blas.inside, blas.lock
    blas.forget()  # what a new process does
    assert number == [4] and blas.inside == 0
    blas.inside, blas.lock = before
    leave.set()
    thread.join()


def test_matrices_are_small_up_to_a_size() -> None:
    assert blas.is_small([np.ones((400, 400)), 3, np.ones(9)])
    assert not blas.is_small([np.ones((2, 2)), np.broadcast_to(1.0, (2000, 2000))])
    assert not blas.is_small([np.ones(9), 2])


@pytest.mark.skipif(not blas.MAPS.exists(), reason="the system lists no libraries")
def test_the_number_of_the_library_of_numpy_is_set() -> None:
    if not blas.libraries():
        pytest.skip("NumPy has another BLAS")
    before = [told() for told, _ in blas.libraries()]
    with blas.one_thread():
        assert {told() for told, _ in blas.libraries()} == {1}
    assert [told() for told, _ in blas.libraries()] == before
