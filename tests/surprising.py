"""A study that ends otherwise than it expects, and one of whose claims cannot be computed."""

import dataclasses

import toy
import whytrain

BROKEN = dataclasses.replace(
    toy.UP,
    id="broken",
    requests=lambda preset: [whytrain.Request("walk", toy.Walk(broken=True), 10)],
)
CARELESS = dataclasses.replace(toy.UP, id="careless", note=lambda cells: 1 / 0)

study = toy.make("surprising", toy.UP, BROKEN, CARELESS)
