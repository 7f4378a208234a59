"""One server and a FIFO queue in SimPy: a process per customer with a Resource.

In:  arrival ticks (ascending) and service times, as lists. Out: when each customer leaves.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import simpy


def play_queue(arrival: list[int], service: list[int]) -> list[float]:
    environment = simpy.Environment(0)
    server = simpy.Resource(environment)
    left: list[float] = [-1] * len(arrival)

    def customer(number: int) -> Generator[Any, Any, None]:
        with server.request() as request:
            yield request
            yield environment.timeout(service[number])
            left[number] = environment.now

    def arrivals() -> Generator[Any, Any, None]:
        for number, tick in enumerate(arrival):
            yield environment.timeout(tick - environment.now)
            environment.process(customer(number))

    environment.process(arrivals())
    environment.run()
    return left
