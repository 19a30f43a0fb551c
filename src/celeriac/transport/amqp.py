"""Celery's AMQP layer over our connections."""

from __future__ import annotations

from celery.app.amqp import AMQP

from celeriac.transport.connection import LosslessConnection

__all__ = ["LosslessAMQP"]


class LosslessAMQP(AMQP):
    """Messages of Celery's protocol over :class:`LosslessConnection`."""

    Connection = LosslessConnection
    BrokerConnection = LosslessConnection
