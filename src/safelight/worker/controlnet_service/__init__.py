"""ControlNets in one process that several workers share: ControlNet-as-a-service of Li et al. (2024)."""
