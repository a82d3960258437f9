"""One device, one process: control's replica scheduler over an engine."""
