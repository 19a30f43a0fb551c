"""What the bot does at each command, one file for each subject."""
