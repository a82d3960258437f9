"""When requests arrive: processes that load generators, the simulator and synthesis draw from.

Processes with independent gaps are in `renewal`. The others change the rate with time: they run another process on a
clock that goes faster and slower. A process of rate 1 on a clock `c` arrives with the intensity `dc / dt` at time `t`;
its character stays, so over even gaps such a rate is followed exactly, and over Poisson gaps it is still Poisson.
"""
