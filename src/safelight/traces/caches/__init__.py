"""Caches of adapters, one for each instance, replayed over the requests that the instances got."""
