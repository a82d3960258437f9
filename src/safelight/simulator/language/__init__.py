"""Language-model work, a second kind of job: prefill and decode of unknown length, with memory for keys and values.

It has what the experiments of dLoRA need (Wu et al., OSDI 2024): iterations that mix prefill and decode, blocks of
key-value memory with preemption, slots for adapters, and the adapter modes of the server.
"""
