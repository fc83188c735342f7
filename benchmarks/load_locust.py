"""The load benchmark's user for Locust: one page LOCUST_RATE times a second, or without it as often as it can."""

import os

from locust import FastHttpUser, constant_throughput, task


class Visitor(FastHttpUser):
    if "LOCUST_RATE" in os.environ:
        wait_time = constant_throughput(float(os.environ["LOCUST_RATE"]))

    @task
    def page(self) -> None:
        self.client.get("/")
