"""Simulation of motion and of light, in NumPy alone: rigid balls in a box (`dynamics`) and a path tracer (`path_tracer`)."""
