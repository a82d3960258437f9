"""Traces that imitate others: what is known of the originals holds, and the rest is random.

Every instance is assigned requests so that all counts come out: requests, distinct adapters, and each adapter's
popularity over all instances. Then the requests of each instance are ordered so that adapters are used again after as
many others as in the original: caches of any size load as much as they would have.
"""
