"""
Decisions: when to ask again, who may enter, whether to try again.
"""
