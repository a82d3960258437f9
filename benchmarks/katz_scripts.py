"""The five scripts published with the Katz trace, restated from what they compute; each parses the whole trace.

python benchmarks/katz_scripts.py SCRIPT TRACE FIGURE [--service A|B] [--policy LRU|LFU]
"""

import argparse
import json
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path

from matplotlib.figure import Figure

SIZES = range(1, 11)


class Lru:
    def __init__(self, size):
        self.size, self.held = size, OrderedDict()

    def load(self, name):
        """Look up a name; return whether it had to be loaded."""
        if name in self.held:
            self.held.move_to_end(name)
            return False
        if len(self.held) == self.size:
            self.held.popitem(last=False)
        self.held[name] = None
        return True


class Lfu:
    def __init__(self, size):
        self.size, self.uses, self.names = size, {}, defaultdict(OrderedDict)

    def load(self, name):
        """Look up a name; return whether it had to be loaded."""
        uses = self.uses.get(name, 0)
        if uses:
            del self.names[uses][name]
            if not self.names[uses]:
                del self.names[uses]
        elif len(self.uses) == self.size:
            least = min(self.names)
            evicted, _ = self.names[least].popitem(last=False)
            if not self.names[least]:
                del self.names[least]
            del self.uses[evicted]
        self.uses[name] = uses + 1
        self.names[uses + 1][name] = None
        return not uses


def statistical_analysis(requests, figure, arguments):
    requests = [request for request in requests if request["scene_id"] == arguments.service]
    models = Counter(request["base_model_id"] for request in requests if request["base_model_id"] is not None)
    common = {name: count for name, count in models.items() if count > 0.01 * sum(models.values())}
    print(len(requests), len(models), common)
    controlnets = Counter(len(request["controlnets"] or []) for request in requests)
    print({number: count / len(requests) for number, count in controlnets.items() if count >= 100})
    loras = Counter(len(request["loras"] or []) for request in requests)
    print({number: count / len(requests) for number, count in loras.items()})


def _invocations(requests, figure, kind, most):
    axes = figure.add_subplot()
    for service in ("A", "B"):
        counts = Counter()
        for request in requests:
            if request["scene_id"] == service:
                counts.update(name for name in request[kind] or [] if kind == "controlnets" or name is not None)
        total, so_far = sum(counts.values()), [0.0]
        for _, count in counts.most_common():
            so_far.append(so_far[-1] + 100 * count / total)
        print(service, [round(count / total, 4) for _, count in counts.most_common() if count > 0.01 * total])
        axes.plot(range(len(so_far)), so_far, label=service)
    axes.set_xlim(0, most)
    axes.legend()


def controlnet_invocation_analysis(requests, figure, arguments):
    _invocations(requests, figure, "controlnets", 15)


def lora_invocation_analysis(requests, figure, arguments):
    _invocations(requests, figure, "loras", 4500)


def adapter_loading_analysis(requests, figure, arguments):
    requests = [request for request in requests if request["scene_id"] == arguments.service]
    instances = defaultdict(list)
    for request in requests:
        instances[request["ip"]].append(request)
    for of_instance in instances.values():
        of_instance.sort(key=lambda request: request["timestamp"])
    make = Lru if arguments.policy == "LRU" else Lfu
    axes = figure.add_subplot()
    for kind in ("controlnets", "loras"):
        loads = []
        for size in SIZES:
            total = 0
            for of_instance in instances.values():
                cache = make(size)
                for request in of_instance:
                    for name in request[kind] or []:
                        total += cache.load(name)
            loads.append(total)
        print(kind, loads)
        axes.plot(SIZES, [total / len(requests) for total in loads], label=kind)
    axes.legend()


def unique_lora_loading_analysis(requests, figure, arguments):
    counts, controlnets, loras = Counter(), defaultdict(set), defaultdict(set)
    for request in requests:
        if request["scene_id"] == arguments.service:
            counts[request["ip"]] += 1
            controlnets[request["ip"]].update(request["controlnets"] or [])
            loras[request["ip"]].update(request["loras"] or [])
    figure.add_subplot().scatter(list(counts.values()), [len(loras[ip]) for ip in counts])
    print(sum(map(len, loras.values())), sum(map(len, controlnets.values())))


SCRIPTS = {
    script.__name__: script
    for script in (
        statistical_analysis,
        controlnet_invocation_analysis,
        lora_invocation_analysis,
        adapter_loading_analysis,
        unique_lora_loading_analysis,
    )
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("script", choices=SCRIPTS)
    parser.add_argument("trace", type=Path)
    parser.add_argument("figure", type=Path)
    parser.add_argument("--service", choices=["A", "B"], default="A")
    parser.add_argument("--policy", choices=["LRU", "LFU"], default="LRU")
    arguments = parser.parse_args()
    with arguments.trace.open(encoding="utf-8") as file:
        requests = json.load(file)
    figure = Figure()
    SCRIPTS[arguments.script](requests, figure, arguments)
    if figure.axes:
        figure.savefig(arguments.figure)


if __name__ == "__main__":
    main()
