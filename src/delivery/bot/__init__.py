"""The Telegram bot: tasks run, followed and cancelled from a chat."""
