"""Traces made up after others: what is known of them holds, and the rest is luck.

Every instance is dealt a hand of requests, so that all counts come out: requests, distinct adapters, and each adapter's
popularity over all instances. Then each hand is put in an order in which adapters come back after as many others as
they do in the original, so that caches of any size see what they would have seen.
"""
