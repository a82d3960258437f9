"""ControlNets (Zhang et al., ICCV 2023): networks beside a denoiser that steer it by a picture."""
