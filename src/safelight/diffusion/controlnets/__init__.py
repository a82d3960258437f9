"""ControlNets (Zhang et al., ICCV 2023): networks that condition a denoiser on a picture."""
