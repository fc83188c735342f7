"""What every service stands on: settings, database, cache strategies, health, metrics, errors, logs.

Imports nothing of ours but :mod:`easymo.cache`; knows no service.
"""
