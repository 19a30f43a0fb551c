"""Is the service alive?"""
