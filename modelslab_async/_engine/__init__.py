"""
Requests under way: the network, the slots, and the jobs.
"""
