import threading

import pytest
from ag_scorers.ahead import ahead


def test_one_value_is_made_while_another_is_used():
    made, used = [], threading.Event()

    def values():
        for number in range(5):
            made.append((number, threading.current_thread() is threading.main_thread()))
            if number == 2:
                assert used.wait(10), "the second value was asked for before the first had been handed out"
            yield number

    taken = ahead(values())
    assert next(taken) == 0
    assert next(taken) == 1
    used.set()
    assert list(taken) == [2, 3, 4]
    assert made == [(number, False) for number in range(5)]
    assert list(ahead(iter([]))) == []


def test_an_exception_comes_where_its_value_would_have():
    def values():
        yield 1
        raise ValueError("planted")

    taken = ahead(values())
    assert next(taken) == 1
    with pytest.raises(ValueError, match="planted"):
        next(taken)


def test_who_stops_early_has_made_one_value_too_many_at_most():
    made = []

    def values():
        for number in range(10):
            made.append(number)
            yield number

    source = values()
    taken = ahead(source)
    next(taken)
    taken.close()
    count = len(made)
    assert count in (1, 2)
    assert next(source) == count, "a thread is still at it"
