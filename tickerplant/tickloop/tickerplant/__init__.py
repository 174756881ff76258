"""Journal, plant, subscriptions, wire codec, today's rows and history; `subscribe` over Kafka."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tickloop.tickerplant.sinks.kafka_start import Start
    from tickloop.tickerplant.sinks.kafka_subscribe import Subscription, subscribe

__all__ = ["Start", "Subscription", "subscribe"]


def __getattr__(name: str) -> Any:
    # Nothing is imported before it is asked for: most of it needs no Kafka.
    if name == "Start":
        from tickloop.tickerplant.sinks.kafka_start import Start

        return Start
    if name in ("Subscription", "subscribe"):
        from tickloop.tickerplant.sinks import kafka_subscribe

        return getattr(kafka_subscribe, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
