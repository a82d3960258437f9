"""LoRA files of every common make, read into one canonical form; `reading.read_lora` is the way in."""
