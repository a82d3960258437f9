"""The published statistics of a Katz trace, restated literally: slow, and without anything of Safelight."""

import json
from collections import Counter, OrderedDict, defaultdict

CAPACITIES = range(1, 11)


def read(path):
    """The whole file at once, as the published scripts do it."""
    with path.open(encoding="utf-8") as file:
        return json.load(file)


def sizes(requests, kind):
    """The share of requests with each number of adapters."""
    counts = Counter(len(request[kind] or []) for request in requests)
    return {size: count / len(requests) for size, count in sorted(counts.items())}


def cumulative(requests, kind):
    """The share of all uses that the most popular adapters have: the first, the first two, ..."""
    counts = Counter(name for request in requests for name in request[kind] or [])
    total, shares, running = counts.total(), [], 0
    for _, count in counts.most_common():
        running += count
        shares.append(running / total)
    return shares


def by_instance(requests):
    """The requests of each instance, in order of time; those of one second stay in their order."""
    instances = defaultdict(list)
    for request in requests:
        instances[request["ip"]].append(request)
    return {ip: sorted(group, key=lambda request: request["timestamp"]) for ip, group in instances.items()}


def lru_loads(requests, kind, capacity):
    """How many adapters are loaded, over all instances, if each keeps the `capacity` last used ones."""
    loads = 0
    for group in by_instance(requests).values():
        cache = OrderedDict()
        for request in group:
            for name in request[kind] or []:
                if name in cache:
                    cache.move_to_end(name)
                    continue
                loads += 1
                if len(cache) == capacity:
                    cache.popitem(last=False)
                cache[name] = True
    return loads


def distinct(requests, kind):
    """Each instance's requests and distinct adapters."""
    return [
        (len(group), len({name for request in group for name in request[kind] or []}))
        for group in by_instance(requests).values()
    ]


def slope(points):
    """The slope of the straight line through points, by least squares."""
    xs, ys = zip(*points, strict=True)
    middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / sum((x - middle_x) ** 2 for x in xs)


def pairs(requests, kind):
    """How many requests have each pair of adapters."""
    together = Counter()
    for request in requests:
        names = sorted(request[kind] or [])
        together.update((one, other) for place, one in enumerate(names) for other in names[place + 1 :])
    return together
