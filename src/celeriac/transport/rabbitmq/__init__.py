"""RabbitMQ at the level of our Redis transport: quorum queues, confirms, counted deliveries, dead letters, delays."""
