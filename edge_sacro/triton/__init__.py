"""A model repository for NVIDIA's Triton Inference Server, for sites that run one."""
