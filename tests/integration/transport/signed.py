"""A worker that takes signed messages alone: run as a script, because Celery signs for a whole process."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

from redis import Redis
from tests.integration.transport.consumer import consuming

from celeriac import CeleryAppConfig, create_celery_app


def connected(url: str) -> Any:
    return Redis.from_url(url)


def main(url: str, directory: Path) -> None:
    app = create_celery_app(CeleryAppConfig.from_mapping({"redis_url": url, "result_backend": "cache+memory://"}))
    app.conf.update(
        security_key=str(directory / "key"),
        security_certificate=str(directory / "crt"),
        security_cert_store=str(directory / "*crt"),
        security_digest="sha256",
        task_serializer="auth",
        event_serializer="auth",
        accept_content=["auth"],
    )

    @app.task(name="add")
    def add(x: int, y: int) -> int:
        return x + y

    with connected(url) as redis, app.connection_for_read() as unsigned:
        plain = app.amqp.as_task_v2("unsigned", "add", (6, 6))
        with unsigned.Producer(serializer="json") as producer:
            producer.publish(plain.body, routing_key="default", headers=plain.headers, serializer="json")
        app.setup_security()
        add.apply_async((1, 2), task_id="tampered")
        (key,) = [key for key in redis.keys("default*") if b"tampered" in redis.lrange(key, 0, 0)[0]]
        message = json.loads(redis.lpop(key))
        body = bytearray(base64.b64decode(base64.b64decode(message["body"])))
        body[-20] ^= 1
        message["body"] = base64.b64encode(base64.b64encode(bytes(body))).decode()
        redis.lpush(key, json.dumps(message))
        add.apply_async((3, 4), task_id="signed")
        with consuming(app) as consumer:
            got = consumer.drain(3, until=lambda: consumer.got)
            letters = [redis.hgetall(letter) for letter in redis.keys("celeriac.dead:*")]
        print(
            json.dumps(
                {
                    "delivered": [message.headers["id"] for message in got],
                    "dead": sorted(letter[b"detail"].decode() for letter in letters),
                }
            )
        )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
