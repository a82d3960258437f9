"""ControlNets in a process of their own, shared by several workers: ControlNet-as-a-service of Li et al. (2024)."""
