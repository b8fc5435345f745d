"""A study whose eight pieces take a while, to be interrupted."""

import dataclasses

import toy

SLOW = dataclasses.replace(toy.UP, id="slow", requests=toy.slow_requests)

study = dataclasses.replace(toy.make("slow-toy", SLOW), figures=())
