"""
Our objects and the service's JSON, both ways.
"""
