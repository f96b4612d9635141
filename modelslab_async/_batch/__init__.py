"""
Many generations: lazy, bounded, and resumable.
"""
