"""Ray Serve with one replica that answers with the picture: `ray_serve.py PORT FOLDER`. It ends with its input.

`http_overhead.py` starts it with the environment that keeps it on this machine.
"""

import sys

import ray
from picture import answer
from ray import serve

MOST_AT_ONCE = 100
OBJECT_STORE_BYTES = 100 << 20


def stay_on_loopback():
    """Bind the replica's port for other replicas to 127.0.0.1; Ray binds it to all addresses and has no setting."""
    from ray.serve._private import replica  # noqa: PLC0415 - in the replica's process only

    bind = replica.add_port_to_grpc_server
    replica.add_port_to_grpc_server = lambda server, address: bind(server, address.replace("[::]", "127.0.0.1"))


@serve.deployment(num_replicas=1, max_ongoing_requests=MOST_AT_ONCE)
class Picture:
    """Encodes in its replica."""

    def __init__(self):
        stay_on_loopback()

    async def __call__(self, request):
        """Return the answer to any request."""
        await request.json()
        return answer()


if __name__ == "__main__":
    port, folder = sys.argv[1:]
    ray.init(
        num_cpus=2,
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
        _temp_dir=folder,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": int(port)})
    serve.run(Picture.bind())
    sys.stdin.buffer.read()
    ray.shutdown()
